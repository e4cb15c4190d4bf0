"""What the node says of spans, whoever records them.

Law: a span knows its place and when it began and ended; its facts are names of routes and peers,
numbers and outcomes: never an agent, a memory, a namespace or a query.
"""

from typing import Literal, Protocol

from node.telemetry.traceparent import TraceParent

Kind = Literal["server", "internal", "producer", "consumer"]


class Span(Protocol):
    """A span that is recorded."""

    @property
    def place(self) -> TraceParent:
        """Where it stands, for those that come below it."""
        ...

    def say(self, key: str, value: str | int) -> None:
        """Put a fact into it."""
        ...

    def fail(self, why: str) -> None:
        """It did not come to what it was for."""
        ...

    def end(self, at_ns: int | None = None) -> None:
        """It is over, now or at a time (nanoseconds since the epoch)."""
        ...


class Spans(Protocol):
    """Records spans."""

    def start(
        self, name: str, parent: TraceParent | None, kind: Kind, at_ns: int | None = None
    ) -> Span | None:
        """Begin a span, now or at a time (nanoseconds since the epoch).

        Args:
            name: what it is.
            parent: what it is below; None for the first of a trace.
            kind: which side of what.
            at_ns: when it began.

        Returns:
            None when this trace is not recorded.
        """
        ...

    def close(self) -> None:
        """Send what is left, for a bounded time."""
        ...
