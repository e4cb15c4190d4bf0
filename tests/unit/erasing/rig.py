"""A maker of batches whose bundles are real, so that a store can read what they erase."""

import hashlib
from typing import Any

from crdt.bundle import NO_PREV, seal_bundle
from crdt.dot import Actor
from crdt.op import ERASE, Kind, Op
from crdt.state import LoggedBundle
from tests.unit.store.rig import Maker

CLUSTER = hashlib.sha256(b"erasing").digest()


class RealMaker(Maker):
    """As `Maker`, with bundles as the core seals them (the signature alone is made up)."""

    def __init__(self, node: int = 1) -> None:
        super().__init__(node)
        self._ops: dict[Actor, list[Op]] = {}

    def erase(self, key: bytes) -> Op:
        """An erasing delete."""
        self.stamp += 1
        op = self._touch(Kind.DELETE, key, self.records[key], {ERASE: True})
        self._change(key, op)
        return op

    def late_edit(self, key: bytes, of: Op, **fields: Any) -> None:
        """An edit that had not seen the delete `of`: it changes nothing and is logged."""
        self.stamp += 1
        edit = Op(
            dot=self._dot(key[:1], key),
            kind=Kind.EDIT,
            collection=of.collection,
            id=of.id,
            owner=of.owner,
            namespace=of.namespace,
            agent="ai:late",
            hlc=self.stamp,
            births=of.births,
            set=fields,
        )
        self._ops.setdefault(edit.dot.actor, []).append(edit)

    def _change(self, key: bytes, op: Op) -> None:
        self._ops.setdefault(op.dot.actor, []).append(op)
        super()._change(key, op)

    def close(self, size: int = 100) -> None:
        del size
        for who, keys in self._open.items():
            ops = self._ops.pop(who, None)
            if ops is None:
                continue
            first = self.clock.get(who, 0) + 1
            bundle = seal_bundle(
                cluster=CLUSTER,
                actor=who,
                first=first,
                prev=NO_PREV,
                ops=ops,
                sign=lambda _: bytes(64),
            )
            touched = tuple(dict.fromkeys(key for key in keys if key))
            self._log(LoggedBundle(who, first, bundle.last, bundle.data, touched), bundle.hash)
        self._open = {}
