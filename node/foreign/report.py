"""What became of a push: a result for each item, and the counters of the contract.

Law: every item that came gets exactly one result, kind by kind; counters are sums over the
results and nothing else.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from node.contracts import Receipt
from node.memory.problems import InvalidField, TooManyItems

APPLIED: Final = "applied"
DUPLICATE: Final = "duplicate"
REFUSED: Final = "refused"
INVALID: Final = "invalid"

MEMORY: Final = "memory"
DELETION: Final = "deletion"
ARCHIVE: Final = "archive"
RESTORE: Final = "restore"
LINK: Final = "link"
LINK_DELETION: Final = "link_deletion"
PENDING: Final = "pending"
DECISION: Final = "pending_decision"
META: Final = "namespace_meta"
META_CLEAR: Final = "namespace_meta_clear"

FIELDS: Final[Mapping[str, str]] = {
    "memories": MEMORY,
    "deletions": DELETION,
    "archives": ARCHIVE,
    "restores": RESTORE,
    "links": LINK,
    "link_deletions": LINK_DELETION,
    "pendings": PENDING,
    "pending_decisions": DECISION,
    "namespace_meta": META,
    "namespace_meta_clears": META_CLEAR,
}
"""Field of a push -> kind of its items."""

_COUNTERS: Final[Mapping[str, str]] = {
    MEMORY: "applied",
    DELETION: "deleted",
    ARCHIVE: "archived",
    RESTORE: "restored",
    LINK: "links_applied",
    LINK_DELETION: "links_deleted",
    PENDING: "pendings_applied",
    DECISION: "pending_decisions_applied",
    META: "namespace_meta_applied",
    META_CLEAR: "namespace_meta_cleared",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one item.

    Attributes:
        kind: of the item.
        id: by which the sender knows it; empty when it has none.
        status: applied, duplicate, refused or invalid.
        error: why it was not taken.
        reason: why it is a duplicate, in a word of `node.foreign.judging.Why`.
        pending_id: under which it waits for approval here.
    """

    kind: str
    id: str
    status: str
    error: str = ""
    reason: str = ""
    pending_id: str = ""

    def shown(self) -> dict[str, Any]:
        """As the answer has it."""
        out = {"kind": self.kind, "id": self.id, "status": self.status}
        for name in ("error", "reason", "pending_id"):
            if getattr(self, name):
                out[name] = getattr(self, name)
        return out


@dataclass(slots=True, kw_only=True)
class Report:
    """What became of a push."""

    dry_run: bool = False
    results: list[Result] = field(default_factory=list)
    receipt: Receipt | None = None

    def weigh(self, receipt: Receipt | None) -> None:
        """Take in what is known of one more write; the weakest is what holds for all."""
        held = self.receipt
        if receipt is not None and (held is None or receipt.acks <= held.acks):
            self.receipt = receipt

    @property
    def taken(self) -> int:
        """How many items had an effect."""
        return sum(1 for one in self.results if one.status == APPLIED)

    def untaken(self) -> list[Result]:
        """The items that were refused, or make no sense."""
        return [one for one in self.results if one.status in (REFUSED, INVALID)]

    def counters(self) -> dict[str, Any]:
        """The counters of the contract."""
        found = Counter((one.kind, one.status) for one in self.results)
        statuses = Counter(one.status for one in self.results)
        return {
            **{name: found[kind, APPLIED] for kind, name in _COUNTERS.items()},
            "noop": statuses[DUPLICATE],
            "skipped": statuses[REFUSED] + statuses[INVALID],
            "dry_run": self.dry_run,
        }

    def shown(self) -> dict[str, Any]:
        """Counters and results."""
        return {**self.counters(), "results": [one.shown() for one in self.results]}


def items_of(body: Mapping[str, Any], most: int) -> dict[str, list[Any]]:
    """The items of a push, by field.

    Raises:
        InvalidField: one of the fields is no list.
        TooManyItems: there are more than allowed, all fields together.
    """
    out: dict[str, list[Any]] = {}
    for name in FIELDS:
        given = body.get(name)
        if given is not None and not isinstance(given, list):
            raise InvalidField(name, "expected a list")
        out[name] = given or []
    count = sum(map(len, out.values()))
    if count > most:
        raise TooManyItems(count, most)
    return out


def dry_run_of(body: Mapping[str, Any]) -> bool:
    """Whether a push only asks what would become of it.

    Raises:
        InvalidField: it is neither true nor false.
    """
    wish = body.get("dry_run")
    if wish is None:
        return False
    if not isinstance(wish, bool):
        raise InvalidField("dry_run", "expected true or false")
    return wish
