"""What a request wants forgotten.

Law: filters narrow each other, and at least one is given: nothing is ever forgotten because a
field was misspelt or left empty. A pattern is literal text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crdt.fields import TIERS
from node.contracts import Held
from node.lifecycle.archive import ids_of
from node.limits import Limits
from node.memory.problems import InvalidField
from node.memory.record import TIER_DEFAULT
from node.memory.rules import agent_id, namespace, one_of

FILTERS: Final = ("ids", "namespace", "pattern", "tier", "agent_id")
PATTERN_CHARS_MAX: Final = 2048
_YES: Final = (True, "true", "1")
_NO: Final = (None, False, "", "false", "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The filters of a request; None means any.

    Attributes:
        ids: ids, or beginnings of ids.
        pattern: text within title or content, in any case of letters.
        agent: the author.
        dry_run: only count.
    """

    ids: tuple[str, ...] | None = None
    namespace: str | None = None
    pattern: str | None = None
    tier: str | None = None
    agent: str | None = None
    dry_run: bool = False

    @property
    def whole_agent(self) -> bool:
        """Whether it is about all that an agent ever left."""
        others = (self.ids, self.namespace, self.pattern, self.tier)
        return self.agent is not None and all(one is None for one in others)

    def matches(self, held: Held) -> bool:
        """Whether a memory passes every filter but the ids."""
        values = held.view.values
        if self.namespace not in (None, held.view.namespace):
            return False
        if self.agent not in (None, held.view.owner):
            return False
        if self.tier not in (None, values.get("tier", TIER_DEFAULT)):
            return False
        if self.pattern is None:
            return True
        wanted = self.pattern.casefold()
        return any(wanted in str(values.get(name, "")).casefold() for name in ("title", "content"))


def read_wish(fields: Mapping[str, Any], params: Mapping[str, str], limits: Limits) -> Wish:
    """The filters of a body, and of a query for what the body leaves out.

    Raises:
        InvalidField: one cannot mean what it must, or there is none.
        node.memory.problems.TooManyItems: more ids than one request may name.
    """
    given = {**params, **{name: value for name, value in fields.items() if value is not None}}
    if not any(given.get(name) is not None for name in FILTERS):
        raise InvalidField("ids", f"give at least one of {', '.join(FILTERS)}")
    get = given.get
    ids, pattern, space = get("ids"), get("pattern"), get("namespace")
    tier, agent = get("tier"), get("agent_id")
    return Wish(
        ids=None if ids is None else tuple(ids_of(ids, limits.bulk_items_max)),
        namespace=None if space is None else namespace("namespace", space, limits),
        pattern=None if pattern is None else _pattern(pattern),
        tier=None if tier is None else one_of("tier", tier, TIERS),
        agent=None if agent is None else agent_id("agent_id", agent, limits),
        dry_run=flag("dry_run", get("dry_run")),
    )


def _pattern(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= PATTERN_CHARS_MAX:
        raise InvalidField("pattern", f"expected 1 to {PATTERN_CHARS_MAX} characters")
    return value


def flag(name: str, value: Any) -> bool:
    """A yes or no of a request.

    Raises:
        InvalidField: it is neither.
    """
    if isinstance(value, (bool, str, type(None))):
        if value in _NO:
            return False
        if value in _YES:
            return True
    raise InvalidField(name, "expected true or false")
