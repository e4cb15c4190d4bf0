"""The one table of events that the chain knows, and what may stand in an entry.

Law: an event that is not in the table, or a fact under a name that could carry content or a
secret, is a programmer's error. Facts are short texts, whole numbers, truth values and short
lists of texts; whatever came from outside is cut to size before it is signed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

Fact: TypeAlias = str | int | bool | tuple[str, ...] | None
Facts: TypeAlias = Mapping[str, Fact]

TEXT_CHARS_MAX: Final = 256
LIST_ITEMS_MAX: Final = 64
FACTS_MAX: Final = 24
INTEGER_MAX: Final = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One row of the table.

    Attributes:
        help: what it means.
        floods: whether somebody outside can cause it as often as they like; such entries are
            counted together when there are too many in a second.
    """

    help: str
    floods: bool = False


_PLAIN: Final[Mapping[str, str]] = {
    # life of the node
    "started": "the node serves; says version, store and who it is",
    "stopped": "an orderly stop",
    "store_changed": "another store took the place of the one before: a restore or a join",
    "restored": "the store was brought back from a backup; says which, and whether it was verified",
    "clock": "the local clock was found off, or right again",
    "switch_weakened": "a setting that protects is off or weaker than the default",
    "switch_restored": "such a setting is as strict as the default again",
    # governance that this node has applied, its own and others'
    "policy_set": "a policy of a namespace holds",
    "policy_cleared": "a namespace asks its ancestors again",
    "agent_registered": "an agent is known by this type, with these capabilities",
    "role_granted": "an agent has this role, in these namespaces; an empty role is a withdrawal",
    "mode_changed": "a member enforces verdicts, only notes them, or ignores them",
    "governed": "another change of governance that counts",
    "vote": "somebody voted about a pending action",
    "seal": "an approved action is final",
    # membership and who may connect
    "member_added": "a node was added to the membership",
    "member_removed": "a node was taken out of the membership",
    "member_ready": "a member has caught up and counts in the quorum",
    "allowlist_changed": "fingerprints that may connect: those added, those removed",
    "peer_enrolled": "a REST peer was bound to its certificate and its key",
    "peer_removed": "a REST peer is enrolled no more",
    "key_created": "an API key came into force",
    "key_revoked": "an API key is no longer in force",
    # snapshots of other members
    "snapshot_refused": "a snapshot is not what the others hold; its source is passed over",
    "snapshot_disputed": "a member said of a snapshot what two others deny",
    "snapshot_unclaimed": "a snapshot was thrown away: nobody else claims as much",
    "snapshot_unconfirmed": "a snapshot was believed that nobody else could confirm",
    # the chain itself
    "chain_recovered": "the end of the chain was not whole at the start; says what was cut",
    "chain_broken": "entries before this one do not hold; nothing was mended",
    "segments_dropped": "the oldest entries are past their retention; says the last one",
    "entries_dropped": "more happened at once than could be written; says how much is missing",
    "audit_rollback": "a node showed less than, or other than, what was countersigned before",
}

_FLOODING: Final[Mapping[str, str]] = {
    "refused": "an operation without effect: governance said no",
    "gate_denied": "a request was refused at the door, or by the gate, and nothing was minted",
    "pending": "an action waits for approval",
    "vote_void": "a vote, or a seal, without effect",
    "join_refused": "a newcomer whose certificate is allowed was turned away",
    "tolerated": "a member that does not enforce let this pass",
}

EVENTS: Final[Mapping[str, Event]] = {
    **{name: Event(help=text) for name, text in _PLAIN.items()},
    **{name: Event(help=text, floods=True) for name, text in _FLOODING.items()},
}

# Names under which content or secrets would travel.
FORBIDDEN: Final = frozenset(
    {"content", "title", "body", "metadata", "tags", "api_key", "token", "secret", "password"}
)


class UnknownEventError(AssertionError):
    """The code records something that is not in the table."""


def check_names(event: str, names: Iterable[str]) -> None:
    """Make sure that the table has the event, and that no name could carry content.

    Raises:
        UnknownEventError: otherwise.
    """
    if event not in EVENTS:
        raise UnknownEventError(f"{event!r} is not in the table of audit events")
    leaks = FORBIDDEN.intersection(names)
    if leaks:
        raise UnknownEventError(f"{event}: the fact {min(leaks)} could carry content or a secret")


def harmless(facts: Mapping[str, object]) -> dict[str, Fact]:
    """Facts in the shapes that an entry takes, cut to size."""
    kept = sorted(facts.items())[:FACTS_MAX]
    return {name[:TEXT_CHARS_MAX]: _fact(value) for name, value in kept}


def _fact(value: object) -> Fact:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= INTEGER_MAX else str(value)[:TEXT_CHARS_MAX]
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return tuple(_text(item) for item in list(items)[:LIST_ITEMS_MAX])
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()[:TEXT_CHARS_MAX]
    return str(value)[:TEXT_CHARS_MAX]
