"""What an operator wants to hear once, when it happens: founding, members, quorum, catch-up.

Law: events are differences between two looks at the same state; nothing on the hot path pays
for them, and nothing is said twice.

A store that was empty when this process began, and in which peers have put what an earlier
process of this node wrote, replaces one that was lost: that is counted as a new store, as the
swap of a snapshot is, for it depends on the peers alone which of the two fills it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from crdt.dot import node_of
from crdt.governance_state import Member
from node.clock import Clock
from node.logs import EventLog
from node.replication.engine import Engine
from node.store import Store


def forget_stranger(engine: Engine, name: str) -> None:
    """Drop the figures about somebody who is no member, or no more."""
    members = engine.replica.governance.now.members.values()
    if all(member.name != name for member in members):
        engine.metrics.forget_peer(name)


@dataclass(slots=True)
class Observer:
    """Looks at an engine now and then and tells what changed.

    Attributes:
        engine: whose state.
        log: writes events.
        clock: the time the node goes by.
    """

    engine: Engine
    log: EventLog
    clock: Clock
    _joined: bool = False
    _members: Mapping[bytes, Member] = field(default_factory=dict)
    _in_reach: bool = True
    _behind: bool = False
    _skewed: bool = False
    _refused: bool = False
    _taken: int = 0
    _empty: Store | None = None

    def __post_init__(self) -> None:
        """What holds at the start is no news."""
        self._joined = self.engine.replica.joined
        self._members = self.engine.replica.governance.now.members
        replica = self.engine.replica
        self._empty = None if replica.clock else self.engine.store

    def look(self) -> None:
        """Tell what changed since the last look."""
        self._standing()
        self._membership()
        self._quorum()
        self._catch_up()
        self._clock()
        self._refilled()

    def _standing(self) -> None:
        replica = self.engine.replica
        if replica.joined and not self._joined:
            event = "mesh_joined" if replica.must_join else "mesh_founded"
            self.log(event, cluster=replica.genesis.cluster, n=replica.governance.now.n)
        self._joined = replica.joined

    def _membership(self) -> None:
        members = self.engine.replica.governance.now.members
        if members is self._members:
            return
        for node, member in members.items():
            before = self._members.get(node)
            if before is None:
                self.log("member_added", name=member.name, node_id=node.hex(), url=member.url)
            if member.ready and (before is None or not before.ready):
                self.log("member_ready", name=member.name, node_id=node.hex())
        for node, member in self._members.items():
            if node not in members:
                self.log("member_removed", name=member.name, node_id=node.hex())
                forget_stranger(self.engine, member.name)
        self._members = members

    def _quorum(self) -> None:
        exchange = self.engine.exchange
        state = self.engine.replica.governance.now
        if not self.engine.replica.joined:
            return
        needed = state.quorum(exchange.wanted_w)
        reach = exchange.tally.reachable()
        if (reach >= needed) is not self._in_reach:
            self._in_reach = reach >= needed
            event = "quorum_regained" if self._in_reach else "quorum_lost"
            self.log(event, reachable=reach, needed=needed)

    def _catch_up(self) -> None:
        catchup = self.engine.exchange.catchup
        behind = catchup.running or catchup.joining
        if behind and not self._behind:
            self._taken = catchup.bundles_taken
            self.log("catchup_started", sessions=catchup.sessions)
        elif self._behind and not behind:
            self.log("catchup_finished", bundles=catchup.bundles_taken - self._taken)
        self._behind = behind

    def _clock(self) -> None:
        heartbeat = self.engine.exchange.heartbeat
        if heartbeat.trusted is self._skewed:
            self._skewed = not heartbeat.trusted
            event = "clock_skewed" if self._skewed else "clock_recovered"
            self.log(event, skew_ms=heartbeat.skew_ms())
        ahead = self.clock.ahead_ms
        self.engine.metrics.gauge("clock_jump_refused_seconds").set(ahead / 1000)
        if bool(ahead) is not self._refused:
            self._refused = bool(ahead)
            if ahead:
                self.log("clock_jump_refused", ahead_ms=ahead)

    def _refilled(self) -> None:
        if self._empty is None:
            return
        engine, replica = self.engine, self.engine.replica
        if engine.store is not self._empty:  # a swap, which is counted where it is done
            self._empty = None
            return
        drawn, own = replica.own.values(), engine.me.node_id
        if any(node_of(actor) == own and actor not in drawn for actor in replica.clock):
            self._empty = None
            engine.metrics.counter("store_changes_total").inc()
