"""What a hostile client or member may send in place of changes, and a program that takes it.

Law: a pure function of the seed. Each input comes with the name of its kind. Checksums and names
are made good wherever a liar could make them good, so what refuses is what reads.

    python -m tests.property.document_hostile SEED COUNT

runs in a process of its own with little memory, and prints what became of the inputs as JSON.
"""

import hashlib
import json
import random
import resource
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from crdt.document.change import read_changes
from crdt.document.chunk import MAGIC
from crdt.document.gathering import gather
from crdt.document.leb import sleb, uleb
from crdt.document.model import (
    NULL,
    Action,
    ChangeError,
    ChangeOp,
    OpId,
    Scalar,
    ScalarKind,
    Stored,
)
from crdt.document.opened import Document
from crdt.document.operations import COLUMNS
from crdt.document.pack import MARK, Kept, pack
from crdt.dot import Dot
from crdt.fields import CHUNK_MARK
from tests.property.document_target import (
    ANN,
    ANNS,
    BOB,
    EVE,
    LIMITS,
    LIST,
    TEXT,
    Dice,
    Target,
    char,
    chunk_of,
    contents_of,
    made,
)

ROOM_BYTES: Final = 512 * 2**20
"""Address space beyond what the process has when it begins: a bomb ends in a MemoryError."""

HUGE: Final = (2**16, 2**31, 2**32 - 1, 2**32, 2**40, 2**53 - 1, 2**53, 2**63 - 1)
STORED_EACH: Final = 3
"""One of so many is tried in the record of a document, too."""

LEBS: Final = (b"\xff" * 9 + b"\x7f", b"\xff" * 12, b"\x80" * 9 + b"\x00", b"\x80\x00", b"\xff")
Hostile = tuple[str, bytes]

# --- kinds of inputs -------------------------------------------------------------------------


