"""Opens the chain of a data directory and connects it with the rest of a node.

Law: it is opened before anything that may have to be recorded, and closed after it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator

from crdt.op import Op
from node.audit.applied import Applied
from node.audit.chain import Owner
from node.audit.countersign import ASK_TOPIC, HEAD_TOPIC, WITNESS_TOPIC, Countersigning
from node.audit.events import EVENTS
from node.audit.keeper import Keeper, KeeperSettings
from node.audit.room import EngineRoom
from node.audit.segments import FOLDER
from node.audit.side import AuditSide
from node.audit.verifier import Verifier
from node.ground import Ground
from node.logs import EventLog
from node.replication.engine import Engine
from node.settings import Settings
from transport.identity import NodeKey, verify

Post = Callable[[Callable[[], None]], object]
"""Brings a call to the loop from another thread."""


def open_audit(
    ground: Ground, engine: Engine, failed: Callable[[BaseException], None]
) -> AuditSide:
    """The audit side of a node over its engine; call it on the loop.

    Args:
        ground: what the node is built on.
        engine: the replicated side.
        failed: told once when the disk failed; the node ends.
    """
    post = asyncio.get_running_loop().call_soon_threadsafe
    keeper = open_keeper(
        ground.settings,
        ground.key,
        now_ms=ground.now_ms,
        post=post,
        failed=failed,
        log=ground.log,
    )
    side = build_audit(
        engine, keeper, ground.key, post=post, monotonic=time.monotonic, log=ground.log
    )
    side.started(name=ground.settings.identity.name, node_id=ground.key.node_id.hex())
    return side


def open_keeper(
    settings: Settings,
    key: NodeKey,
    *,
    now_ms: Callable[[], int],
    post: Callable[[Callable[[], None]], object],
    failed: Callable[[BaseException], None],
    log: EventLog,
) -> Keeper:
    """Open the chain of a data directory, whose lock is held.

    Args:
        settings: where, for how long, and the mirror.
        key: signs the entries.
        now_ms: wall clock.
        post: brings a call to the loop from another thread.
        failed: told once when the disk failed.
        log: writes events.
    """
    keeper = Keeper(
        KeeperSettings(
            folder=settings.paths.data_dir / FOLDER,
            mirror=settings.audit.path,
            retention_days=settings.audit.retention_days,
        ),
        owner=Owner(node_id=key.node_id, key=key.public, verify=verify),
        sign=key.sign,
        now_ms=now_ms,
        failed=lambda error: _posted(post, lambda: failed(error)),
        trouble=lambda event, error: _posted(post, lambda: log(event, error=error)),
    )
    found = keeper.found
    if found.reason:
        log("audit_chain_broken", seq=found.bad_seq, reason=found.reason)
    elif found.torn_bytes:
        log("audit_chain_recovered", cut_bytes=found.torn_bytes, after=found.link.seq)
    return keeper


def _posted(post: Callable[[Callable[[], None]], object], call: Callable[[], None]) -> None:
    try:
        post(call)
    except RuntimeError:  # the loop is closed: the node has ended, nobody is left to be told
        return


def build_audit(
    engine: Engine,
    keeper: Keeper,
    key: NodeKey,
    *,
    post: Callable[[Callable[[], None]], object],
    monotonic: Callable[[], float],
    log: EventLog,
) -> AuditSide:
    """Connect the chain of a node with its replicated side.

    Args:
        engine: its notes and its links are listened to from now on.
        keeper: the open chain.
        key: signs heads and countersignatures.
        post: brings a call to the loop from another thread.
        monotonic: seconds that only grow.
        log: writes events.
    """

    def alarm(event: str, **facts: object) -> None:
        if event == "audit_rollback":
            engine.metrics.counter("audit_rollbacks_total").inc()
        log(event, **facts)

    countersigning = Countersigning(
        keeper.settings.folder,
        keeper=keeper,
        owner=keeper.owner,
        sign=key.sign,
        room=EngineRoom(engine),
        post=post,
        now_ms=engine.now_ms,
        alarm=alarm,
    )

    def history() -> Iterator[Op]:
        return engine.replica.governance.history()  # of the present store, which may be swapped

    engine.record = keeper.record
    engine.on_notes.append(Applied(keeper.record, history).hear)
    engine.asides[HEAD_TOPIC] = countersigning.on_head
    engine.asides[WITNESS_TOPIC] = countersigning.on_witness
    engine.asides[ASK_TOPIC] = countersigning.on_ask
    for event in EVENTS:
        engine.metrics.counter("audit_entries_total", event)
    return AuditSide(
        engine=engine,
        keeper=keeper,
        countersigning=countersigning,
        verifier=Verifier(engine=engine, keeper=keeper, countersigning=countersigning),
        metrics=engine.metrics,
        monotonic=monotonic,
    )
