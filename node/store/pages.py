"""The pages of a store's file, checked from its bytes before LMDB follows them.

Law: nothing is written, and nothing here can be ended by what it reads: LMDB believes every
number on a page, so a flipped bit there is a wrong row, a missing one, or the end of the process
(SIGBUS, SIGSEGV). What passes is one tree a table, in order of key, every page in it once and in
no list of free ones, with as many rows and pages as its root says. Values are not looked at: the
rows know themselves (`node.store.scrub`).

Source: LMDB 0.9, mdb.c (MDB_page, MDB_node, MDB_db, MDB_meta), on 64 bits.
"""

import operator
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

_MAGIC: Final = 0xBEEFC0DE
_HEADER_BYTES: Final = 16
_META_BYTES: Final = 136
_BRANCH: Final = 0x01
_LEAF: Final = 0x02
_LONG: Final = 0x04
_HEAD_PAGE: Final = 0x08
_BIG: Final = 0x01
_SUB: Final = 0x02
_INTEGER_KEYS: Final = 0x08
_NOWHERE: Final = (1 << 64) - 1
_DEPTH_MAX: Final = 32
_KEY_BYTES_MAX: Final = 511
_PAGE_BYTES: Final = (512, 65536)
_PAGES_PER_STEP: Final = 64
_VERSION: Final = 1
_DB: Final = struct.Struct("=IHHQQQQQ")
_META: Final = struct.Struct("=IIQQ")
_ENDS: Final = struct.Struct("=QQ")
_NODE: Final = struct.Struct("=HHHH")
_PAGE: Final = struct.Struct("=QHHHH")
_NUMBER: Final = struct.Struct("=Q")
_COUNT: Final = struct.Struct("=I")

Order = Callable[[bytes], bytes | int]
"""What keys of a table are compared by."""


class BadPage(Exception):  # noqa: N818 - it says what was found
    """A page is not what it must be.

    Args:
        page: its number.
        why: what does not hold.
    """

    def __init__(self, page: int, why: str) -> None:
        super().__init__(f"page {page}: {why}")
        self.page = page


class Db(NamedTuple):
    """The root of one table, as it is stored."""

    pad: int
    flags: int
    depth: int
    branch_pages: int
    leaf_pages: int
    long_pages: int
    rows: int
    root: int


class Meta(NamedTuple):
    """One state of the file: the roots of its free pages and of its tables."""

    page_bytes: int
    free: Db
    main: Db
    last_page: int
    txn: int


_Node = tuple[bytes, int, int, int]
"""Of an entry: its key, its flags, the page below it or the size of its value, where that begins.

A plain tuple: a start reads a million of them.
"""


class PageFile:
    """An open data file, read page by page.

    Args:
        path: the file.

    Raises:
        BadPage: its first pages are none of LMDB.
        OSError: the disk.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.page_bytes = 4096
        try:
            self.page_bytes = self._meta(0).page_bytes
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it."""
        os.close(self._handle)

    def metas(self) -> list[Meta]:
        """Both states that the file names, the newer one first.

        Raises:
            BadPage: one of them is not what it must be.
        """
        return sorted((self._meta(0), self._meta(1)), key=lambda meta: -meta.txn)

    def _meta(self, number: int) -> Meta:
        data = self.read(number)
        if len(data) < _HEADER_BYTES + _META_BYTES:
            raise BadPage(number, "the file ends within it")
        page, _, flags, _, _ = _PAGE.unpack_from(data, 0)
        magic, version, _, _ = _META.unpack_from(data, _HEADER_BYTES)
        if (page, flags, magic, version) != (number, _HEAD_PAGE, _MAGIC, _VERSION):
            raise BadPage(number, "it is no first page of such a file")
        at = _HEADER_BYTES + _META.size
        free, main = Db(*_DB.unpack_from(data, at)), Db(*_DB.unpack_from(data, at + _DB.size))
        last, txn = _ENDS.unpack_from(data, at + 2 * _DB.size)
        size = free.pad
        if not _PAGE_BYTES[0] <= size <= _PAGE_BYTES[1] or size & size - 1:
            raise BadPage(number, "it names an impossible size of pages")
        if free.flags & ~_INTEGER_KEYS or main.flags:
            raise BadPage(number, "its roots have flags that nobody sets")
        return Meta(size, free, main, last, txn)

    def read(self, number: int, count: int = 1) -> bytes:
        """The bytes of pages; fewer when the file ends there.

        Raises:
            OSError: the disk.
        """
        try:
            return os.pread(self._handle, count * self.page_bytes, number * self.page_bytes)
        except OverflowError as error:
            raise BadPage(number, "it lies beyond every file") from error


