"""Packs: many changes folded into one value, without losing a byte of any.

Law: what is packed comes out again as it was, byte for byte, in the same order, each change with
who wrote it and when. Nothing in a pack is believed: every change is put together and read again
as if it had come alone, and no more is made of a pack than its reader allows.

Since a change has one spelling, a pack leaves out what follows from the rest: checksums and
hashes, a dependency on the change before, the next number of an actor, the next counter, the name
of the element after which typing goes on. What is the same in many changes, their shape (columns
with counts of runs, not with places or values), is kept once. The rest is one stream for each
property, all of them deflated together (RFC 1951).

Layout: mark, count, length of the streams (LEB128 both), streams, deflated. Each of the streams
begins with its length.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from crdt.document.change import (
    assemble,
    assemble_columns,
    read_change,
    read_columns,
    read_head,
)
from crdt.document.chunk import UNFOLDED_TIMES, contents_at, frame
from crdt.document.leb import read_uleb, uleb
from crdt.document.model import (
    Change,
    ChangeError,
    DocumentLimits,
    DocumentTooLargeError,
)
from crdt.document.operations import KEY_STRING, VALUE
from crdt.document.shapes import Cursor, Rest, Shape, blob, fold, read_shape, signed, unfold
from crdt.hlc import COUNTER_BITS, STAMP_MAX

MARK: Final = b"mnpk\x01"
AGENT_BYTES_MAX: Final = 512
_RAW_DEFLATE: Final = -15
_LEVEL: Final = 9
_ACTORS, _AGENTS, _HASHES, _SHAPES = range(4)
"""Tables: each thing once, in the order in which changes first mention it."""

_ACTOR, _SEQ, _START, _TIME, _MESSAGE, _DEPS, _OTHERS, _SHAPE = range(4, 12)
_PLACES, _KEYS, _VALUES, _EXTRA, _AGENT, _MS, _COUNTER = range(12, 19)
_STREAMS: Final = 19
_COUNTER_MASK: Final = (1 << COUNTER_BITS) - 1


class Kept(NamedTuple):
    """A change, who wrote it into the record, and the stamp it was written with."""

    change: Change
    agent: str
    hlc: int


def is_pack(data: bytes) -> bool:
    """Whether bytes claim to be a pack."""
    return data.startswith(MARK)


def claimed(data: bytes) -> tuple[int, int]:
    """How many changes a pack claims to hold, and in how many bytes; nothing of it is read.

    Raises:
        ChangeError: it has no head.
    """
    count, at = read_uleb(data, len(MARK))
    return count, read_uleb(data, at)[0]


class _Last:
    """What is known before a change is written or read, and makes most of it go without saying."""

    __slots__ = ("change", "ms", "seqs", "start_op", "time")

    def __init__(self) -> None:
        self.change: Change | None = None
        self.seqs: dict[bytes, int] = {}
        self.start_op = 1
        self.time = 0
        self.ms = 0

    def advance(self, change: Change, ms: int) -> None:
        """Go on to the next one."""
        self.change = change
        self.seqs[change.actor] = change.seq
        self.start_op = change.start_op + len(change.ops)
        self.time = change.time
        self.ms = ms


class _Table:
    """Gives each thing a number when it first comes, and writes it down then."""

    __slots__ = ("_numbers", "_stream")

    def __init__(self, stream: bytearray) -> None:
        self._numbers: dict[bytes, int] = {}
        self._stream = stream

    def number(self, thing: bytes) -> bytes:
        """The number of a thing, as it is written."""
        known = self._numbers.get(thing)
        if known is None:
            known = self._numbers[thing] = len(self._numbers)
            self._stream += blob(thing)
        return uleb(known)


def pack(kept: Sequence[Kept]) -> bytes:
    """Fold changes into one value.

    The same changes in the same order give the same bytes (of one version of zlib).

    Args:
        kept: changes as `read_change` or `encode_change` gave them; best in a causal order, each
            chain together, since what is left out follows from the change before.
    """
    streams = [bytearray() for _ in range(_STREAMS)]
    tables = [_Table(streams[table]) for table in (_ACTORS, _AGENTS, _HASHES, _SHAPES)]
    last = _Last()
    places: dict[bytes, int] = {}
    for place, one in enumerate(kept):
        _write(one, place, places, last, (streams, tables))
        places[one.change.hash] = place
        last.advance(one.change, one.hlc >> COUNTER_BITS)
    body = b"".join(blob(bytes(stream)) for stream in streams)
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW_DEFLATE)
    deflated = deflater.compress(body) + deflater.flush()
    return b"".join((MARK, uleb(len(kept)), uleb(len(body)), deflated))


def _write(
    one: Kept,
    place: int,
    places: dict[bytes, int],
    last: _Last,
    out: tuple[list[bytearray], list[_Table]],
) -> None:
    streams, (actors, agents, hashes, shapes) = out
    change = one.change
    _, actor, seq, start_op, time, message, others, at = read_head(
        change.data, contents_at(change.data)
    )
    columns, _ = read_columns(change.data, at)
    shape, odd = fold(columns, start_op)
    streams[_ACTOR] += actors.number(actor)
    streams[_SEQ] += signed(seq - last.seqs.get(actor, 0) - 1)
    streams[_START] += signed(start_op - last.start_op)
    streams[_TIME] += signed(time - last.time)
    streams[_MESSAGE] += blob((message or "").encode())
    streams[_DEPS] += _deps(change, place, places, last, hashes)
    streams[_OTHERS] += uleb(len(others)) + b"".join(actors.number(other) for other in others)
    streams[_SHAPE] += shapes.number(shape)
    streams[_PLACES] += b"".join(signed(off) for off in odd)
    if KEY_STRING in columns:
        streams[_KEYS] += blob(columns[KEY_STRING])
    streams[_VALUES] += columns.get(VALUE, b"")
    streams[_EXTRA] += blob(change.extra)
    streams[_AGENT] += agents.number(one.agent.encode())
    ms = one.hlc >> COUNTER_BITS
    streams[_MS] += signed(ms - last.ms)
    streams[_COUNTER] += uleb(one.hlc & _COUNTER_MASK)


def _deps(
    change: Change, place: int, places: dict[bytes, int], last: _Last, hashes: _Table
) -> bytes:
    """Nothing for the change before; otherwise how many, and how far back each is, or its hash."""
    if last.change is not None and change.deps == (last.change.hash,):
        return b"\x00"
    parts = [uleb(len(change.deps) + 1)]
    for one in change.deps:
        at = places.get(one)
        parts.append(b"\x00" + hashes.number(one) if at is None else uleb(place - at))
    return b"".join(parts)


def unpack(
    data: bytes,
    limits: DocumentLimits,
    *,
    known: Mapping[bytes, Kept] | None = None,
    spent: tuple[int, int] = (0, 0),
) -> list[Kept]:
    """The changes of a pack, as they were, in their order.

    Args:
        data: the pack.
        limits: bounds of a document.
        known: changes that were read before, by hash; they are not read again, but counted, so
            what becomes of a pack does not hang on them.
        spent: how many operations, and bytes of changes, are counted already.

    Raises:
        DocumentTooLargeError: there are more changes, operations or bytes than there may be.
        ChangeError: it is no pack, or a change of it is none, or there twice.
    """
    count, streams = _open(data, limits)
    try:
        reader = _Reader([Cursor(stream) for stream in streams], limits, known or {}, spent)
        kept = [reader.next() for _ in range(count)]
    except IndexError:
        raise ChangeError("a pack mentions what it does not hold") from None
    reader.finish()
    if len({one.change.hash for one in kept}) != count:
        raise ChangeError("a pack holds a change twice")
    return kept


def _open(data: bytes, limits: DocumentLimits) -> tuple[int, list[bytes]]:
    """How many changes there are, and the streams; not more than the limits allow."""
    if not is_pack(data):
        raise ChangeError("not a pack of changes")
    count, at = read_uleb(data, len(MARK))
    size, at = read_uleb(data, at)
    most = UNFOLDED_TIMES * limits.stored_bytes_max
    if count > limits.changes_max:
        raise DocumentTooLargeError("changes_max", limits.changes_max, count)
    if size > most:
        raise DocumentTooLargeError("unfolded_bytes_max", most, size)
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    try:
        body = inflater.decompress(data[at:], size + 1)
    except zlib.error as error:
        raise ChangeError("a pack cannot be inflated") from error
    if len(body) != size or not inflater.eof or inflater.unused_data:
        raise ChangeError("a pack is cut off, or goes on after its end")
    cursor = Cursor(body)
    streams = [cursor.blob() for _ in range(_STREAMS)]
    if not cursor.over:
        raise ChangeError("a pack goes on after its end")
    return count, streams


class _Reader:
    """Puts together one change after the other."""

    __slots__ = (
        "_bytes",
        "_hashes",
        "_known",
        "_last",
        "_limits",
        "_ops",
        "_shapes",
        "_streams",
        "_tables",
    )

    def __init__(
        self,
        streams: Sequence[Cursor],
        limits: DocumentLimits,
        known: Mapping[bytes, Kept],
        spent: tuple[int, int],
    ) -> None:
        self._streams = streams
        most = limits.ops_max + limits.changes_max
        tables = (_ACTORS, _AGENTS, _HASHES, _SHAPES)
        self._tables = [_things(streams[table], most) for table in tables]
        self._shapes: dict[int, Shape] = {}
        self._limits = limits
        self._last = _Last()
        self._hashes: list[bytes] = []
        self._known = known
        self._ops = limits.ops_max - spent[0]
        self._bytes = UNFOLDED_TIMES * limits.stored_bytes_max - spent[1]

    def next(self) -> Kept:
        """The next change."""
        streams, last, limits = self._streams, self._last, self._limits
        actors = self._tables[_ACTORS]
        actor = actors[streams[_ACTOR].unsigned()]
        seq = last.seqs.get(actor, 0) + 1 + streams[_SEQ].signed()
        start_op = last.start_op + streams[_START].signed()
        time = last.time + streams[_TIME].signed()
        words = streams[_MESSAGE].blob()
        deps = self._deps()
        others = [actors[streams[_OTHERS].unsigned()] for _ in range(self._other_count())]
        rest = Rest(streams[_PLACES], streams[_KEYS], streams[_VALUES])
        columns = unfold(self._shape(), start_op, rest, limits.change_ops_max)
        head = assemble(deps, actor, seq, start_op, time, words, others)
        digest, chunk = frame(head + assemble_columns(columns) + streams[_EXTRA].blob())
        known = self._known.get(digest)
        change = known.change if known is not None else read_change(chunk, limits)
        agent = _agent(self._tables[_AGENTS][streams[_AGENT].unsigned()])
        ms = last.ms + streams[_MS].signed()
        hlc = ms << COUNTER_BITS | streams[_COUNTER].unsigned() & _COUNTER_MASK
        if not 0 <= hlc <= STAMP_MAX:
            raise ChangeError("a pack holds a stamp that is none")
        self._spend(change)
        last.advance(change, ms)
        self._hashes.append(change.hash)
        return Kept(change, agent, hlc)

    def _shape(self) -> Shape:
        place = self._streams[_SHAPE].unsigned()
        known = self._shapes.get(place)
        if known is None:
            known = self._shapes[place] = read_shape(self._tables[_SHAPES][place])
        return known

    def _spend(self, change: Change) -> None:
        self._ops -= len(change.ops)
        self._bytes -= change.unfolded_bytes
        if self._ops < 0:
            most = self._limits.ops_max
            raise DocumentTooLargeError("ops_max", most, most - self._ops)
        if self._bytes < 0:
            most = UNFOLDED_TIMES * self._limits.stored_bytes_max
            raise DocumentTooLargeError("stored_bytes_max", most, most - self._bytes)

    def _other_count(self) -> int:
        count = self._streams[_OTHERS].unsigned()
        if count > len(self._tables[_ACTORS]):
            raise ChangeError("a change of a pack names more actors than there are")
        return count

    def _deps(self) -> list[bytes]:
        stream, known = self._streams[_DEPS], self._hashes
        count = stream.unsigned()
        if not count:
            return known[-1:]
        if count - 1 > len(known) + len(self._tables[_HASHES]):
            raise ChangeError("a change of a pack depends on more than there is")
        deps: list[bytes] = []
        for _ in range(count - 1):
            back = stream.unsigned()
            if back > len(known):
                raise ChangeError("a change of a pack depends on what is not there")
            deps.append(known[-back] if back else self._tables[_HASHES][stream.unsigned()])
        return deps

    def finish(self) -> None:
        """Nothing may be left over.

        Raises:
            ChangeError: something is.
        """
        if not all(stream.over for stream in self._streams):
            raise ChangeError("a pack holds what belongs to no change")


def _things(stream: Cursor, most: int) -> list[bytes]:
    things: list[bytes] = []
    while not stream.over:
        if len(things) >= most:
            raise ChangeError(f"a pack names more than {most} things")
        things.append(stream.blob())
    return things


def _agent(name: bytes) -> str:
    if len(name) > AGENT_BYTES_MAX:
        raise ChangeError(f"the name of an agent has more than {AGENT_BYTES_MAX} bytes")
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise ChangeError("the name of an agent is not UTF-8") from error
