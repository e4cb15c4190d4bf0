"""Many memories through many requests: how they are cut, and how answers come together.

Law: pure. A piece never exceeds what a node takes in one request. The idempotency key of a
piece is made of the key of the whole and its place, so a repetition of the whole repeats each
piece and stores nothing twice. Places in errors are those of the whole input.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from node.client.errors import ClientError
from node.client.values import BulkResult, ImportResult, Memory

T = TypeVar("T", bound=Mapping[str, Any])
Records = Sequence[Mapping[str, Any]]
E = TypeVar("E", bound=ClientError)

ITEMS_MAX: Final = 1_000
BYTES_MAX: Final = 1_800_000
PAGE: Final = 500


def pieces(
    items: Iterable[T], *, items_max: int = ITEMS_MAX, bytes_max: int = BYTES_MAX
) -> Iterator[list[T]]:
    """Cut items so that each piece fits into one request."""
    piece: list[T] = []
    size = 0
    for item in items:
        length = len(json.dumps(item, ensure_ascii=False).encode("utf-8", "surrogatepass")) + 2
        if piece and (len(piece) >= items_max or size + length > bytes_max):
            yield piece
            piece, size = [], 0
        piece.append(item)
        size += length
    if piece:
        yield piece


def import_pieces(
    memories: Iterable[Mapping[str, Any]], links: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[Records, Records]]:
    """Memories and links of each request of an import; links come when their ends are there."""
    for piece in pieces(memories):
        yield piece, ()
    for piece in pieces(links):
        yield (), piece


def _shifted(reports: Iterable[Any], first: int) -> list[dict[str, Any]]:
    out = []
    for report in reports:
        if isinstance(report.get("index"), int):
            report = {**report, "index": report["index"] + first}  # noqa: PLW2901 - same report
        out.append(report)
    return out


def no_bulk() -> BulkResult:
    """Of nothing yet."""
    return BulkResult(created=0, ids=[], errors=[], pending=[])


def add_bulk(total: BulkResult, answer: Mapping[str, Any], first: int) -> None:
    """Take in the answer to a piece that began at a place."""
    total["created"] += answer.get("created", 0)
    total["ids"] += answer.get("ids", [])
    total["errors"] += _shifted(answer.get("errors", []), first)
    total["pending"] += _shifted(answer.get("pending", []), first)


def no_import() -> ImportResult:
    """Of nothing yet."""
    return ImportResult(imported=0, skipped=0, errors=[])


def add_import(total: ImportResult, answer: Mapping[str, Any], first: int) -> None:
    """Take in the answer to a piece that began at a place."""
    total["imported"] += answer.get("imported", 0)
    total["skipped"] += answer.get("skipped", 0)
    total["errors"] += _shifted(answer.get("errors", []), first)


def whole(error: E, key: str) -> E:
    """The error of a piece, with the key that repeats the whole."""
    error.idempotency_key = key
    return error


class Pages:
    """Where the next page of a list begins, newest first.

    The list changes while it is read. Pages overlap, so a page that begins with a memory
    that is known has missed nothing; when it does not, because much was deleted or added, the
    next one begins further back. What is shown twice is given once.

    Args:
        page: memories in a page.
    """

    def __init__(self, page: int = PAGE) -> None:
        self.limit = max(2, min(page, ITEMS_MAX))
        self.offset = 0
        self.done = False
        self._overlap = max(1, self.limit // 8)
        self._seen: set[str] = set()

    def take(self, memories: Sequence[Memory]) -> list[Memory]:
        """What is new in the page that came."""
        if self.offset and not (memories and memories[0]["id"] in self._seen):
            # What is before it may have been missed. Nothing is taken across a gap, so what was
            # taken never has one.
            self.offset = max(0, self.offset - self.limit)
            return []
        fresh = [memory for memory in memories if memory["id"] not in self._seen]
        self._seen.update(memory["id"] for memory in fresh)
        self.done = len(memories) < self.limit
        self.offset += self.limit - self._overlap
        return fresh
