"""A part of the feed, from the store into the engines, in the thread that writes.

Law: what stands in it was read after its mark was given, so whatever was marked by then shows
when it does. After a few records the thread gives way.
"""

import time
from typing import Final, NamedTuple

from node.recall.engines import Engines
from node.recall.overlay import Overlay
from node.recall.source import Page, Source
from node.recall.threads import Manners

_READ_AT_ONCE: Final = 8
_TAKE_AT_ONCE: Final = 1024


class Stretch(NamedTuple):
    """A part of the feed that engines took.

    Attributes:
        position: its end.
        taken: keys, with the marks at which they were read.
        unsure: keys that the loop has to read.
        ended: whether nothing was left.
    """

    position: int
    taken: dict[str, int]
    unsure: list[str]
    ended: bool


def take(
    source: Source, engines: Engines, overlay: Overlay, after: int, manners: Manners
) -> Stretch:
    """Let engines take some of the feed; in the thread that writes."""
    taken: dict[str, int] = {}
    unsure: list[str] = []
    page = Page(after, [], [], ended=False)
    while not page.ended and len(taken) + len(unsure) < _TAKE_AT_ONCE:
        began, mark = time.monotonic(), overlay.marks
        page = source.page(page.position, _READ_AT_ONCE)
        engines.take(page.changes)
        taken.update((change.key, mark) for change in page.changes)
        unsure += page.unsure
        manners.give_way(time.monotonic() - began)
    return Stretch(page.position, taken, unsure, page.ended)
