"""Operations and bundles, written as docs/protocol.md says, and read as far as a member must.

Law: a line of bundles is one actor's, numbered without a hole and chained by hashes; a line that is
to lie is given the lie, and signs it all the same.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, Self

import msgpack
from nacl.signing import SigningKey

from chaos.hostile.wire import actor_of, now_ms

__all__ = ["Bundle", "Dot", "Line", "Op", "OpKind", "governance_of", "read_bundle", "row_of"]

_TAG: Final = b"mnemesh-bundle-1\0"
_FORMAT: Final = 1
NO_PREV: Final = bytes(32)
Dot = tuple[bytes, int]


class OpKind(IntEnum):
    """Kinds of operations."""

    CREATE = 1
    EDIT = 2
    DELETE = 3
    VOTE = 4
    SEAL = 5
    FOUND = 16
    ADD = 17
    REMOVE = 18
    READY = 19
    POLICY = 20
    AGENT = 21
    FORK = 22
    ROLE = 23
    MODE = 24


@dataclass(frozen=True, kw_only=True)
class Op:
    """One operation; any field may hold what it must not."""

    kind: Any = OpKind.CREATE
    collection: Any = "memory"
    id: Any = ""
    owner: Any = "hostile"
    namespace: Any = "global"
    agent: Any = None
    stamp: Any = 0
    births: Sequence[Dot] = ()
    fields: Any = field(default_factory=dict)
    removed: Sequence[Any] = ()
    hides: Sequence[Dot] = ()
    heads: Sequence[Dot] = ()
    about: Dot | None = None
    retry: Any = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle with what a member keeps of it."""

    actor: bytes
    first: int
    count: int
    prev: bytes
    body: bytes
    signature: bytes
    data: bytes
    hash: bytes

    @property
    def last(self) -> int:
        """Number of its last operation."""
        return self.first + self.count - 1


class _Actors(dict[bytes, int]):
    def flat(self, dots: Sequence[Dot]) -> list[int]:
        out: list[int] = []
        for actor, number in dots:
            out += (self.setdefault(actor, len(self)), number)
        return out


def row_of(op: Op, flat: Callable[[Sequence[Dot]], list[int]], heads: int = 0) -> list[Any]:
    """The fourteen fields."""
    return [
        op.kind,
        op.collection,
        op.id,
        op.owner,
        op.namespace,
        op.agent,
        op.stamp,
        flat(sorted(op.births)),
        op.fields,
        list(op.removed),
        flat(sorted(op.hides)),
        heads,
        flat([op.about]) if op.about else None,
        op.retry,
    ]


def body_of(ops: Sequence[Op]) -> bytes:
    """The operations of a bundle."""
    actors, sets = _Actors(), dict[tuple[Dot, ...], int]()
    rows = [row_of(op, actors.flat, sets.setdefault(tuple(op.heads), len(sets))) for op in ops]
    named = [actors.flat(heads) for heads in sets]
    packed: bytes = msgpack.packb([list(actors), named, rows], use_bin_type=True)
    return packed


def signed_part(
    cluster: str, actor: bytes, first: int, count: int, prev: bytes, body: bytes
) -> bytes:
    """What the signature covers; its SHA-256 is the chain hash."""
    return b"".join(
        (
            _TAG,
            hashlib.sha256(cluster.encode()).digest(),
            actor,
            first.to_bytes(8),
            count.to_bytes(4),
            prev,
            hashlib.sha256(body).digest(),
        )
    )


def read_bundle(data: bytes, cluster: str) -> Bundle:
    """Read a bundle as far as its chain.

    Raises:
        ValueError: it is none.
    """
    row = msgpack.unpackb(data, raw=False)
    if not isinstance(row, list) or row[:1] != [_FORMAT]:
        raise ValueError("not a bundle")
    _, actor, first, count, prev, body, signature = row
    chained = hashlib.sha256(signed_part(cluster, actor, first, count, prev, body)).digest()
    return Bundle(actor, first, count, prev, body, signature, data, chained)


def governance_of(bundle: Bundle) -> list[tuple[Dot, list[Any]]]:
    """Dot and fields of every operation of a bundle."""
    _, _, rows = msgpack.unpackb(bundle.body, raw=False, strict_map_key=False)
    return [((bundle.actor, bundle.first + place), row) for place, row in enumerate(rows)]


@dataclass
class Line:
    """The bundles of one actor.

    Attributes:
        held: what was sealed and kept, in order.
        namespace: of what it creates.
    """

    cluster: str
    signing: SigningKey
    actor: bytes
    first: int = 1
    prev: bytes = NO_PREV
    held: list[Bundle] = field(default_factory=list)
    namespace: str = "global"

    @classmethod
    def fresh(
        cls,
        cluster: str,
        signing: SigningKey,
        node_id: bytes,
        lane: str = "d",
        namespace: str = "global",
    ) -> Self:
        """A line of a new actor."""
        return cls(cluster, signing, actor_of(lane, node_id), namespace=namespace)

    def seal(self, *ops: Op, keep: bool = True, **lies: Any) -> Bundle:
        """Sign operations as the next bundle.

        Args:
            ops: what it holds.
            keep: go on from it; else the next bundle takes the same place.
            lies: `first`, `count`, `prev`, `body`, `format`, `signing` or `signature` instead of
                the true one.
        """
        first, count = lies.get("first", self.first), lies.get("count", len(ops))
        prev, body = lies.get("prev", self.prev), lies.get("body") or body_of(ops)
        cluster, signing = lies.get("cluster", self.cluster), lies.get("signing", self.signing)
        actor = lies.get("actor", self.actor)
        signed = signed_part(cluster, actor, max(first, 0), max(count, 0), prev, body)
        signature = lies.get("signature", signing.sign(signed).signature)
        row = [lies.get("format", _FORMAT), actor, first, count, prev, body, signature]
        data: bytes = msgpack.packb([*row, *lies.get("more", ())], use_bin_type=True)
        hashed = hashlib.sha256(signed).digest()
        made = Bundle(actor, first, count, prev, body, signature, data, hashed)
        if keep:
            self.first, self.prev = first + count, hashed
            self.held.append(made)
        return made

    def create(self, ident: str, heads: Sequence[Dot], **fields: Any) -> Op:
        """An operation that makes a memory; `stamp_ms` says another time."""
        stamp = (fields.pop("stamp_ms", None) or now_ms()) << 16
        owner = fields.pop("owner", "hostile")
        values: Mapping[str, Any] = {"title": ident, "content": "text", "tier": "mid", "rev": 1}
        return Op(
            id=ident,
            stamp=stamp,
            heads=heads,
            owner=owner,
            namespace=self.namespace,
            fields={**values, **fields},
        )
