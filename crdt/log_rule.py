"""When a bundle may leave the log of a node.

Law: pure; the store on disk and the one in memory follow the same rule. What all other members are
known to hold goes. A limit of size takes more, but nothing that fewer than `copies` are known to
hold: the others take such an operation by its bundle alone, as no snapshot of it is believed
(`crdt.weighing`). Age takes everything, and so does a size of sixteen times the limit: a log is no
place for what nobody ever takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from crdt.clock import Clock
from crdt.dot import PRIVATE, Actor

if TYPE_CHECKING:
    from crdt.exchange import Exchange

_VALVE: Final = 16
_WITNESSED: Final = 3
"""In a mesh of so many members a snapshot is believed only when another one holds the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRule:
    """What a node keeps for others.

    Attributes:
        rows: the clock that each other member last acknowledged; a member without a present
            link has an empty one. Empty means that nobody else needs the log.
        log_bytes_max: above this the oldest go although somebody lacks them, if `copies` hold
            them; above sixteen times as much in any case. The private lane has the same budget of
            its own.
        log_bytes_min: below this nothing goes although everybody has it, but for erasures.
        log_ms_max: what arrived longer ago goes in any case.
        copies: so many members, this one among them, must be known to hold what the budget takes.
    """

    rows: Sequence[Clock]
    log_bytes_max: int
    log_bytes_min: int
    log_ms_max: int
    copies: int = 1

    def lets_go(
        self, actor: Actor, last: int, *, held: int, age_ms: int = 0, marked: bool = False
    ) -> bool:
        """Whether the oldest bundle of a log may go.

        Args:
            actor: whose it is.
            last: the sequence number of its last operation.
            held: bytes of that log, with it.
            age_ms: how long ago it arrived.
            marked: whether an erasure wants it gone, however little the log holds.
        """
        if age_ms > self.log_ms_max or held > _VALVE * self.log_bytes_max:
            return True
        private = actor[:1] == PRIVATE
        holders = sum(row.get(actor, 0) >= last for row in self.rows)
        if held > self.log_bytes_max and (private or holders + 1 >= self.copies):
            return True
        if private:
            return marked  # nobody else has it, so nobody else can need it
        if held <= self.log_bytes_min and not marked:
            return False
        return holders == len(self.rows)


def rows_of(exchange: "Exchange") -> list[Clock]:
    """What each other member last acknowledged; nothing for one without a link."""
    replica = exchange.replica
    state = replica.governance.now
    known = {peer.node_id: peer.row for peer in exchange.peers.values() if peer.known and peer.row}
    others = [node for node in state.members if node != replica.me.node_id]
    return [dict(known.get(node) or {}) for node in others] + [{} for _ in state.unbound]


def copies_of(exchange: "Exchange") -> int:
    """How many members must hold what a limit of size takes."""
    state = exchange.replica.governance.now
    if len(state.members) + len(state.unbound) < _WITNESSED:
        return 1
    return max(2, state.quorum(exchange.wanted_w))
