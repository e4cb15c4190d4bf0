"""Which memories a list shows.

Law: a filter only narrows. What a caller may not see is never counted, skipped over or
hinted at; unknown parameters change nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from crdt.fields import TIERS
from crdt.hlc import millis
from node.contracts import Caller, Held
from node.limits import Limits
from node.memory.problems import InvalidField
from node.memory.record import PRIORITY_DEFAULT, TIER_DEFAULT, created_ms, visible_to
from node.memory.rules import agent_id, moment, namespace, one_of

LIMIT_DEFAULT: Final = 20
_OFFSET_MAX: Final = 10**9
_DIGITS_MAX: Final = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The filters of a list; None and empty mean any.

    Attributes:
        since: created at or after, milliseconds since the epoch.
        until: created before or at.
        tags: all of them must be there.
        agent: the author.
        session: what `metadata.session_id` says.
    """

    namespace: str | None = None
    tier: str | None = None
    limit: int = LIMIT_DEFAULT
    offset: int = 0
    min_priority: int = 0
    since: int | None = None
    until: int | None = None
    tags: frozenset[str] = frozenset()
    agent: str | None = None
    session: str | None = None

    def matches(self, held: Held) -> bool:
        """Whether a memory passes every filter but the namespace."""
        values = held.view.values
        if self.tier is not None and values.get("tier", TIER_DEFAULT) != self.tier:
            return False
        if values.get("priority", PRIORITY_DEFAULT) < self.min_priority:
            return False
        if self.agent is not None and held.view.owner != self.agent:
            return False
        if self.tags and not self.tags.issubset(values.get("tags", ())):
            return False
        session = (values.get("metadata") or {}).get("session_id")
        if self.session is not None and session != self.session:
            return False
        return self._in_time(held)

    def _in_time(self, held: Held) -> bool:
        if self.since is None and self.until is None:
            return True
        made = created_ms(held)
        if self.since is not None and made < self.since:
            return False
        return self.until is None or made <= self.until


def read_query(params: Mapping[str, str], limits: Limits) -> Query:
    """The filters of a request.

    Raises:
        InvalidField: a parameter cannot mean what it must.
    """
    tags = params.get("tags", "")
    since, until = params.get("since"), params.get("until")
    space, tier, agent = params.get("namespace"), params.get("tier"), params.get("agent_id")
    return Query(
        namespace=namespace("namespace", space, limits) if space else None,
        tier=one_of("tier", tier, TIERS) if tier else None,
        limit=min(number("limit", params.get("limit"), LIMIT_DEFAULT), limits.page_items_max),
        offset=min(number("offset", params.get("offset"), 0), _OFFSET_MAX),
        min_priority=number("min_priority", params.get("min_priority"), 0),
        since=moment("since", since) if since else None,
        until=moment("until", until) if until else None,
        tags=frozenset(tag for tag in tags.split(",") if tag),
        agent=agent_id("agent_id", agent, limits) if agent else None,
        session=params.get("session_id") or None,
    )


def number(name: str, text: str | None, default: int) -> int:
    """A whole number, zero or more, of a parameter.

    Raises:
        InvalidField: it is none.
    """
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS_MAX:
        raise InvalidField(name, "expected a whole number, zero or more")
    return int(text)


def select(newest_first: Iterable[Held], query: Query, viewer: Caller) -> Iterator[Held | None]:
    """The memories of a page, and None for each one passed over.

    The Nones let the caller give way to others during a long search.
    """
    skip, wanted = query.offset, query.limit
    for held in newest_first:
        if wanted <= 0:
            return
        # A birth is never before the moment it shows, so nothing later can match any more.
        if query.since is not None and millis(held.view.created) < query.since:
            return
        if not visible_to(held, viewer) or not query.matches(held):
            yield None
        elif skip:
            skip -= 1
            yield None
        else:
            wanted -= 1
            yield held
