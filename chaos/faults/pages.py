"""The pages of an LMDB file, read from its bytes: which are in use, and how to hurt them.

Law: what is damaged is in use, for damage to a free page proves nothing. The layout is that of
LMDB 0.9 on a little-endian machine of 64 bits (mdb.c: MDB_page, MDB_node, MDB_db, MDB_meta);
nothing is written but by `flip`, `zero`, `tear` and `cut`.
"""

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_MAGIC: Final = 0xBEEFC0DE
_HEADER_BYTES: Final = 16
_BRANCH: Final = 0x01
_LEAF: Final = 0x02
_BIG: Final = 0x01
_SUB: Final = 0x02
_NONE: Final = (1 << 64) - 1
_DRAWS: Final = 20
_DB: Final = struct.Struct("<IHHQQQQQ")
_META: Final = struct.Struct("<IIQQ")
_NODE: Final = struct.Struct("<HHHH")
_PAGE: Final = struct.Struct("<QHHHH")


class Damage(NamedTuple):
    """What was done to a file.

    Attributes:
        kind: in a word.
        pages: numbers of the pages that were hurt.
    """

    kind: str
    pages: list[int]


class _Meta(NamedTuple):
    page_bytes: int
    txn: int
    root: int


def used_pages(path: Path) -> tuple[int, list[int]]:
    """Size of a page in bytes, and the numbers of all pages that hold rows, in order.

    Raises:
        ValueError: it is no such file.
    """
    data = path.read_bytes()
    page_bytes, root = _latest(data)
    found: set[int] = set()
    roots = [root]
    while roots:
        for page, below in _walk(data, page_bytes, roots.pop()):
            found.add(page)
            roots += below
    return page_bytes, sorted(found)


def _latest(data: bytes) -> tuple[int, int]:
    first = _meta(data, 0)
    second = _meta(data, first.page_bytes)
    return first.page_bytes, max(first, second, key=lambda meta: meta.txn).root


def _meta(data: bytes, start: int) -> _Meta:
    at = start + _HEADER_BYTES
    if len(data) < at + 136 or _META.unpack_from(data, at)[0] != _MAGIC:
        raise ValueError("no meta page of LMDB where one should be")
    free = _DB.unpack_from(data, at + _META.size)
    main = _DB.unpack_from(data, at + _META.size + _DB.size)
    _last, txn = struct.unpack_from("<QQ", data, at + _META.size + 2 * _DB.size)
    return _Meta(page_bytes=free[0], txn=txn, root=main[-1])


def _walk(data: bytes, page_bytes: int, root: int) -> Iterator[tuple[int, list[int]]]:
    """Pages of one tree, each with the roots of the trees that stand in it."""
    left = [] if root == _NONE else [root]
    while left:
        number = left.pop()
        start = number * page_bytes
        _, _, flags, lower, _ = _PAGE.unpack_from(data, start)
        below: list[int] = []
        for at in struct.unpack_from(
            f"<{(lower - _HEADER_BYTES) // 2}H", data, start + _HEADER_BYTES
        ):
            low, high, node_flags, key_bytes = _NODE.unpack_from(data, start + at)
            value = start + at + _NODE.size + key_bytes
            if flags & _BRANCH:
                left.append(low | high << 16 | node_flags << 32)
            elif flags & _LEAF and node_flags & _BIG:
                size = low | high << 16
                first = struct.unpack_from("<Q", data, value)[0]
                count = (size + _HEADER_BYTES + page_bytes - 1) // page_bytes
                yield from ((first + more, []) for more in range(count))
            elif flags & _LEAF and node_flags & _SUB:
                root_of = _DB.unpack_from(data, value)[-1]
                below += [] if root_of == _NONE else [root_of]
        yield number, below


# --- hurting ----------------------------------------------------------------------------------


def flip(path: Path, rng: random.Random, bits: int) -> Damage:
    """Flip bits in pages that are in use."""
    page_bytes, used = used_pages(path)
    hurt = []
    with path.open("r+b") as file:
        for _ in range(bits):
            page = rng.choice(used)
            place = page * page_bytes + rng.randrange(page_bytes)
            file.seek(place)
            held = file.read(1)[0]
            file.seek(place)
            file.write(bytes([held ^ 1 << rng.randrange(8)]))
            hurt.append(page)
    return Damage(f"{bits} bits", hurt)


def zero(path: Path, rng: random.Random) -> Damage:
    """Make a page in use all zeros, as a lost write leaves it."""
    page_bytes, used = used_pages(path)
    page = rng.choice(used)
    with path.open("r+b") as file:
        file.seek(page * page_bytes)
        file.write(bytes(page_bytes))
    return Damage("a page of zeros", [page])


def tear(path: Path, rng: random.Random) -> Damage:
    """Put the end of one page in use behind the beginning of another, sector by sector."""
    page_bytes, used = used_pages(path)
    data = path.read_bytes()
    for _ in range(_DRAWS):
        page, other = rng.sample(used, 2)
        keep = 512 * rng.randrange(1, page_bytes // 512)
        rest = data[other * page_bytes + keep : (other + 1) * page_bytes]
        place = page * page_bytes + keep
        if data[place : place + len(rest)] != rest:  # pages of large values are often alike
            with path.open("r+b") as file:
                file.seek(place)
                file.write(rest)
            return Damage("a torn page", [page])
    return zero(path, rng)


def cut(path: Path, rng: random.Random) -> Damage:
    """Cut the file off at or within a page in use."""
    page_bytes, used = used_pages(path)
    page = rng.choice(used[len(used) // 2 :])
    length = page * page_bytes + rng.choice((0, 512, page_bytes - 1))
    gone = [number for number in used if (number + 1) * page_bytes > length]
    with path.open("r+b") as file:
        file.truncate(length)
    return Damage("a truncated file", gone)