def check_file(path: Path, txn: int | None = None) -> int:
    """Check every page of a data file; returns how many are in use.

    Args:
        path: the file.
        txn: the number of the state to look at, which somebody keeps from being written over;
            the newest when None.

    Raises:
        BadPage: one is not what it must be.
        OSError: the disk.
    """
    pages = 0
    for pages in steps(path, txn):  # noqa: B007 - the last one counts
        pass
    return pages


def steps(path: Path, txn: int | None = None) -> Iterator[int]:
    """The same piece by piece: yields how many pages were read so far, the last time all.

    Raises:
        BadPage, OSError: see `check_file`.
        LookupError: the file holds that state no more.
    """
    file = PageFile(path)
    try:
        metas = file.metas()
        found = [meta for meta in metas if txn in {None, meta.txn}]
        if not found:
            raise LookupError("that state of the file is gone")
        yield from _Check(file, found[0]).run()
    finally:
        file.close()


def _bytewise(key: bytes) -> bytes:
    return key


def _numeric(key: bytes) -> int:
    return int.from_bytes(key, "little")


class _Check:
    """One pass over one state."""

    def __init__(self, file: PageFile, meta: Meta) -> None:
        self._file = file
        self._meta = meta
        self._size = meta.page_bytes
        self._seen: set[int] = set()

    def run(self) -> Iterator[int]:
        tables: list[Db] = []
        free: list[tuple[int, bytes]] = []
        yield from self._tree(self._meta.main, _bytewise, tables=tables)
        for table in tables:
            if table.flags:
                raise BadPage(table.root, "its table has flags that nobody sets")
            yield from self._tree(table, _bytewise)
        yield from self._tree(self._meta.free, _numeric, values=free)
        used = len(self._seen)
        for page, value in free:
            self._check_free(page, value)
        yield used

    def _check_free(self, page: int, value: bytes) -> None:
        """A list of free pages: how many, then their numbers, falling."""
        if len(value) < _NUMBER.size or len(value) % _NUMBER.size:
            raise BadPage(page, "its list of free pages has an odd size")
        count, *numbers = struct.unpack(f"={len(value) // _NUMBER.size}Q", value)
        if count > len(numbers):
            raise BadPage(page, "its list of free pages is cut off")
        before = _NOWHERE
        for number in numbers[:count]:
            if number >= before or not 1 < number <= self._meta.last_page:
                raise BadPage(page, "its list of free pages is no list")
            if number in self._seen:
                raise BadPage(number, "it is in use, or free twice")
            self._seen.add(number)
            before = number

    def _tree(
        self,
        db: Db,
        order: Order,
        *,
        tables: list[Db] | None = None,
        values: list[tuple[int, bytes]] | None = None,
    ) -> Iterator[int]:
        """Every page of one tree: the bounds that lead to it hold in it."""
        if db.root == _NOWHERE:
            if db.rows or db.depth:
                raise BadPage(0, "a table without pages has rows")
            return
        if not 0 < db.depth <= _DEPTH_MAX:
            raise BadPage(db.root, "it is the root of an impossible depth")
        counts = [0, 0, 0, 0]  # branch pages, leaf pages, pages of long values, rows
        waiting: list[tuple[int, int, bytes | None, bytes | None]] = [(db.root, 1, None, None)]
        while waiting:
            number, depth, low, high = waiting.pop()
            leaf = depth == db.depth
            data = self._page(number, _LEAF if leaf else _BRANCH)
            nodes = self._nodes(number, data, leaf=leaf)
            keys = [node[0] for node in nodes] if leaf else [node[0] for node in nodes[1:]]
            _check_order(number, keys, low, high, order)
            if leaf:
                counts[1] += 1
                counts[3] += len(nodes)
                counts[2] += self._leaf(number, data, nodes, tables, values)
            else:
                counts[0] += 1
                ends = [low, *keys, high]
                for place, (_, _, child, _) in enumerate(nodes):
                    waiting.append((child, depth + 1, ends[place], ends[place + 1]))
            if not len(self._seen) % _PAGES_PER_STEP:
                yield len(self._seen)
        if counts != [db.branch_pages, db.leaf_pages, db.long_pages, db.rows]:
            raise BadPage(db.root, "its table has more or fewer pages or rows than it says")

    def _page(self, number: int, kind: int) -> bytes:
        self._take(number)
        data = self._file.read(number)
        if len(data) < self._size:
            raise BadPage(number, "the file ends before it")
        told, _, flags, _, _ = _PAGE.unpack_from(data, 0)
        if told != number or flags != kind:
            raise BadPage(number, "it is another page than the one that is meant")
        return data

    def _take(self, number: int) -> None:
        if not 1 < number <= self._meta.last_page:
            raise BadPage(number, "it lies outside of the file")
        if number in self._seen:
            raise BadPage(number, "it stands in two places")
        self._seen.add(number)

    def _nodes(self, number: int, data: bytes, *, leaf: bool) -> list[_Node]:
        """The entries of a page: side by side, and nothing between them."""
        _, _, _, lower, upper = _PAGE.unpack_from(data, 0)
        count, odd = divmod(lower - _HEADER_BYTES, 2)
        if odd or not lower <= upper <= self._size or count < (1 if leaf else 2):
            raise BadPage(number, "its bounds are impossible")
        nodes: list[_Node] = []
        spans = []
        last = self._size - _NODE.size
        for at in struct.unpack_from(f"={count}H", data, _HEADER_BYTES):
            if not upper <= at <= last or at & 1:
                raise BadPage(number, "it points beside its entries")
            low, high, flags, length = _NODE.unpack_from(data, at)
            start = end = at + _NODE.size + length
            if leaf:
                told = low | high << 16
                end += _NUMBER.size if flags & _BIG else told
            else:
                told, flags = low | high << 16 | flags << 32, 0
            if end > self._size or length > _KEY_BYTES_MAX:
                raise BadPage(number, "an entry does not fit into it")
            nodes.append((data[at + _NODE.size : start], flags, told, start))
            spans.append((at, end + (end & 1)))
        spans.sort()
        ends = [upper, *(end for _, end in spans)]
        if ends != [*(at for at, _ in spans), self._size]:
            raise BadPage(number, "its entries overlap, or leave a gap")
        return nodes

    def _leaf(
        self,
        number: int,
        data: bytes,
        nodes: list[_Node],
        tables: list[Db] | None,
        values: list[tuple[int, bytes]] | None,
    ) -> int:
        """What the entries of a leaf lead to; returns how many pages long values take."""
        long_pages = 0
        for _, flags, size, at in nodes:
            if not flags and tables is None and values is None:
                continue  # nearly all of them: a short value, which the rows know themselves
            if flags & _SUB:
                if tables is None or flags != _SUB or size != _DB.size:
                    raise BadPage(number, "a table stands where none belongs")
                tables.append(Db(*_DB.unpack_from(data, at)))
                continue
            if tables is not None or flags & ~_BIG:
                raise BadPage(number, "an entry has flags that nobody sets")
            value = data[at : at + size]
            if flags & _BIG:
                first = _NUMBER.unpack_from(data, at)[0]
                held, value = self._long(first, size, wanted=values is not None)
                long_pages += held
            if values is not None:
                values.append((number, value))
        return long_pages

    def _long(self, first: int, size: int, *, wanted: bool) -> tuple[int, bytes]:
        """The pages of a value too long for a leaf: how many, and the value when wanted."""
        self._take(first)
        needed = (_HEADER_BYTES + size + self._size - 1) // self._size
        if first + needed - 1 > self._meta.last_page:
            raise BadPage(first, "its value lies outside of the file")
        data = self._file.read(first, needed if wanted else 1)
        if len(data) < self._size:
            raise BadPage(first, "the file ends before it")
        told, _, flags, _, _ = _PAGE.unpack_from(data, 0)
        count = _COUNT.unpack_from(data, _HEADER_BYTES - _COUNT.size)[0]
        if told != first or flags != _LONG or count < needed:
            raise BadPage(first, "it is another page than the one that is meant")
        for number in range(first + 1, first + count):
            self._take(number)
        return count, data[_HEADER_BYTES : _HEADER_BYTES + size]


def _check_order(
    number: int, keys: list[bytes], low: bytes | None, high: bytes | None, order: Order
) -> None:
    """Keys rise, from `low` on and below `high`."""
    ranks: list[Any] = keys if order is _bytewise else [order(key) for key in keys]
    if not all(map(operator.lt, ranks, ranks[1:])):
        raise BadPage(number, "its keys are not in order")
    if ranks and low is not None and ranks[0] < order(low):
        raise BadPage(number, "a key lies before what leads to it")
    if ranks and high is not None and not ranks[-1] < order(high):
        raise BadPage(number, "a key lies behind what leads to it")
