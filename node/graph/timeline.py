"""What was said about a memory over time: its links, as events.

Law: a link is added when it begins to hold and invalidated when it ends; both are told by the
times that the link states, oldest first, also those that lie ahead. A link whose other end the
caller may not see is no event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from node.contracts import Caller, Held
from node.limits import Limits
from node.links.link import Link
from node.links.links import Links
from node.memory.query import number
from node.memory.rules import moment
from node.memory.times import format_ms

ADDED: Final = "edge_added"
INVALIDATED: Final = "edge_invalidated"
LIMIT_DEFAULT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which events a request wants: none before `since`, none after `until` (milliseconds)."""

    since: int | None = None
    until: int | None = None
    limit: int = LIMIT_DEFAULT

    def holds(self, at: int) -> bool:
        """Whether a moment lies in it."""
        if self.since is not None and at < self.since:
            return False
        return self.until is None or at <= self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to a link, with the memory at its other end."""

    kind: str
    at: int
    link: Link
    target: Held

    def shown(self) -> dict[str, Any]:
        """The event of the API."""
        link = self.link.shown()
        return {
            "type": self.kind,
            "timestamp": format_ms(self.at),
            **link,
            "valid_until": link.get("valid_until"),
            "title": self.target.view.values.get("title", ""),
            "target_namespace": self.target.view.namespace,
        }


async def timeline(
    links: Links, source: Held, viewer: Caller, span: Span
) -> tuple[list[Event], bool]:
    """The events of the links that leave a memory, and whether there were more."""
    events: list[Event] = []
    async for link, held in links.neighbours(source.id, viewer, outward=True):
        moments = ((ADDED, link.valid_from), (INVALIDATED, link.valid_until))
        events += [
            Event(kind=kind, at=at, link=link, target=held)
            for kind, at in moments
            if at is not None and span.holds(at)
        ]
    events.sort(key=lambda one: (one.at, one.kind, one.link.made, one.link.id))
    return events[: span.limit], len(events) > span.limit


def read_span(params: Mapping[str, str], limits: Limits) -> Span:
    """Which events a request wants.

    Raises:
        node.memory.problems.InvalidField: a parameter cannot mean what it must.
    """
    since, until = params.get("since"), params.get("until")
    limit = number("limit", params.get("limit"), LIMIT_DEFAULT)
    return Span(
        since=moment("since", since) if since else None,
        until=moment("until", until) if until else None,
        limit=min(limit, limits.page_items_max),
    )