def mutated(target: Target, dice: Dice) -> bytes:
    """A few bytes of a real one, and a checksum that fits."""
    data = bytearray(contents_of(dice.choice(target.changes).data))
    for _ in range(dice.choice((1, 1, 1, 2, 4, 16))):
        at = dice.randrange(len(data))
        match dice.randrange(4):
            case 0:
                data[at] ^= 1 << dice.randrange(8)
            case 1:
                data[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            case 2:
                del data[at : at + dice.choice((1, 1, 3, 40))]
            case _:
                data[at:at] = dice.choice((*LEBS, dice.randbytes(3)))
        if not data:
            break
    return chunk_of(bytes(data))


def spliced(target: Target, dice: Dice) -> bytes:
    """The beginning of one and the end of another."""
    one, other = (contents_of(dice.choice(target.changes).data) for _ in "ab")
    return chunk_of(one[: dice.randrange(len(one))] + other[dice.randrange(len(other)) :])


def run_bomb(target: Target, dice: Dice) -> bytes:
    """Columns that claim more rows than there are atoms."""
    count = dice.choice((65_537, *HUGE))
    runs = (
        sleb(count) + b"\x01",
        b"\x00" + uleb(count),
        uleb(count),
        b"\x00" + uleb(count) + sleb(count) + b"\x01",
        sleb(65_536) + b"\x01" + sleb(65_536) + b"\x02",
        sleb(-count) + b"\x01\x02\x03",
    )
    columns = {one: dice.choice(runs) for one in dice.sample(sorted(COLUMNS), dice.randint(1, 6))}
    columns.setdefault(0x42, dice.choice(runs))
    return target.raw(dice, columns)


def full_run(target: Target, dice: Dice) -> bytes:
    """As many operations as there may be, from a hundred bytes, for an object that is not there."""
    count = dice.choice((LIMITS.change_ops_max, LIMITS.change_ops_max - 1))
    columns = {0x01: sleb(count) + b"\x01", 0x02: sleb(count) + b"\x63", 0x34: uleb(count)}
    columns |= {0x15: sleb(count) + b"\x01k", 0x42: sleb(count) + b"\x01"}
    columns |= {0x56: sleb(count) + b"\x00", 0x70: sleb(count) + b"\x00"}
    return target.raw(
        dice, columns, others=ANNS, message=b"\x08" + dice.randbytes(4).hex().encode()
    )


def value_bomb(target: Target, dice: Dice) -> bytes:
    """Values that say they are longer than anything."""
    kind = dice.randrange(16)
    length = dice.choice(HUGE) & (2**59 - 1)
    columns = {0x15: b"\x7f\x01k", 0x42: b"\x7f\x01", 0x34: b"\x01", 0x70: b"\x7f\x00"}
    columns |= {0x56: b"\x7f" + uleb(length << 4 | kind), 0x57: dice.randbytes(9)}
    return target.raw(dice, columns)


def overflow(target: Target, dice: Dice) -> bytes:
    """Numbers without an end, or with one too many, in the head of a change."""
    place = dice.choice(
        ("deps", "actor", "seq", "start", "time", "message", "others", "count", "size-66")
    )
    number = dice.choice((*LEBS, *map(uleb, HUGE)))
    columns = {0x15: b"\x7f\x01k", 0x42: b"\x7f\x01", 0x34: b"\x01", 0x56: b"\x7f\x00"}
    if place == "time" and len(number) < 9:
        number = b"\xff" * 12
    return target.raw(dice, columns | {0x70: b"\x7f\x00"}, **{place: number})


@cache
def _squeezed(filling: bytes, times: int) -> bytes:
    squeezer = zlib.compressobj(1, zlib.DEFLATED, -15)
    pieces = [squeezer.compress(filling * min(2**20, times - at)) for at in range(0, times, 2**20)]
    return b"".join(pieces) + squeezer.flush()


def deflated(_: Target, dice: Dice) -> bytes:
    """Chunks of type 2 that grow a thousandfold, or lie about what is in them."""
    size = dice.choice((300_000, 3_000_000, 120 * 2**20))
    packed = _squeezed(b"\x00", size)[: LIMITS.change_bytes_max - 40]
    if dice.random() < 0.3:
        packed = packed[: dice.randrange(len(packed))] + dice.randbytes(dice.randrange(9))
    return MAGIC + dice.randbytes(4) + b"\x02" + uleb(len(packed)) + packed


def deflated_mutation(target: Target, dice: Dice) -> bytes:
    """A mutated change, deflated as an earlier version of the library would."""
    chunk = mutated(target, dice)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = squeezer.compress(contents_of(chunk)) + squeezer.flush()
    return chunk[:8] + b"\x02" + uleb(len(packed)) + packed


def stranger_deps(target: Target, dice: Dice) -> bytes:
    """Changes that depend on what nobody has, on each other, or on everything."""
    a, b = dice.randbytes(32), dice.randbytes(32)
    known = [one.hash for one in target.changes]
    deps = dice.choice(
        (
            [a],
            [b, a, a],
            [*known[:2], a],
            [target.heads[0], target.heads[0]],
            sorted(known, reverse=True),
            [dice.randbytes(32) for _ in range(2_000)],
        )
    )
    columns = {0x15: b"\x7f\x01k", 0x34: b"\x01", 0x42: b"\x7f\x01", 0x56: b"\x7f\x00"}
    count = dice.choice((uleb(len(deps)), uleb(len(deps)), uleb(2**40)))
    return target.raw(dice, columns | {0x70: b"\x7f\x00"}, deps=count + b"".join(deps))


def circle(target: Target, dice: Dice) -> bytes:
    """Two chunks, each of which says that it depends on the other."""
    put = [ChangeOp(None, "k", False, Action.SET, NULL)]
    one = made(EVE, 1, target.next_op, (dice.randbytes(32),), put)
    two = made(EVE, 2, target.next_op + 1, (one.hash,), put)
    back = one.data[:10] + two.hash + one.data[42:]
    return dice.choice((one.data + two.data, back + two.data, two.data + one.data))


def number_clash(target: Target, dice: Dice) -> bytes:
    """Changes under a name and number that are taken, skipped, or none."""
    put = [ChangeOp(None, f"k{dice.random()}", False, Action.SET, NULL)]
    taken = dice.choice(target.changes)
    which = dice.randrange(3)
    if which == 0:
        return target.change(put, taken.actor, taken.seq)
    if which == 1:
        return target.change(put, dice.choice((ANN, BOB, EVE)), dice.choice((9, *HUGE[:6])))
    return target.raw(dice, {0x42: b"\x7f\x01"}, seq=b"\x00")


def wild_actor(target: Target, dice: Dice) -> bytes:
    """Actors by numbers that are not in the table, and tables that are none."""
    index = dice.choice((2, 3, *HUGE))
    columns = {0x01: b"\x7f" + uleb(index), 0x02: b"\x7f\x01", 0x15: b"\x7f\x01k"}
    columns |= {0x34: b"\x01", 0x42: b"\x7f\x01", 0x56: b"\x7f\x00", 0x70: b"\x7f\x00"}
    if dice.random() < 0.3:
        columns |= {0x70: b"\x7f\x01", 0x71: b"\x7f" + uleb(index), 0x73: b"\x7f\x01"}
        del columns[0x01], columns[0x02]
    if dice.random() < 0.3:
        name = dice.choice((b"", EVE, dice.randbytes(65), ANN))
        return target.raw(dice, columns, others=b"\x02" + uleb(len(name)) + name + uleb(16) + ANN)
    return target.raw(dice, columns, others=dice.choice((ANNS, ANNS, b"\x00")))


def huge_counter(target: Target, dice: Dice) -> bytes:
    """Operations with counters that leave no room for any other, and references to such."""
    put = ChangeOp(None, "k", False, Action.SET, NULL)
    far = OpId(dice.choice(HUGE[:4]), dice.choice((ANN, EVE)))
    match dice.randrange(4):
        case 0:
            start = dice.choice((target.next_op + 1, 2**31, 2**32 - 1))
            return target.change([put], start_op=start)
        case 1:
            return target.raw(dice, {0x15: b"\x7f\x01k", 0x42: b"\x7f\x01"}, start=uleb(2**53))
        case 2:
            return target.change([put._replace(obj=far)])
        case _:
            return target.change([dice.choice((put._replace(pred=(far,)), char(TEXT, far, "x")))])


def giant_length(target: Target, dice: Dice) -> bytes:
    """Chunks that say they are longer than they are, shorter, or endless."""
    chunk = dice.choice(target.changes).data
    length = dice.choice((*LEBS, *map(uleb, HUGE), b"\x00", b"\x01"))
    return chunk[:9] + length + contents_of(chunk)


def no_sense(target: Target, dice: Dice) -> bytes:
    """Well written, and it cannot be: what operations may not do."""
    one, here = Scalar(ScalarKind.INT, 1), OpId(target.next_op, EVE)
    put = ChangeOp(None, "k", False, Action.SET, one)
    first = OpId(3, ANN)
    deep = [ChangeOp(None, "deep", False, Action.MAKE_MAP)]
    deep += [
        ChangeOp(OpId(target.next_op + n, EVE), "d", False, Action.MAKE_MAP) for n in range(80)
    ]
    choices = (
        [put._replace(obj=OpId(999, BOB))],
        [put._replace(obj=first)],
        [put._replace(obj=TEXT)],
        [put._replace(insert=True)],
        [put._replace(key=first)],
        [put._replace(pred=(first,))],
        [put._replace(pred=(OpId(44, ANN), OpId(44, ANN)))],
        [ChangeOp(None, "count", False, Action.INCREMENT, Scalar(6, "x"), (OpId(44, ANN),))],
        [ChangeOp(None, "k", False, Action.DELETE)],
        [ChangeOp(None, "k", False, Action.MAKE_TABLE)],
        [ChangeOp(None, "k", False, Action.MARK, one, mark="m")],
        [char(LIST, first, "x")],
        [char(TEXT, OpId(999, ANN), "x")],
        [char(TEXT, here, "x")],
        [ChangeOp(TEXT, first, True, Action.DELETE, NULL, (first,))],
        [put, put._replace(key="j", pred=(here,))],
        [ChangeOp(here, "k", False, Action.MAKE_MAP)],
        deep,
    )
    try:
        return target.change(dice.choice(choices))
    except ChangeError:
        return target.raw(dice, {0x15: b"\x7f\x01k", 0x42: b"\x7f" + uleb(dice.randrange(8, 99))})


def other_chunk(target: Target, dice: Dice) -> bytes:
    """Other types of chunks, noise, nothing."""
    chunk = dice.choice(target.changes).data
    kind = dice.choice((0, 3, 4, 5, 0x81, 0xFF))
    typed = bytes([kind]) + chunk[9:]
    return dice.choice(
        (
            MAGIC,
            MAGIC + dice.randbytes(dice.randrange(20)),
            dice.randbytes(dice.randrange(1, 300)),
            MAGIC + hashlib.sha256(typed).digest()[:4] + typed,
            chunk[: dice.randrange(1, len(chunk))],
            chunk[:4] + dice.randbytes(4) + chunk[8:],
            chunk + dice.randbytes(5),
        )
    )


def many_bombs(target: Target, dice: Dice) -> bytes:
    """A body full of short chunks, each with as many operations as there may be."""
    return b"".join(full_run(target, dice) for _ in range(200))


def pack_bomb(_: Target, dice: Dice) -> bytes:
    """Packs that hold far more than they are, or say so."""
    size = dice.choice((2**20, 2**24, 2**25))
    packed = _squeezed(dice.choice((b"\x00", b"\x01", b"\xff")), size)
    count = dice.choice((1, 20_000, 20_001, *HUGE))
    said = dice.choice((size, size - 1, 2**24, *HUGE))
    return MARK + uleb(count) + uleb(said) + packed


def pack_lies(target: Target, dice: Dice) -> bytes:
    """A real pack whose streams were changed, and deflated again."""
    kept = [Kept(one, "eve", 5 << 16) for one in target.changes[: dice.randint(1, 9)]]
    data = pack(kept)
    head = len(MARK)
    inflater = zlib.decompressobj(-15)
    body = bytearray(inflater.decompress(data[head + 1 + (2 if data[head + 1] > 0x7F else 1) :]))
    for _ in range(dice.choice((1, 1, 2, 8))):
        at = dice.randrange(len(body))
        body[at : at + dice.randrange(3)] = dice.choice((*LEBS, dice.randbytes(2)))
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = squeezer.compress(bytes(body)) + squeezer.flush()
    count = dice.choice((len(kept), len(kept) + 1, 20_000))
    return MARK + uleb(count) + uleb(len(body)) + packed


Make = Callable[[Target, Dice], bytes]
OFTEN: Final[tuple[Make, ...]] = (
    *(mutated, mutated, mutated, spliced, run_bomb, value_bomb, overflow, deflated_mutation),
    *(stranger_deps, circle, number_clash, wild_actor, huge_counter, giant_length, no_sense),
    *(other_chunk, pack_lies),
)
SELDOM: Final[tuple[Make, ...]] = (full_run, deflated, pack_bomb)
RARE: Final[tuple[Make, ...]] = (many_bombs,)
KINDS: Final = {make.__name__ for make in (*OFTEN, *SELDOM, *RARE)}


def inputs(target: Target, seed: int, count: int) -> Iterator[Hostile]:
    """So many hostile inputs; those that cost much come seldom."""
    dice = random.Random(seed)
    for number in range(count):
        makes = RARE if number % 500 == 499 else SELDOM if number % 20 == 19 else OFTEN
        make = dice.choice(makes)
        yield make.__name__, make(target, dice)


# --- what becomes of them --------------------------------------------------------------------


def at_the_door(target: Target, data: bytes) -> str:
    """What a client is told who sends this: the name of the error, or that it is taken."""
    try:
        fresh = target.document.accepts(read_changes(data, LIMITS))
    except ChangeError as error:
        return type(error).__name__
    return "taken" if fresh else "known"


def in_the_record(target: Target, data: bytes) -> str:
    """What becomes of this when a faulty member writes it into the record."""
    named = CHUNK_MARK + hashlib.sha256(data).hexdigest()
    try:
        (only,) = read_changes(data, LIMITS)
    except (ChangeError, ValueError):
        pass
    else:
        named = CHUNK_MARK + only.hash.hex()
        if any((one.actor, one.seq) == (only.actor, only.seq) for one in target.changes):
            return "rival"
    stored = [*target.stored, Stored(named, data, "eve", 99 << 16, Dot(b"e" * 45, 1))]
    document = Document.opened(gather(stored, LIMITS), LIMITS)
    if document.heads != target.heads:
        return "taken"
    assert document.value() == target.document.value()
    assert [one.name for one in document.aside] == [named] or data == b"", named
    return document.aside[0].reason


def _memory(name: str) -> int:
    """KiB of this process: what it has (VmRSS), or the most it had (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def main() -> None:
    """Take hostile inputs; say what became of them, and what memory it took."""
    seed, count = map(int, sys.argv[1:])
    target = Target()
    before = target.document.data(), target.document.value(), target.heads
    # What attacks is made before it is measured, that only what is target is.
    every = list(inputs(target, seed, count))
    Path("/proc/self/clear_refs").write_text("5")
    memory = _memory("VmRSS")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    told: dict[str, Counter[str]] = {"door": Counter(), "record": Counter()}
    kinds: Counter[str] = Counter()
    longest = 0
    for number, (kind, data) in enumerate(every):
        kinds[kind] += 1
        longest = max(longest, len(data))
        told["door"][f"{kind}: {at_the_door(target, data)}"] += 1
        if number % STORED_EACH == 0 and len(data) < LIMITS.stored_bytes_max:
            told["record"][f"{kind}: {in_the_record(target, data)}"] += 1
        assert (target.document.data(), target.document.value(), target.document.heads) == before, (
            kind
        )
    grown = _memory("VmHWM") - memory
    answer: dict[str, Any] = {"grown_kib": grown, "kinds": kinds, "longest": longest, **told}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
