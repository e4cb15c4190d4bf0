"""A stream of events, as whoever has the events sees it.

Law: a source is asked, it never pushes: it says what is next, when to ask again, and wakes
who follows it. How events are written is none of its business (`node.http.sse`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event.

    Attributes:
        id: the place to go on from after it; empty for none.
        name: its kind; empty for a mere message.
        data: one line; empty for an event that only moves the place.
    """

    id: str = ""
    name: str = ""
    data: bytes = b""

    def encoded(self) -> bytes:
        """As it is written."""
        out = f"id: {self.id}\n".encode() if self.id else b""
        if self.name:
            out += f"event: {self.name}\n".encode()
        if self.data:
            out += b"data: " + self.data + b"\n"
        return out + b"\n"


class Source(Protocol):
    """Where the events of one stream come from."""

    def take(self) -> list[Event]:
        """The next events, at most some; empty when there are none now."""
        ...

    def seconds(self) -> float | None:
        """When to ask again although nobody woke the stream; None for never."""
        ...

    def follow(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have the stream woken when there may be more; returns what ends that."""
        ...
