"""What a caller asks recall, read from a request.

Law: what cannot mean what it must is refused and named; what is not known is ignored and
widens nothing. A parameter of the address and a field of a body mean the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from node.contracts import Caller
from node.limits import Limits
from node.memory.problems import InvalidField
from node.memory.query import Query, read_query
from node.memory.rules import agent_id, moment, namespace
from node.recall.values import Filters

LIMIT_DEFAULT: Final = 10
_DIGITS_MAX: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One recall.

    Attributes:
        context: what the caller is about.
        limit: at most so many memories.
        since, until: created in this span, milliseconds since the epoch, both ends included.
        as_agent: only what this agent may know too.
        budget_tokens: at most so many tokens in all; None for no budget.
        min_score: nothing below; None for no bound.
    """

    context: str
    limit: int = LIMIT_DEFAULT
    namespace: str | None = None
    tags: frozenset[str] = frozenset()
    since: int | None = None
    until: int | None = None
    as_agent: str | None = None
    budget_tokens: int | None = None
    min_score: float | None = None

    def filters(self, viewer: Caller, now_ms: int) -> Filters:
        """What its hits must satisfy."""
        return Filters(
            reader=viewer.agent,
            as_agent=self.as_agent,
            now_ms=now_ms,
            within=viewer.namespaces,
            namespace=self.namespace,
            tags=self.tags,
            since_ms=self.since,
            until_ms=self.until,
        )


def read_ask(fields: Mapping[str, Any], limits: Limits) -> Ask:
    """A recall from a body, or from the parameters of an address.

    Raises:
        InvalidField: a field cannot mean what it must.
    """
    space, agent = fields.get("namespace"), fields.get("as_agent")
    since, until = fields.get("since"), fields.get("until")
    limit = _whole("limit", fields.get("limit"))
    return Ask(
        context=_context(fields.get("context")),
        limit=min(LIMIT_DEFAULT if limit is None else limit, limits.recall_items_max),
        namespace=namespace("namespace", space, limits) if _given(space) else None,
        tags=_tags(fields.get("tags")),
        since=moment("since", since) if _given(since) else None,
        until=moment("until", until) if _given(until) else None,
        as_agent=agent_id("as_agent", agent, limits) if _given(agent) else None,
        budget_tokens=_whole("budget_tokens", fields.get("budget_tokens")),
        min_score=_score(fields.get("min_score")),
    )


def read_search(params: Mapping[str, str], limits: Limits) -> tuple[str, Query]:
    """The text and the filters of a search.

    Raises:
        InvalidField: there is no text, or a filter cannot mean what it must.
    """
    text = params.get("q", "")
    if not text.strip():
        raise InvalidField("q", "is required: the words to look for")
    return text, read_query(params, limits)


def search_filters(query: Query, viewer: Caller, now_ms: int) -> Filters:
    """What the results of a search must satisfy."""
    return Filters(
        reader=viewer.agent,
        now_ms=now_ms,
        within=viewer.namespaces,
        namespace=query.namespace,
        tier=query.tier,
        tags=query.tags,
        since_ms=query.since,
        until_ms=query.until,
        agent=query.agent,
        session=query.session,
        min_priority=query.min_priority,
    )


def _given(value: object) -> bool:
    return value is not None and value != ""


def _context(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidField("context", "is required: a text to find memories for")
    if not value.strip():
        raise InvalidField("context", "is empty: a text to find memories for is required")
    return value


def _tags(value: object) -> frozenset[str]:
    if value is None:
        return frozenset()
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(tag, str) for tag in given):
        raise InvalidField("tags", "expected a list of texts, or text with commas")
    return frozenset(tag for tag in given if tag)


def _whole(name: str, value: object) -> int | None:
    """A whole number, zero or more; None when there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX:
        value = int(value)
    if type(value) is not int or not 0 <= value < 10**_DIGITS_MAX:
        raise InvalidField(name, "expected a whole number, zero or more")
    return value


def _score(value: object) -> float | None:
    """A number; None when there is none."""
    if value is None or value == "":
        return None
    try:
        number = float(value) if type(value) in (int, float, str) else None  # type: ignore[arg-type] # one of the three
    except (ValueError, OverflowError):
        number = None
    if number is None or not -_SCORE_MAX < number < _SCORE_MAX:
        raise InvalidField("min_score", "expected a number")
    return number


_SCORE_MAX: Final = 1e12
