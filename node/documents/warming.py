"""Long documents are opened beside the loop, whoever asks for them.

Law: on the loop nothing is opened of which there is much to read while a request is at work that
can begin again. The shelf refuses it by `Cold`; the request stops there, the document is opened
in a thread, and the request begins anew, with the text at hand. That is right for as long as a
request has done nothing that anybody could see: whatever mints, asks a hook or begins to answer
says so first (`settled`), and goes on with what it has.

Which request is at work is known step by step: one that is served directly runs in no task, and a
task that a request begins is not that request.
"""

import asyncio
import threading
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from itertools import count
from typing import Any, Final, Generic, Protocol, TypeVar

from node.documents.sheet import Said, Sheet

THREAD_BYTES_MIN: Final = 16 * 1024
"""What has more than so many bytes of changes to be read, some 160 changes that take ten
milliseconds, is opened in a thread."""

OPENS_MAX: Final = 4096
"""Most documents that one request waits for; it would have been given up long before."""

_STRIDE: Final = 256
"""So many steps of a walk are made in one turn of the loop."""

P = TypeVar("P")
T = TypeVar("T")


class Cold(Exception):  # noqa: N818 - no error: it never leaves `warmed`
    """A long document would have to be opened here and now.

    Attributes:
        sheet: what there is of it.
        said: of its plain content, when that has to be made a change.
    """

    def __init__(self, sheet: Sheet, said: Said | None = None) -> None:
        super().__init__(sheet.id)
        self.sheet = sheet
        self.said = said


class Opens(Protocol):
    """Opens documents in threads."""

    async def brought(self, sheet: Sheet, said: Said | None = None) -> str | None:
        """Open a document and keep it; what shows as its content."""
        ...


class _Turn:
    """One request at work; what it has waited for does not leave it before it is answered."""

    __slots__ = ("free", "texts")

    def __init__(self) -> None:
        self.free = True
        self.texts: dict[bytes, tuple[Sheet, str | None]] = {}


class _Here(threading.local):
    """What is at work in a thread at this moment."""

    turn: _Turn | None = None


_HERE: Final = _Here()


def may_wait() -> bool:
    """Whether what is at work here can begin again."""
    return _HERE.turn is not None and _HERE.turn.free


def settled() -> None:
    """What is at work here has done something, and cannot begin again."""
    if _HERE.turn is not None:
        _HERE.turn.free = False


def at_hand(sheet: Sheet) -> tuple[Sheet, str | None] | None:
    """The text of a document that this request has waited for already."""
    turn = _HERE.turn
    found = None if turn is None or not turn.texts else turn.texts.get(sheet.key)
    return found if found is not None and found[0].stored == sheet.stored else None


async def warmed(work: Callable[[], Coroutine[Any, Any, T]], shelf: Opens) -> T:
    """Do something that reads documents; it begins again after each that had to be opened.

    Raises:
        Exception: what `work` raises.
    """
    turn = _Turn()
    for _ in range(OPENS_MAX):
        try:
            return await _in_steps(work(), turn)
        except Cold as cold:
            text = await shelf.brought(cold.sheet, cold.said)
            turn.texts[cold.sheet.key] = cold.sheet, text
    turn.free = False
    return await _in_steps(work(), turn)


class Walk(Iterator[T], Generic[P, T]):
    """Looks at one place after the other; after a `Cold`, at the same one again.

    Args:
        places: where to look; to find them reads no document.
        look: what is at a place, if anything.
        shelf: opens documents.
    """

    def __init__(self, places: Iterator[P], look: Callable[[P], T | None], shelf: Opens) -> None:
        self._places = places
        self._look = look
        self._shelf = shelf
        self._now: list[P] = []

    def __next__(self) -> T:
        while True:
            if not self._now:
                self._now.append(next(self._places))
            found = self._look(self._now[0])
            self._now.clear()
            if found is not None:
                return found

    async def following(self) -> T | None:
        """The next one; a long document is opened first. None at the end."""
        return await warmed(self._following, self._shelf)

    async def _following(self) -> T | None:
        return next(self, None)


async def walked(found: Iterator[T]) -> AsyncIterator[T]:
    """All that a walk finds, giving way to others.

    For what cannot begin again: an answer that goes out in pieces, what a node does for itself.
    """
    for step in count(1):
        one = await found.following() if isinstance(found, Walk) else next(found, None)
        if one is None:
            return
        yield one
        if step % _STRIDE == 0:
            await asyncio.sleep(0)


@types.coroutine
def _in_steps(work: Coroutine[Any, Any, T], turn: _Turn) -> Generator[Any, Any, T]:
    """Run something with its turn at hand in each of its steps, and at no other time."""
    step: Callable[[Any], Any] = work.send
    value: Any = None
    try:
        while True:
            before, _HERE.turn = _HERE.turn, turn
            try:
                awaited = step(value)
            except StopIteration as over:
                done: T = over.value
                return done
            finally:
                _HERE.turn = before
            try:
                value = yield awaited
                step = work.send
            except GeneratorExit:
                raise  # nobody goes on with it: it is closed below
            except BaseException as error:  # noqa: BLE001 - a cancellation belongs inside, too
                step, value = work.throw, error
    finally:
        work.close()
