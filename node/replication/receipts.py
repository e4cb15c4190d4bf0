"""What is known about the durability of a write, at the moment it is answered.

Law: only what this node's disk and the acknowledgements of present links say is told.
"""

from collections.abc import Mapping

from crdt.dot import PRIVATE, Dot, actor_text, dot_text, lane_of
from node.contracts import Receipt
from node.replication.engine import Engine


class Receipts:
    """Makes receipts over an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._texts: dict[bytes, str] = {}

    def make(
        self, dots: tuple[Dot, ...], last: Dot, *, held: Mapping[str, str], old: bool = False
    ) -> Receipt:
        """A receipt for operations of one request.

        Args:
            dots: all of them.
            last: the one whose durability is told.
            held: record id -> pending id of those that wait for approval.
            old: whether this is the answer to a retry.
        """
        exchange = self._engine.exchange
        local = exchange.durable.get(last.actor, 0) >= last.seq
        if lane_of(last.actor) == PRIVATE:
            names, needed = [], 1
        else:
            state = exchange.replica.governance.now
            needed = state.quorum(exchange.wanted_w)
            names = sorted(
                [
                    state.members[p.node_id].name
                    for p in exchange.peers.values()
                    if p.row and p.row.get(last.actor, 0) >= last.seq and p.node_id in state.ready
                ]
            )
        return Receipt(
            dots=dots,
            local=local,
            acks=len(names) + local,
            needed=needed,
            peers=tuple(names),
            token=f"{self._text(last.actor)}.{last.seq}",
            replayed=old,
            pending_id=next(iter(held.values()), None),
            held=held,
        )

    def still_held(self, dots: tuple[Dot, ...]) -> dict[str, str]:
        """The operations of an earlier request that wait for approval to this day."""
        replica = self._engine.replica
        waiting = [d for d in dots if d in replica.pending and not replica.shown(d)]
        return {replica.pending[d].key[1:].decode().partition("/")[2]: dot_text(d) for d in waiting}

    def _text(self, actor: bytes) -> str:
        text = self._texts.get(actor)
        if text is None:
            text = self._texts[actor] = actor_text(actor)
        return text
