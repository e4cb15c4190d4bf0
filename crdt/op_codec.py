"""The bytes of operations inside a bundle.

Law: strict. What decodes is a well-formed list of operations, and encoding it again gives
the same bytes; anything else raises. Actors and head sets are written once per bundle.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgpack

from crdt.dot import SEQ_MAX, Actor, Dot, is_actor
from crdt.hlc import STAMP_MAX
from crdt.op import NO_DOTS, Idempotency, Kind, Op

_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack

_OP_WIDTH: Final = 14
COLLECTION_BYTES_MAX: Final = 32
ID_BYTES_MAX: Final = 255
AGENT_BYTES_MAX: Final = 512
NAMESPACE_BYTES_MAX: Final = 2048
FIELD_BYTES_MAX: Final = 640
FIELDS_MAX: Final = 512
DOTS_MAX: Final = 4096
IDEMPOTENCY_BYTES: Final = 16
DEPTH_MAX: Final = 40
_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**64 - 1
_MEMORY: Final = "memory"
# Of msgpack: a number with its mark, the length in front of a text. A dot is two numbers and, once,
# an actor; the rest of a row are lists, kind, stamp, and the idempotency key.
_NUMBER_BYTES: Final = 9
_PREFIX_BYTES: Final = 5
_DOT_BYTES: Final = 2 * _NUMBER_BYTES + 64
_HEADER_BYTES: Final = 96
_NOTHING: Final[frozenset[str]] = frozenset()
_PLAIN: Final = frozenset({str, int, bool, bytes, type(None)})
KINDS: Final = {int(kind): kind for kind in Kind}


class OpError(ValueError):
    """An operation that breaks the format or a limit."""


class _Table:
    """Indexes for the actors that a bundle mentions."""

    def __init__(self) -> None:
        self.index: dict[Actor, int] = {}

    def flat(self, dots: Iterable[Dot]) -> list[int]:
        out: list[int] = []
        index = self.index
        for actor, seq in dots:
            out += (index.setdefault(actor, len(index)), seq)
        return out


def check_op(op: Op) -> None:
    """Refuse to mint what others could not read.

    Raises:
        OpError: a limit of the format is exceeded, or a value cannot be said in it.
    """
    if op.collection != _MEMORY:
        _collection(op.collection)
    _names(op.id, op.owner, op.namespace)
    if op.agent != op.owner:
        _text(op.agent, "the agent", AGENT_BYTES_MAX)
    if op.removed:
        _removed(list(op.removed))
    if len(op.births) > DOTS_MAX or len(op.supersedes) > DOTS_MAX:
        raise OpError(f"an operation refers to at most {DOTS_MAX} others")
    odd = _odd(op.set)
    if not odd:
        return
    _fields(odd)
    try:
        _pack(odd)
    except (ValueError, TypeError, OverflowError) as error:
        raise OpError(f"a value cannot be encoded: {type(error).__name__}") from error


def _odd(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of which it takes more than a look to see that they can be encoded.

    ASCII and small numbers can; texts are nearly all that there is, and all of the bytes.
    """
    if len(fields) > FIELDS_MAX:
        return fields
    odd: dict[str, Any] = {}
    for name, held in fields.items():
        kind = type(held)
        if kind is str:
            plain = held.isascii()
        elif kind is int:
            plain = _INT_MIN <= held <= _INT_MAX
        else:
            plain = kind is bool or held is None
        if not (plain and type(name) is str and len(name) <= FIELD_BYTES_MAX and name.isascii()):
            odd[name] = held
    return odd


