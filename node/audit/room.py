"""What the audit side sees of the replicated side of a running node.

Law: it reads, and it speaks through asides; it changes nothing. What it says of this node's
own operations is read from the disk.
"""

from collections.abc import Mapping
from typing import Final

from crdt.dot import PRIVATE, Actor, NodeId, lane_of, node_of
from node.audit.heads import ACTORS_MAX, ActorHead
from node.replication.engine import Engine
from node.store.rows import decode_actor
from node.store.schema import Transaction, unseal

_BIRTH: Final = slice(1, 5)


class EngineRoom:
    """A `node.audit.countersign.Room` over an engine.

    Args:
        engine: the replicated side.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def linked(self) -> Mapping[NodeId, int]:
        """The members that are linked now, with the number of their link."""
        members = self._engine.replica.governance.now.members
        return {
            peer.node_id: number
            for number, peer in self._engine.exchange.peers.items()
            if peer.row is not None and peer.node_id in members
        }

    def own_heads(self) -> tuple[ActorHead, ...]:
        """How far this node's own lines of operations reach on its disk, the newest lines first."""
        me = self._engine.me.node_id
        own = [
            actor
            for actor in self._engine.replica.actors
            if node_of(actor) == me and lane_of(actor) != PRIVATE
        ]
        own.sort(key=lambda actor: (actor[_BIRTH], actor), reverse=True)
        store = self._engine.store

        def look(txn: Transaction, actor: Actor) -> ActorHead | None:
            value = txn.get(actor, db=store.tables.actors)
            if value is None:
                return None
            row = decode_actor(unseal("actors", actor, value))
            return ActorHead(actor, row.seq, row.hash)

        found = store.environment.read(lambda txn: [look(txn, a) for a in own[:ACTORS_MAX]])
        return tuple(head for head in found if head is not None)

    def settled(self) -> bool:
        """Whether this node holds what it held before: it is not catching up or joining."""
        catchup = self._engine.exchange.catchup
        return self._engine.replica.joined and not (catchup.running or catchup.joining)

    def name_of(self, node: NodeId) -> str:
        """What people call a member."""
        member = self._engine.replica.governance.now.members.get(node)
        return member.name if member is not None else ""

    def send(self, topic: str, data: bytes, link: int | None = None) -> None:
        """Say something to one link, or to all."""
        self._engine.send_aside(topic, data, link)
