"""A member that mints whatever a test wants into records of any collection.

Law: what it mints is well signed and well chained; only what it says is wrong.
"""

import time
from collections.abc import Sequence
from typing import Any

from crdt import messages as m
from crdt.dot import Dot
from crdt.hlc import stamp_of
from crdt.op import Kind, Op
from tests.integration.rig import RealNode, until_level
from tests.integration.rig_rogue import Rogue


class Forger:
    """Speaks with the keys of the last node of a mesh, which does not run any more."""

    def __init__(self, mesh: Sequence[RealNode], *, agent: str = "mallory") -> None:
        one, worn = mesh[0], mesh[-1]
        self.nodes = list(mesh[:-1])
        self.agent = agent
        self.rogue = Rogue(worn=worn, to=one, founders=sorted(node.url for node in mesh))

    def record_of(
        self, ident: str, collection: str = "memory", kind: Kind = Kind.CREATE, **fields: Any
    ) -> Op:
        """The next operation, about a record; `fields` of `Op` change it."""
        self.rogue._seq += 1
        made = Op(
            dot=Dot(self.rogue.actor, self.rogue._seq),
            kind=kind,
            collection=collection,
            id=ident,
            owner=self.agent,
            namespace="global",
            agent=self.agent,
            hlc=stamp_of(time.time_ns() // 1_000_000),
            heads=self.rogue.heads,
        )
        return made._replace(**fields)

    async def send(self, *bundles: Sequence[Op]) -> None:
        """Give bundles to one node, and wait until all have applied them."""
        async with self.rogue.linked() as link:
            await self.rogue.settle(link)
            for ops in bundles:
                await link.send([m.encode(m.Push(self.rogue.seal(*ops).data))])
                last = ops[-1].dot
                await self.rogue.until(lambda last=last: self._has(last), "an acknowledgement")
        until_level(self.nodes)

    def _has(self, last: Dot) -> bool:
        heard = (one for one in self.rogue.heard if isinstance(one, m.Ack))
        return any(one.clock.get(last.actor, 0) >= last.seq for one in heard)
