"""Which memory a caller means by an id, or by the beginning of one.

Law: what a caller may not see does not exist for it: it is not found, makes no beginning
ambiguous, and stands in nobody's way. One's own private memory comes before a shared one that
was given its id elsewhere, so nobody can have its author write into another record. What is, or
was, the whole id of a memory is the beginning of no other: a change that is asked for again meets
nothing, never a neighbour whose id is longer. (An id itself is no secret: to take one that is
taken is refused.)
"""

from collections.abc import Callable
from typing import Final

from node.contracts import Caller, Held, Reader
from node.memory.drafts import COLLECTION
from node.memory.problems import Ambiguous, NotFound
from node.memory.record import visible_to

PREFIX_CHARS_MIN: Final = 6
_CANDIDATES_MAX: Final = 100
_SHOWN_CANDIDATES_MAX: Final = 20


class Finder:
    """Looks memories up.

    Args:
        reader: reads the newest state; asked anew each time.
    """

    def __init__(self, reader: Callable[[], Reader]) -> None:
        self._reader = reader

    def find(self, wanted: str, viewer: Caller, *, everything: bool = False) -> Held:
        """The memory with an id, or with the only id that begins so.

        Args:
            wanted: the id, or 6 and more characters of it.
            viewer: who looks.
            everything: others' private memories too, for administrators.

        Raises:
            NotFound: there is none that the caller may see.
            Ambiguous: several begin so.
        """
        return self._found(wanted, viewer, everything=everything, archived=False)

    def archived(self, wanted: str, viewer: Caller, *, everything: bool = False) -> Held:
        """The same of the archive; raises as `find`."""
        return self._found(wanted, viewer, everything=everything, archived=True)

    def anywhere(self, wanted: str, viewer: Caller, *, everything: bool = False) -> Held:
        """The memory with an id, else the one of the archive; raises as `find`."""
        try:
            return self.find(wanted, viewer, everything=everything)
        except NotFound:
            return self.archived(wanted, viewer, everything=everything)

    def seen(
        self, ident: str, viewer: Caller, *, everything: bool = False, archived: bool = False
    ) -> Held | None:
        """The memory with exactly this id that a caller may see."""
        reader = self._reader()
        if archived:
            own = reader.archived(COLLECTION, ident, own=True)
            both = (own, reader.archived(COLLECTION, ident))
        else:
            both = (reader.own(COLLECTION, ident), reader.get(COLLECTION, ident))
        for held in both:
            if held is not None and visible_to(held, viewer, everything=everything):
                return held
        return None

    def is_taken(self, ident: str) -> bool:
        """Whether a memory has this id, be it in the archive."""
        reader = self._reader()
        there = reader.get(COLLECTION, ident) or reader.archived(COLLECTION, ident)
        return there is not None

    def _found(self, wanted: str, viewer: Caller, *, everything: bool, archived: bool) -> Held:
        held = self.seen(wanted, viewer, everything=everything, archived=archived)
        if held is not None:
            return held
        reader = self._reader()
        if len(wanted) >= PREFIX_CHARS_MIN and not reader.knows(COLLECTION, wanted):
            names = reader.with_prefix(COLLECTION, wanted, _CANDIDATES_MAX, archived=archived)
            shown = [
                self.seen(name, viewer, everything=everything, archived=archived) for name in names
            ]
            found = [one for one in shown if one is not None]
            if len(found) == 1:
                return found[0]
            if found:
                raise Ambiguous(wanted, [one.id for one in found[:_SHOWN_CANDIDATES_MAX]])
        if archived:
            raise NotFound("nothing in the archive has this id")
        put_away = self.seen(wanted, viewer, everything=everything, archived=True) is not None
        raise NotFound(
            "no memory has this id",
            why="it lies in the archive" if put_away else "",
            fix="Restore it to read it" if put_away else "",
        )