def encode_ops(ops: Sequence[Op]) -> bytes:
    """Bytes of consecutive operations; their dots are implied by the bundle's header."""
    table = _Table()
    heads: dict[tuple[Dot, ...], int] = {}
    rows = []
    for op in ops:
        _, kind, collection, ident, owner, namespace, agent, hlc = op[:8]
        births, fields, removed, supersedes, seen, target, retry = op[8:]
        rows.append(
            [
                int(kind),
                collection,
                ident,
                owner,
                namespace,
                None if agent == owner else agent,
                hlc,
                table.flat(sorted(births)) if births else [],
                fields,
                sorted(removed) if removed else [],
                table.flat(sorted(supersedes)) if supersedes else [],
                heads.setdefault(seen, len(heads)),
                table.flat((target,)) if target else None,
                retry,
            ]
        )
    named = [table.flat(dots) for dots in heads]
    packed: bytes = _pack([list(table.index), named, rows])
    return packed


def weight(op: Op) -> int:
    """An upper bound of the bytes that an operation takes in a bundle, mostly a close one.

    What is closed by it fits a message of the wire, whatever the texts are written in. Heads weigh
    apart, for they stand in a bundle once.
    """
    dots = len(op.births) + len(op.supersedes) + 1
    size = _HEADER_BYTES + _DOT_BYTES * dots + _bytes_of(op.collection) + _bytes_of(op.id)
    size += _bytes_of(op.owner) + _bytes_of(op.namespace) + _bytes_of(op.agent)
    for name in op.removed:
        size += _bytes_of(name)
    for name, value in op.set.items():
        size += _bytes_of(name)
        kind = type(value)
        if kind is str:
            size += _bytes_of(value)
        elif kind is int or kind is float or kind is bool or value is None:
            size += _NUMBER_BYTES
        else:
            size += len(_pack(value))
    return size


def weight_of_heads(heads: Sequence[Dot]) -> int:
    """The same for the governance dots that operations saw."""
    return _NUMBER_BYTES + _DOT_BYTES * len(heads)


def _bytes_of(text: str) -> int:
    return _PREFIX_BYTES + (len(text) if text.isascii() else len(text.encode()))


def decode_ops(data: bytes, actor: Actor, first: int) -> tuple[Op, ...]:
    """The operations of a bundle.

    Raises:
        OpError: the bytes break the format or a limit.
        ValueError: msgpack cannot read them.
    """
    actors, named, rows = msgpack.unpackb(data, raw=False)
    if not isinstance(actors, list) or not all(is_actor(a) for a in actors):
        raise OpError("a bundle names an actor of the wrong shape")
    heads = [tuple(_dots(actors, flat)) for flat in named]
    if len(heads) > len(rows):
        raise OpError("more head sets than operations")
    return tuple(
        _decode(row, Dot(actor, first + place), actors, heads) for place, row in enumerate(rows)
    )


def _dots(actors: list[Actor], flat: object) -> list[Dot]:
    if not isinstance(flat, list) or len(flat) % 2 or len(flat) > 2 * DOTS_MAX:
        raise OpError(f"dots come in pairs, at most {DOTS_MAX}")
    dots = []
    for index, seq in zip(flat[::2], flat[1::2], strict=True):
        if type(index) is not int or not 0 <= index < len(actors):
            raise OpError("a dot names no actor of its bundle")
        if type(seq) is not int or not 1 <= seq <= SEQ_MAX:
            raise OpError("a dot's sequence number is out of range")
        dots.append(Dot(actors[index], seq))
    return dots


def _text(value: object, what: str, bytes_max: int) -> str:
    if type(value) is not str:
        raise OpError(f"{what} is not text")
    if len(value) > bytes_max or (not value.isascii() and len(value.encode()) > bytes_max):
        raise OpError(f"{what} is longer than {bytes_max} bytes")
    return value


def _fields(value: object) -> dict[str, Any]:
    if type(value) is not dict or len(value) > FIELDS_MAX:
        raise OpError(f"the fields are not a map of at most {FIELDS_MAX}")
    for name, held in value.items():
        if type(name) is not str or len(name) > FIELD_BYTES_MAX // 4:
            _text(name, "a field name", FIELD_BYTES_MAX)
        if type(held) not in _PLAIN:
            _check_value(held, 0)
    return value


