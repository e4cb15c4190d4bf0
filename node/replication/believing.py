"""Carries out what the core asks for before it believes a snapshot.

Law: it finds out and tells; the core decides (`crdt.trial`). Whatever fails here leaves the store
as it is. What a source signed about its snapshot is kept for as long as it may be needed as proof.
"""

import asyncio
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from crdt.clock import Clock, group_hash, shared
from crdt.dot import NodeId
from crdt.effects import Alarm, Confirm, Examine
from crdt.proving import UnprovenError
from crdt.trial import Trial
from node.logs import EventLog
from node.replication.confirming import Confirming
from node.replication.engine import Engine
from node.replication.manifest import OFFER_TOPIC, Manifest, read_manifest
from node.replication.refusals import FILE, Refusals
from node.replication.witness import Witness
from node.store.examining import Examined, examine
from node.store.incoming import Incoming

_MANIFESTS_MAX: Final = 64


class Believing:
    """Examines snapshots, asks about them, and answers others that ask.

    Args:
        engine: whose core weighs them.
        data_dir: where the operator's file is.
        worker: reads what was received.
        witness: answers others.
        log: writes events.
    """

    def __init__(
        self, *, engine: Engine, data_dir: Path, worker: Executor, witness: Witness, log: EventLog
    ) -> None:
        self._engine = engine
        self._worker = worker
        self._log = log
        self.witness = witness
        self._confirming = Confirming(engine)
        self._manifests: dict[int, tuple[Manifest, bytes]] = {}
        self._refusals = Refusals(
            data_dir / FILE,
            record=engine.record,
            trouble=lambda error: log("snapshot_failed", error=error),
            now_ms=engine.now_ms,
        )
        self._refusals.tell(self._trial)
        engine.asides[OFFER_TOPIC] = self.on_offer
        engine.on_alarm.append(self._hear)

    @property
    def _trial(self) -> Trial:
        return self._engine.exchange.catchup.trial

    # --- manifests ---------------------------------------------------------------

    def offer(self, link: int, snapshot: bytes, clock: Clock, digest: int) -> None:
        """Sign what is about to be offered."""
        engine = self._engine
        said = Manifest(
            snapshot=snapshot,
            key=engine.me.key,
            genesis=engine.replica.genesis.id,
            clock=group_hash(shared(clock)),
            digest=digest,
            now_ms=engine.now_ms(),
        )
        engine.send_aside(OFFER_TOPIC, said.signed(engine.me.sign), link)

    def on_offer(self, node: NodeId, link: int, data: bytes) -> None:
        """A source signed its offer."""
        said = read_manifest(data, self._engine.me.verify)
        if said is None or said.node_id != node:
            return
        for gone in self._manifests.keys() - self._engine.exchange.peers.keys():
            del self._manifests[gone]
        if len(self._manifests) < _MANIFESTS_MAX or link in self._manifests:
            self._manifests[link] = (said, data)

    def _check(self, link: int, incoming: Incoming, clock: Clock) -> None:
        held = self._manifests.get(link)
        if held is None or held[0].snapshot != incoming.snapshot_id:
            return  # of an older release, or fetched on from what an earlier process began
        said = held[0]
        same = said.digest == incoming.promised and said.clock == group_hash(clock)
        if not same or said.genesis != self._engine.replica.genesis.id:
            raise UnprovenError("manifest", "it is not what its source signed")

    # --- what the core asks for --------------------------------------------------

    async def examine(self, effect: Examine, incoming: Incoming) -> None:
        """Prove the governance of what was received, and tell the core what it covers.

        Raises:
            JoinRefused, CorruptRecord, DiskError: it cannot be read.
        """
        engine, replica, store = self._engine, self._engine.replica, self._engine.store

        def work() -> Examined:
            found = examine(store, incoming, replica.genesis, engine.me)
            self._check(effect.link, incoming, found.clock)
            return found

        try:
            found = await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except UnprovenError as error:
            engine.exchange.advance(engine.now_ms())
            self._trial.unproven(effect.link, effect.number, str(error))
            return
        self._refusals.tell(self._trial)
        engine.exchange.advance(engine.now_ms())
        self._trial.examined(effect.link, effect.number, found.clock, found.state)

    async def confirm(self, effect: Confirm, incoming: Incoming) -> None:
        """Ask a member what it has in place of the rows, and tell the core its word.

        Raises:
            JoinRefused, CorruptRecord, DiskError: it cannot be read.
        """
        engine, session = self._engine, self._engine.exchange.catchup.session
        peer = engine.exchange.peers.get(effect.witness)
        if peer is None or session is None or session.weighing is None:
            return
        node, clock = peer.node_id, session.weighing.clock
        member = session.weighing.state.members.get(node)  # a newcomer knows none of its own
        found = await self._confirming.compare(effect.witness, clock, incoming, self._worker)
        self._log(
            "snapshot_compared",
            peer=member.name if member is not None else self._name(node),
            word=found.word.value,
            rows=found.rows,
            moved=found.moved,
            seconds=round(found.seconds, 3),
        )
        self._refusals.tell(self._trial)
        engine.exchange.advance(engine.now_ms())
        self._trial.confirmed(effect.snapshot, node, found.word)

    # --- what is told ------------------------------------------------------------

    def _hear(self, alarm: Alarm) -> None:
        peer = self._engine.exchange.peers.get(alarm.link)
        if peer is not None:
            held = self._manifests.get(alarm.link)
            proof = held[1] if held is not None else b""
            self._refusals.hear(alarm, peer.node_id, self._name(peer.node_id), proof)

    def _name(self, node: NodeId) -> str:
        member = self._engine.replica.governance.now.members.get(node)
        return member.name if member is not None else node.hex()[:16]

    def close(self) -> None:
        """Answer nobody any more."""
        self.witness.close()
