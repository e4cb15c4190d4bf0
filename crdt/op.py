"""Operations: the only way anything changes.

Law: an operation states everything its verdict and its effect depend on (owner, namespace,
births, superseded dots, governance heads, stamp), so that both are pure functions of the
operation and of what lies below it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple

from crdt.dot import Dot

Value = Any
"""A field's value: None, bool, int, float, str, bytes, or lists and dicts of those."""

ERASE: Final = "erase"
"""Marks a delete whose record is to leave every disk, the log's included, as soon as all
members hold the delete; to the merge it is a delete like any other."""

NO_DOTS: Final[frozenset[Dot]] = frozenset()
NO_FIELDS: Final[Mapping[str, Value]] = {}


class Kind(IntEnum):
    """What an operation does. Numbers are on the wire: never renumber, only add."""

    CREATE = 1
    EDIT = 2
    DELETE = 3
    VOTE = 4
    SEAL = 5
    FOUND = 16
    ADD = 17
    REMOVE = 18
    READY = 19
    POLICY = 20
    AGENT = 21
    FORK = 22
    ROLE = 23
    MODE = 24


RECORD_KINDS: Final = frozenset({Kind.CREATE, Kind.EDIT, Kind.DELETE})
DECISION_KINDS: Final = frozenset({Kind.VOTE, Kind.SEAL})
GOVERNANCE_KINDS: Final = frozenset(
    {
        Kind.FOUND,
        Kind.ADD,
        Kind.REMOVE,
        Kind.READY,
        Kind.POLICY,
        Kind.AGENT,
        Kind.FORK,
        Kind.ROLE,
        Kind.MODE,
    }
)


class Idempotency(NamedTuple):
    """How a retry is known: 16 bytes of (agent, key) and 16 bytes of the request's body."""

    scope: bytes
    body: bytes


class Op(NamedTuple):
    """One operation.

    Attributes:
        dot: its name; inside a bundle the dots are consecutive.
        kind: what it does.
        collection: which family of records (`memory`, `link`, ...); empty for governance.
        id: the record's id, or the subject of a governance operation.
        owner: the agent that the touched births belong to.
        namespace: the namespace that the touched births lie in.
        agent: who asked.
        hlc: the author's hybrid stamp.
        births: the births it names (edits and deletes).
        set: fields written; for governance, votes and seals, the body; for a delete, only the
            mark `ERASE`, when it has it.
        removed: fields unset.
        supersedes: the exact dots whose versions of the touched fields it hides.
        heads: the governance dots it saw.
        target: the pending operation that a vote or a seal is about; for a record operation the
            first one of its request, with which it is decided.
        idempotency: set when the request carried a key.
    """

    dot: Dot
    kind: Kind
    collection: str = ""
    id: str = ""
    owner: str = ""
    namespace: str = ""
    agent: str = ""
    hlc: int = 0
    births: frozenset[Dot] = NO_DOTS
    set: Mapping[str, Value] = NO_FIELDS
    removed: frozenset[str] = frozenset()
    supersedes: frozenset[Dot] = NO_DOTS
    heads: tuple[Dot, ...] = ()
    target: Dot | None = None
    idempotency: Idempotency | None = None


@dataclass(slots=True, kw_only=True)  # never changed; freezing costs a call a field
class Draft:
    """A wanted change. The core fills in births, supersedes, `rev`, heads and stamp.

    Attributes:
        kind: CREATE, EDIT or DELETE.
        collection: family of records.
        id: the record's id.
        namespace: where a create puts it; edits and deletes take the record's own.
        owner: whose record a create makes; the caller's when empty.
        set: fields to write. A set's elements are fields named `<field>/<element>`. For a
            delete, `{ERASE: True}` or nothing.
        removed: fields to unset.
        private: write to the lane that never leaves this node.
        fresh: the id was just drawn at random, so nothing can stand under it: no look-up.
        seen: when given, only what stands among these dots counts as seen: an edit supersedes
            no other version, a delete ends no other birth. The revision is this node's own
            count and superseded always, with whatever its operation wrote into the same fields.
        exact: a delete ends the births of exactly this owner and namespace, though older ones
            of others share the id and show in their place.
    """

    kind: Kind
    collection: str
    id: str
    namespace: str = ""
    owner: str = ""
    set: Mapping[str, Value] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    private: bool = False
    fresh: bool = False
    seen: frozenset[Dot] | None = None
    exact: bool = False


def record_key(lane: bytes, collection: str, record_id: str) -> bytes:
    """The key under which a record is stored: lane, collection, slash, id."""
    return lane + f"{collection}/{record_id}".encode()