def _check_value(value: object, depth: int) -> None:
    """Only what JSON and byte strings can say: no extension types, no NaN, bounded depth."""
    if depth > DEPTH_MAX:
        raise OpError(f"a value is nested deeper than {DEPTH_MAX} levels")
    kind = type(value)
    if kind is dict:
        for name, held in value.items():  # type: ignore[attr-defined]  # narrowed by `kind`
            if type(name) is not str:
                raise OpError("a map inside a value has a key that is not text")
            _check_value(held, depth + 1)
    elif kind is list:
        for held in value:  # type: ignore[attr-defined]  # narrowed by `kind`
            _check_value(held, depth + 1)
    elif kind is float:
        if not math.isfinite(value):  # type: ignore[arg-type]  # narrowed by `kind`
            raise OpError("a number is not finite")
    elif kind not in _PLAIN:
        raise OpError(f"a value has the unknown type {kind.__name__}")


def _decode(row: object, dot: Dot, actors: list[Actor], heads: list[tuple[Dot, ...]]) -> Op:
    if type(row) is not list or len(row) != _OP_WIDTH:
        raise OpError(f"an operation is a list of {_OP_WIDTH}")
    kind, collection, ident, owner, namespace, agent, hlc = row[:7]
    births, fields, removed, supersedes, head_set, target, retry = row[7:]
    known = KINDS.get(kind) if type(kind) is int else None
    if known is None:
        # A number only: what else stands there is content, and refusals end up in logs.
        raise OpError(f"unknown operation kind {kind if type(kind) is int else 'of another type'}")
    if type(hlc) is not int or not 0 <= hlc <= STAMP_MAX:
        raise OpError("the stamp is out of range")
    if type(head_set) is not int or not 0 <= head_set < len(heads):
        raise OpError("the heads are not in the bundle")
    _names(ident, owner, namespace)
    return Op(
        dot,
        known,
        _collection(collection),
        ident,
        owner,
        namespace,
        owner if agent is None else _text(agent, "the agent", AGENT_BYTES_MAX),
        hlc,
        frozenset(_dots(actors, births)) if births else NO_DOTS,
        _fields(fields),
        _removed(removed) if removed else _NOTHING,
        frozenset(_dots(actors, supersedes)) if supersedes else NO_DOTS,
        heads[head_set],
        None if target is None else _one(_dots(actors, target)),
        None if retry is None else _retry(retry),
    )


def _names(ident: object, owner: object, namespace: object) -> None:
    # Texts that fit whatever their characters are; the rest is measured (RFC 3629: 4 bytes).
    if not (
        type(ident) is type(owner) is type(namespace) is str
        and len(ident) <= ID_BYTES_MAX // 4
        and len(owner) <= AGENT_BYTES_MAX // 4
        and len(namespace) <= NAMESPACE_BYTES_MAX // 4
    ):
        _text(ident, "the id", ID_BYTES_MAX)
        _text(owner, "the owner", AGENT_BYTES_MAX)
        _text(namespace, "the namespace", NAMESPACE_BYTES_MAX)


def _collection(value: object) -> str:
    if value == _MEMORY:
        return _MEMORY
    name = _text(value, "the collection", COLLECTION_BYTES_MAX)
    if "/" in name:
        raise OpError("a collection's name holds no slash")
    return name


def _removed(value: object) -> frozenset[str]:
    if not isinstance(value, list) or len(value) > FIELDS_MAX:
        raise OpError(f"removed fields are not a list of at most {FIELDS_MAX}")
    return frozenset(_text(name, "a field name", FIELD_BYTES_MAX) for name in value)


def _one(dots: list[Dot]) -> Dot:
    if len(dots) != 1:
        raise OpError("a target is one dot")
    return dots[0]


def _retry(value: object) -> Idempotency:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - scope and body
        raise OpError("an idempotency mark is a pair")
    scope, body = value
    for part in (scope, body):
        if not isinstance(part, bytes) or len(part) != IDEMPOTENCY_BYTES:
            raise OpError(f"an idempotency mark has parts of {IDEMPOTENCY_BYTES} bytes")
    return Idempotency(scope=scope, body=body)
