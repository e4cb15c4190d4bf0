"""Roles of agents: what each may do at most, whatever policies say.

Law: a role only ever narrows. An agent without a role is held by policies alone. A pure
function of role, action and record, used by the replicated verdict and by API keys alike, so
that both mean the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

READER: Final = "agent-reader"
WRITER: Final = "agent-writer"
TEAM_ADMIN: Final = "team-admin"
SYSTEM_ADMIN: Final = "system-admin"

ROLES: Final = (READER, WRITER, TEAM_ADMIN, SYSTEM_ADMIN)
"""From the weakest to the strongest."""

NAMESPACES_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role, and where it holds.

    Attributes:
        role: one of `ROLES`.
        namespaces: subtrees in which a team administrator has its power; empty for none. The
            other roles do not look at them.
        governs_nothing: a concurrent change took the role away: its limits stay, its power
            over policies does not.
    """

    role: str
    namespaces: tuple[str, ...] = ()
    governs_nothing: bool = False

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
        if self.governs_nothing:
            return False
        if self.role == SYSTEM_ADMIN:
            return True
        return self.role == TEAM_ADMIN and within(namespace, self.namespaces)


def within(namespace: str, subtrees: Sequence[str]) -> bool:
    """Whether a namespace is one of these or lies below one; `*` is above all."""
    return any(tree in ("*", namespace) or namespace.startswith(f"{tree}/") for tree in subtrees)


def weakest(roles: Sequence[Grant | None]) -> Grant | None:
    """What holds of concurrent grants: exactly what all of them allow.

    None is an agent without a role: no power over governance, and no limit of its own.
    """
    grants = [grant for grant in roles if grant is not None]
    if not grants:
        return None
    lowest = min(grants, key=lambda grant: ROLES.index(grant.role))
    withdrawn = len(grants) < len(roles)
    if withdrawn and lowest.role == SYSTEM_ADMIN:
        return None
    spaces = [grant.namespaces for grant in grants if grant.role != SYSTEM_ADMIN]
    common = tuple(
        space
        for space in sorted({name for names in spaces for name in names})
        if all(within(space, names) for names in spaces)
    )
    return Grant(
        role=lowest.role,
        namespaces=common,
        governs_nothing=withdrawn or any(grant.governs_nothing for grant in grants),
    )


def read_grant(body: Mapping[str, Any]) -> Grant | None:
    """The grant in the body of an operation; None when it takes the role away.

    Raises:
        ValueError: the body has another shape.
    """
    role, spaces = body.get("role", ""), body.get("namespaces", [])
    if role != "" and role not in ROLES:
        raise ValueError("the role is unknown")
    if not isinstance(spaces, list) or len(spaces) > NAMESPACES_MAX:
        raise ValueError(f"namespaces are a list of at most {NAMESPACES_MAX}")
    if not all(isinstance(space, str) and space for space in spaces):
        raise ValueError("a namespace is a text")
    return Grant(role=role, namespaces=tuple(spaces)) if role else None
