"""Roles of agents: what each may do at most, whatever policies say.

Law: a role only ever narrows. An agent without a role is held by policies alone. A pure
function of role, action and record, used by the replicated verdict and by API keys alike, so
that both mean the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

READER: Final = "agent-reader"
WRITER: Final = "agent-writer"
TEAM_ADMIN: Final = "team-admin"
SYSTEM_ADMIN: Final = "system-admin"

ROLES: Final = (READER, WRITER, TEAM_ADMIN, SYSTEM_ADMIN)
"""From the weakest to the strongest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role, and where it holds.

    Attributes:
        role: one of `ROLES`.
        namespaces: subtrees in which a team administrator has its power; empty for none. The
            other roles do not look at them.
    """

    role: str
    namespaces: tuple[str, ...] = ()

    def allows(self, *, creates: bool, own: bool, namespace: str) -> bool:
        """Whether the role may change a record.

        Args:
            creates: whether the change makes a record.
            own: whether the record belongs to the agent.
            namespace: where the record lies.
        """
        if self.role == SYSTEM_ADMIN:
            return True
        if self.role == READER:
            return False
        if creates or own:
            return True
        return self.role == TEAM_ADMIN and within(namespace, self.namespaces)

    def governs(self, namespace: str) -> bool:
        """Whether the role may set the policy of a namespace."""
        if self.role == SYSTEM_ADMIN:
            return True
        return self.role == TEAM_ADMIN and within(namespace, self.namespaces)


def within(namespace: str, subtrees: Sequence[str]) -> bool:
    """Whether a namespace is one of these or lies below one; `*` is above all."""
    return any(
        tree in ("*", namespace) or namespace.startswith(f"{tree}/") for tree in subtrees
    )


def weakest(grants: Sequence[Grant]) -> Grant:
    """Of concurrent grants the weakest role counts, where all of them hold."""
    role = min((grant.role for grant in grants), key=ROLES.index)
    spaces = [grant.namespaces for grant in grants]
    common = tuple(
        space
        for space in dict.fromkeys(name for names in spaces for name in names)
        if all(within(space, names) for names in spaces)
    )
    return Grant(role=role, namespaces=common)
