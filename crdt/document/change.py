"""Changes as bytes: the chunk of one change, written and read.

Law: a change has one spelling. What is read is, byte for byte, what would be written for it, so a
hash names what a change says, and not one of many ways of saying it. That is more than the format
asks for and just what it needs: other programs keep what a change says and give its bytes again
from that, and a document with a change in any other spelling could be saved by them and never be
opened again. For the same reason nothing is taken that they would drop on the way: a value of
what takes none, a deletion of nothing, columns of later versions.

Contents of a chunk: the changes it depends on, actor, number, counter of the first operation,
time, message, the other actors that are mentioned, columns, and bytes for later versions
(Automerge binary format, change chunks).
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from crdt.document.chunk import frame, open_chunk, split_chunks
from crdt.document.columns import NUMBER_MAX, read_uints
from crdt.document.leb import read_sleb, read_uleb, sleb, uleb
from crdt.document.model import (
    ACTOR_BYTES_MAX,
    HASH_BYTES,
    Change,
    ChangeError,
    ChangeOp,
    DocumentLimits,
    DocumentTooLargeError,
)
from crdt.document.operations import ACTION, COLUMNS, actors_of, check_ops, read_ops, write_ops

COUNTER_MAX: Final = 2**32 - 1
"""Largest counter of an operation: what the official library counts in."""

_ONE_BYTE: Final = 0x80
_DEFLATE_BIT: Final = 0x08


def encode_change(
    *,
    actor: bytes,
    seq: int,
    start_op: int,
    time: int,
    message: str | None,
    deps: Iterable[bytes],
    ops: Iterable[ChangeOp],
    extra: bytes = b"",
) -> Change:
    """The change that says this, with the bytes and the hash that the official library gives it.

    Args:
        actor: who; 1 to `ACTOR_BYTES_MAX` bytes.
        seq: its number, from 1 on.
        start_op: counter of its first operation, from 1 on.
        time: seconds since the epoch; 0 to say none.
        message: what its author says of it; an empty one is none.
        deps: hashes of the changes it is made upon, in any order.
        ops: what it does; the predecessors of each smallest first.
        extra: bytes for later versions of the format.

    Raises:
        ChangeError: a change cannot say that.
    """
    known = tuple(sorted(set(deps)))
    done = tuple(ops)
    if any(len(one) != HASH_BYTES for one in known):
        raise ChangeError(f"a hash has {HASH_BYTES} bytes")
    _check_head(actor, seq, start_op, time, len(done))
    _check_extra(extra, seq)
    check_ops(done)
    others = sorted(actors_of(done) - {actor})
    if any(not 0 < len(one) <= ACTOR_BYTES_MAX for one in others):
        raise ChangeError(f"the name of an actor has 1 to {ACTOR_BYTES_MAX} bytes")
    try:
        words = (message or "").encode()
        columns = write_ops(done, {one: place for place, one in enumerate((actor, *others))})
    except UnicodeEncodeError as error:
        raise ChangeError("a text holds half of a surrogate pair") from error
    head = assemble(known, actor, seq, start_op, time, words, others)
    digest, data = frame(head + assemble_columns(columns) + extra)
    return Change(digest, data, actor, seq, start_op, time, message or None, known, done, extra)


def assemble(
    deps: Sequence[bytes],
    actor: bytes,
    seq: int,
    start_op: int,
    time: int,
    words: bytes,
    others: Sequence[bytes],
) -> bytes:
    """The contents of a chunk up to its columns; nothing is checked."""
    parts = [uleb(len(deps)), *deps, uleb(len(actor)), actor, uleb(seq), uleb(start_op)]
    parts += (sleb(time), uleb(len(words)), words, uleb(len(others)))
    for one in others:
        parts += (uleb(len(one)), one)
    return b"".join(parts)


def assemble_columns(columns: Sequence[tuple[int, bytes]]) -> bytes:
    """What each column is called and how long it is, then all of them; nothing is checked."""
    parts = [uleb(len(columns))]
    for column, data in columns:
        parts += (uleb(column), uleb(len(data)))
    parts += [data for _, data in columns]
    return b"".join(parts)


def read_change(chunk: bytes, limits: DocumentLimits) -> Change:
    """The change that a chunk of type 1 holds.

    Raises:
        DocumentTooLargeError: it has more bytes or operations than a change may have.
        ChangeError: it is not what the format says, or not spelled as the format spells it.
    """
    digest, begin = open_chunk(chunk, limits)
    try:
        deps, actor, seq, start_op, time, message, others, at = read_head(chunk, begin)
        columns, end = read_columns(chunk, at)
        ops = read_ops(columns, (actor, *others), limits)
    except IndexError:
        raise ChangeError(
            "a change is cut off, or mentions an actor that it does not name"
        ) from None
    _check_head(actor, seq, start_op, time, len(ops))
    extra = chunk[end:]
    _check_extra(extra, seq)
    return Change(digest, chunk, actor, seq, start_op, time, message, deps, ops, extra)


def claimed_ops(chunk: bytes, limits: DocumentLimits) -> int:
    """How many operations a chunk of type 1 says it holds; none of them is read.

    Raises:
        ChangeError: it does not come to saying so.
    """
    try:
        at = read_head(chunk, open_chunk(chunk, limits)[1])[-1]
        columns, _ = read_columns(chunk, at)
    except IndexError:
        raise ChangeError("a change is cut off") from None
    return len(read_uints(columns.get(ACTION, b""), limits.change_ops_max))


def read_changes(data: bytes, limits: DocumentLimits) -> list[Change]:
    """The changes that lie one after the other, each once, in the order in which they stand.

    A hundred bytes may claim as many operations as a change may have, so they are counted as they
    are read: no more is made of any number of chunks than of a document.

    Raises:
        DocumentTooLargeError: a change, or all together, pass a bound.
        ChangeError: what lies there are no changes.
    """
    changes: dict[bytes, Change] = {}
    left = limits.ops_max
    for chunk in dict.fromkeys(split_chunks(data, limits)):
        most = min(left, limits.change_ops_max)
        try:
            change = read_change(chunk, limits._replace(change_ops_max=most))
        except DocumentTooLargeError as error:
            if error.bound != "change_ops_max" or most == limits.change_ops_max:
                raise
            raise DocumentTooLargeError("ops_max", limits.ops_max, limits.ops_max + 1) from error
        left -= len(change.ops)
        changes[change.hash] = change
    return list(changes.values())


def _check_head(actor: bytes, seq: int, start_op: int, time: int, count: int) -> None:
    if not 0 < len(actor) <= ACTOR_BYTES_MAX:
        raise ChangeError(f"the name of an actor has 1 to {ACTOR_BYTES_MAX} bytes")
    if not 0 < seq <= NUMBER_MAX:
        raise ChangeError(f"{seq} is no number of a change")
    if start_op < 1 or start_op + count - 1 > COUNTER_MAX:
        raise ChangeError(f"{start_op} is no counter to begin {count} operations with")
    if not -NUMBER_MAX <= time <= NUMBER_MAX:
        raise ChangeError(f"{time} is no time")


def _check_extra(extra: bytes, seq: int) -> None:
    """Version 3.5 of the library takes such bytes for more, and panics after a first change."""
    if seq > 1 and extra[:1] == b"\x01":
        raise ChangeError("bytes at its end that only the first change of an actor may have")


def read_head(
    data: bytes, at: int
) -> tuple[tuple[bytes, ...], bytes, int, int, int, str | None, Sequence[bytes], int]:
    """What stands before the columns.

    Returns:
        Dependencies, actor, number, counter of the first operation, time, message, the other
        actors, and where the columns begin.

    Raises:
        ChangeError: it is cut off or not spelled as it should be.
    """
    count, at = read_uleb(data, at)
    if count * HASH_BYTES > len(data) - at:
        raise ChangeError("the dependencies of a change are cut off")
    end = at + count * HASH_BYTES
    deps = tuple(data[one : one + HASH_BYTES] for one in range(at, end, HASH_BYTES))
    if count > 1:
        _ascending(deps, "dependencies")
    actor, at = _read_bytes(data, end)
    seq, at = read_uleb(data, at)
    start_op, at = read_uleb(data, at)
    time, at = read_sleb(data, at)
    words, at = _read_bytes(data, at)
    count, at = read_uleb(data, at)
    others: list[bytes] = []
    for _ in range(count):
        other, at = _read_bytes(data, at)
        if not 0 < len(other) <= ACTOR_BYTES_MAX or other == actor:
            raise ChangeError("an actor has no name, too long a name, or is named twice")
        others.append(other)
    if count > 1:
        _ascending(others, "other actors")
    try:
        message = words.decode() or None
    except UnicodeDecodeError as error:
        raise ChangeError("the message of a change is not UTF-8") from error
    return deps, actor, seq, start_op, time, message, others, at


def _ascending(names: Sequence[bytes], what: str) -> None:
    if any(one >= after for one, after in pairwise(names)):
        raise ChangeError(f"the {what} of a change are not in order")


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = read_uleb(data, at)
    end = at + length
    if end > len(data):
        raise ChangeError("a change is cut off")
    return data[at:end], end


def read_columns(data: bytes, at: int) -> tuple[dict[int, bytes], int]:
    """The bytes of each column, and where the last one ends.

    Raises:
        ChangeError: they are cut off, out of order, or of another version of the format.
        IndexError: the bytes end before the columns begin.
    """
    count, at = read_uleb(data, at)
    if count > len(COLUMNS):
        raise ChangeError(f"{count} columns")
    sizes: list[tuple[int, int]] = []
    last = 0
    for _ in range(count):
        column = data[at]
        if column < _ONE_BYTE:
            at += 1
        else:
            column, at = read_uleb(data, at)
        size = data[at]
        if size < _ONE_BYTE:
            at += 1
        else:
            size, at = read_uleb(data, at)
        if column not in COLUMNS:
            what = "is deflated" if column & _DEFLATE_BIT else "is of another version"
            raise ChangeError(f"column {column:#x} {what}")
        if column <= last or not size:
            raise ChangeError("the columns of a change are not in order, or one is empty")
        last = column
        sizes.append((column, size))
    columns: dict[int, bytes] = {}
    for column, size in sizes:
        columns[column] = data[at : at + size]
        at += size
    if at > len(data):
        raise ChangeError("the columns of a change are cut off")
    return columns, at
