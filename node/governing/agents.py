"""Who is who: registrations, bound keys, and roles of agents.

Law: a registration says what an agent is, a bound key makes its name provable, a role limits
what it may do at most. Registering twice changes what it says and keeps what it does not:
the first moment, and the key. A key that is bound is replaced or dropped only by who holds
it, or by a system administrator; the gate sees to that.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crdt.governance_state import GovernanceState
from crdt.op import Kind
from crdt.roles import NAMESPACES_MAX, ROLES, TEAM_ADMIN, Grant
from node.auth.public_keys import parse_public_key
from node.contracts import GovernanceDraft, Governing, Receipt
from node.governing.activity import LastSeen
from node.governing.changes import govern
from node.governing.problems import KeyBoundElsewhere, MalformedKey
from node.memory.memories import Ask, Memories
from node.memory.problems import InvalidField
from node.memory.rules import agent_id, namespace, one_of
from node.memory.times import format_ms
from transport.errors import TransportError

CAPABILITIES_MAX: Final = 64
CAPABILITY_CHARS_MAX: Final = 128
_TYPES: Final = ("human", "system")
_NAMED: Final = "ai:"
_KEY: Final = "public_key"
_UNSAID: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """An agent after a change: as it is shown, and what is known of its durability."""

    agent: Mapping[str, Any]
    receipt: Receipt


class Agents:
    """Registers agents, gives them roles, and lists them.

    Args:
        governing: what holds now.
        memories: gives funnel and limits.
        seen: when agents were last active on this node.
        now_ms: wall clock, milliseconds since the epoch.
    """

    def __init__(
        self,
        *,
        governing: Governing,
        memories: Memories,
        seen: LastSeen,
        now_ms: Callable[[], int],
    ) -> None:
        self._governing = governing
        self._memories = memories
        self._limits = memories.rules.limits
        self._seen = seen
        self._now_ms = now_ms

    # Changing.

    async def register(self, ask: Ask, body: Mapping[str, Any]) -> Registered:
        """Make an agent known to the whole mesh, or change what is known of it.

        Raises:
            InvalidField, MalformedKey, KeyBoundElsewhere: nothing was minted.
            node.errors.Denied: only who holds the bound key, or an administrator, may.
            node.memory.problems.Shortfall: stored here, not on W members.
        """
        agent = self.named("agent_id", body.get("agent_id"))
        drafts = []
        if self._memories.known(ask.retry) is None:
            wanted = self._read(agent, body)
            drafts = [GovernanceDraft(kind=Kind.AGENT, id=agent, set=wanted)]
        receipt = await govern(self._memories.funnel, drafts, ask, {"agent_id": agent})
        return Registered(agent=self.one(agent), receipt=receipt)

    async def give_role(self, agent: str, ask: Ask, body: Mapping[str, Any]) -> Registered:
        """Say what an agent may do at most; no role leaves it to the policies alone.

        Raises:
            InvalidField: nothing was minted.
            node.errors.Denied: the caller is no administrator, or would leave none.
            node.memory.problems.Shortfall: stored here, not on W members.
        """
        agent = self.named("agent_id", agent)
        drafts = []
        if self._memories.known(ask.retry) is None:
            grant = self._grant(body)
            wanted = {"role": grant.role, "namespaces": list(grant.namespaces)}
            drafts = [GovernanceDraft(kind=Kind.ROLE, id=agent, set=wanted)]
        receipt = await govern(self._memories.funnel, drafts, ask, {"agent_id": agent})
        return Registered(agent=self.one(agent), receipt=receipt)

    def named(self, name: str, value: object) -> str:
        """The agent that a request is about.

        Raises:
            InvalidField: it names none.
        """
        if value is None or value == "":
            raise InvalidField(name, "is required")
        agent = agent_id(name, value, self._limits)
        if agent.startswith("anonymous:"):
            raise InvalidField(name, "a name that begins with anonymous: stands for nobody")
        return agent

    def _read(self, agent: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a registration."""
        state = self._governing.state()
        held = state.agents.get(agent, {})
        wanted: dict[str, Any] = {
            "agent_type": self._type(body, held),
            "capabilities": _capabilities(body.get("capabilities"), held),
            "registered_at": held.get("registered_at", self._now_ms()),
        }
        key = _key_of(body, held)
        if key is not None:
            if state.bound_keys.get(key, agent) != agent:
                raise KeyBoundElsewhere(
                    "public_key: another agent has bound this key",
                    fix="Make a key of its own for each agent",
                )
            wanted[_KEY] = key
        return wanted

    def _type(self, body: Mapping[str, Any], held: Mapping[str, Any]) -> str:
        given = body.get("agent_type", held.get("agent_type") or None)
        if isinstance(given, str) and given.startswith(_NAMED) and given != _NAMED:
            return agent_id("agent_type", given, self._limits)
        if given not in _TYPES:
            raise InvalidField("agent_type", "expected human, system or ai:<name>")
        return str(given)

    def _grant(self, body: Mapping[str, Any]) -> Grant:
        role, spaces = body.get("role", _UNSAID), body.get("namespaces") or []
        if role is _UNSAID:
            raise InvalidField("role", "is required; an empty one takes the role away")
        if role is None or role == "":
            return Grant(role="")
        role = one_of("role", role, ROLES)
        if not isinstance(spaces, list) or len(spaces) > NAMESPACES_MAX:
            raise InvalidField("namespaces", f"expected a list of at most {NAMESPACES_MAX}")
        found = [namespace(f"namespaces[{i}]", one, self._limits) for i, one in enumerate(spaces)]
        if role == TEAM_ADMIN and not found:
            raise InvalidField("namespaces", "a team-admin needs at least one")
        return Grant(role=role, namespaces=tuple(dict.fromkeys(found)))

    # Showing.

    def page(self) -> list[dict[str, Any]]:
        """All registered agents, by id."""
        state = self._governing.state()
        return [self._shown(agent, state) for agent in sorted(state.agents)]

    def roles(self) -> list[dict[str, Any]]:
        """All roles, those of agents that never registered too."""
        roles = self._governing.state().roles
        return [{"agent_id": agent, **_role_of(roles[agent])} for agent in sorted(roles)]

    def one(self, agent: str) -> dict[str, Any]:
        """One agent, registered or only known by its role."""
        state = self._governing.state()
        if agent in state.agents:
            return self._shown(agent, state)
        grant = state.roles.get(agent)
        return {"agent_id": agent, **(_role_of(grant) if grant is not None else {})}

    def _shown(self, agent: str, state: GovernanceState) -> dict[str, Any]:
        fields = state.agents[agent]
        registered = max(int(fields.get("registered_at", 0)), 0)
        out: dict[str, Any] = {
            "agent_id": agent,
            "agent_type": fields.get("agent_type", ""),
            "capabilities": _listed(fields.get("capabilities")),
            "registered_at": format_ms(registered),
            "last_seen_at": format_ms(max(self._seen.of(agent), registered)),
        }
        grant = state.roles.get(agent)
        if grant is not None:
            out.update(_role_of(grant))
        if fields.get(_KEY):
            out[_KEY] = base64.b64encode(fields[_KEY]).decode()
        return out


def _role_of(grant: Grant) -> dict[str, Any]:
    return {"role": grant.role, "namespaces": list(grant.namespaces)}


def _listed(value: object) -> list[str]:
    """What a registration says it can do; other members are not believed to have sent texts."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _capabilities(value: object, held: Mapping[str, Any]) -> list[str]:
    if value is None:
        return _listed(held.get("capabilities"))
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise InvalidField("capabilities", "expected a list of texts")
    if len(value) > CAPABILITIES_MAX or any(len(one) > CAPABILITY_CHARS_MAX for one in value):
        raise InvalidField(
            "capabilities",
            f"at most {CAPABILITIES_MAX}, each of at most {CAPABILITY_CHARS_MAX} characters",
        )
    return list(dict.fromkeys(value))


def _key_of(body: Mapping[str, Any], held: Mapping[str, Any]) -> bytes | None:
    """The key that shall be bound: a new one, none, or the one that is."""
    given = body.get(_KEY, _UNSAID)
    if given is _UNSAID:
        return held.get(_KEY)
    if given is None or given == "":
        return None
    try:
        return parse_public_key(given)
    except TransportError as error:
        raise MalformedKey(_KEY, str(error)) from error
