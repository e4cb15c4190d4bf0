"""Events, composed into a running node.

Law: composition only. What is derived here follows commits and begins anew with another store;
deliveries begin once tasks can run, and end with them.
"""

import random
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from crdt.dot import NodeId
from crdt.op import Draft
from crdt.record import Record
from crdt.view import View
from node.contracts import Governing, Reader
from node.errors import WriteError
from node.events.feed import Bell
from node.events.sight import Departed
from node.events.streaming import Events
from node.events.subscriptions import Roster
from node.events.sweeping import START, Sweep
from node.events.telling import Teller
from node.events.webhooks.courier import Courier, Surroundings
from node.events.webhooks.guard import SystemResolver
from node.events.webhooks.ledger import FOLDER, Ledger
from node.ground import Ground
from node.live import Live, Tasks
from node.replication.engine import Engine
from node.replication.sound import view
from node.store.upkeep import days

_TIDY_EVERY = 120
_SWEEP_EVERY = 7200


@dataclass(slots=True, kw_only=True)
class EventSide:
    """What of events has to be kept going and closed."""

    events: Events
    courier: Courier
    ledger: Ledger
    tasks: Tasks
    sweep: Callable[[], Coroutine[Any, Any, None]]
    _rounds: int = 0

    def watch(self) -> None:
        """Begin deliveries that are due."""
        self.courier.watch()
        self._rounds += 1
        if self._rounds % _TIDY_EVERY == 0:
            self.tasks.spawn(self.courier.tidy())
        if self._rounds % _SWEEP_EVERY == _TIDY_EVERY:
            self.tasks.spawn(self.sweep())

    def close(self) -> None:
        """Let go of the disk."""
        self.ledger.close()


def open_events(
    ground: Ground,
    live: Live,
    tasks: Tasks,
    engine: Engine,
    reader: Callable[[], Reader],
    governing: Governing,
) -> EventSide:
    """The events of a node.

    Args:
        ground: where the table of deliveries is kept, and the log.
        live: settings in force.
        tasks: where deliveries run.
        engine: whose commits are followed.
        reader: reads the newest state.
        governing: members, and what waits for approval.
    """
    ledger = Ledger(ground.settings.paths.data_dir / FOLDER)
    bell, departed, roster = Bell(), Departed(), Roster(reader)
    engine.on_commit += [departed.saw, roster.saw, bell.saw]
    me = engine.me.node_id.hex()

    def members() -> frozenset[str]:
        return frozenset(node.hex() for node in governing.state().members)

    courier = Courier(
        reader=reader,
        teller=Teller(reader, governing, departed),
        roster=roster,
        ledger=ledger,
        resolver=SystemResolver(),
        around=Surroundings(
            me=me,
            members=members,
            rules=lambda: live.settings.subscriptions,
            now_ms=engine.now_ms,
            draw=random.random,
            spawn=tasks.spawn,
            metrics=engine.metrics,
            log=ground.log,
        ),
    )
    events = Events(
        bell=bell,
        departed=departed,
        counts=ledger.counts,
        loopback=lambda: live.settings.subscriptions.allow_loopback_webhooks,
        node_id=me,
    )
    return EventSide(
        events=events, courier=courier, ledger=ledger, tasks=tasks, sweep=_sweeping(live, engine)
    )


def _sweeping(live: Live, engine: Engine) -> Callable[[], Coroutine[Any, Any, None]]:
    """What ends messages that are over, while this node may write."""

    def read(key: bytes) -> tuple[Record | None, View | None]:
        record = engine.replica.read(key)
        return record, view(record, engine.replica)

    def is_mine(node: NodeId) -> bool:
        members = engine.replica.governance.now.members
        return node == engine.me.node_id or node not in members

    def end(draft: Draft, agent: str) -> None:
        engine.replica.mint([draft], agent=agent, now_ms=engine.now_ms())
        engine.soon()

    sweep = Sweep(
        keys=lambda: engine.store.lists.with_prefix(START, sys.maxsize),
        read=read,
        is_mine=is_mine,
        end=end,
    )

    async def round_() -> None:
        if engine.readiness.reason() is not None or not engine.replica.joined:
            return
        try:
            engine.readiness.check_writable()
        except WriteError:
            return
        await sweep.round(engine.now_ms() - days(live.settings.storage.expiry_grace_days))

    return round_
