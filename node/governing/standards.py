"""Standards of namespaces: a policy, and the memory that explains it.

Law: a standard is set whole and replaces what its author saw of it; what a request leaves out
stays as it was. To clear one is to write that the levels above shall be asked. Concurrent
versions are all shown, because all of them hold until somebody settles them.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crdt.dot import dot_text
from crdt.governance_state import GovernanceState
from crdt.hlc import millis
from crdt.op import Kind
from crdt.policy import ROOT, Policy
from crdt.roles import within
from node.contracts import Caller, GovernanceDraft, Governing, Receipt
from node.errors import Denied
from node.governing.changes import govern
from node.governing.policies import (
    check_parent,
    is_standing,
    levels_above,
    read_governance,
    ruled_by,
    shown_rules,
)
from node.memory.memories import Ask, Memories
from node.memory.problems import InvalidField, NotFound
from node.memory.rules import agent_id, namespace
from node.memory.times import format_ms
from node.settings.sections import GovernanceRules

_UNSAID: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A standard after a change.

    Attributes:
        standard: as it is shown now; None when it was cleared.
        receipt: None when there was nothing to change.
        ignored: keys of the governance value that mean nothing here.
    """

    standard: Mapping[str, Any] | None
    receipt: Receipt | None
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The standards of a namespace, as a reader may see them."""

    namespace: str
    standards: list[dict[str, Any]]
    chain: list[str]


class Standards:
    """Sets, clears and shows standards.

    Args:
        governing: what holds now.
        memories: where the explaining memories are found, and the funnel.
        times: how long approvals may take, asked anew each time.
    """

    def __init__(
        self, *, governing: Governing, memories: Memories, times: Callable[[], GovernanceRules]
    ) -> None:
        self._governing = governing
        self._memories = memories
        self._limits = memories.rules.limits
        self._times = times

    def space(self, name: str, value: object) -> str:
        """The namespace that a request names.

        Raises:
            InvalidField: it is missing or cannot be one.
        """
        if value is None or value == "":
            raise InvalidField(name, "is required")
        return namespace(name, value, self._limits)

    # Changing.

    async def set(self, space: str, ask: Ask, body: Mapping[str, Any]) -> Changed:
        """Give a namespace a standard, or change the one it has.

        Raises:
            InvalidField, NotFound: nothing was minted.
            node.errors.Denied: the caller has no say over the namespace.
            node.memory.problems.Shortfall: stored here, not on W members.
        """
        state = self._governing.state()
        drafts: list[GovernanceDraft] = []
        ignored: tuple[str, ...] = ()
        if self._memories.known(ask.retry) is None:
            wanted, ignored = self._read(space, ask, body, state)
            drafts = [GovernanceDraft(kind=Kind.POLICY, namespace=space, set=wanted)]
        receipt = await govern(self._memories.funnel, drafts, ask, {"namespace": space})
        versions = self._standing(self._governing.state(), space)
        shown = self._shown(versions[-1], ask.caller) if versions else None
        return Changed(standard=shown, receipt=receipt, ignored=ignored)

    async def clear(self, space: str, ask: Ask) -> Changed:
        """Let the levels above decide about a namespace again.

        Raises:
            node.errors.Denied: the caller has no say over the namespace.
            node.memory.problems.Shortfall: stored here, not on W members.
        """
        state = self._governing.state()
        drafts: list[GovernanceDraft] = []
        if self._memories.known(ask.retry) is None:
            if not self._standing(state, space):
                return Changed(standard=None, receipt=None)
            nothing: dict[str, Any] = {"governance": {}}
            drafts = [GovernanceDraft(kind=Kind.POLICY, namespace=space, set=nothing)]
        receipt = await govern(self._memories.funnel, drafts, ask, {"namespace": space})
        return Changed(standard=None, receipt=receipt)

    def _read(
        self, space: str, ask: Ask, body: Mapping[str, Any], state: GovernanceState
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The body of the operation, and what of the request means nothing."""
        live = self._standing(state, space)
        kept = live[0] if len(live) == 1 else None
        wanted: dict[str, Any] = {}
        ignored: tuple[str, ...] = ()
        value = _governance_of(body)
        if value is not _UNSAID:
            read = read_governance(
                value, agents=state.agents, times=self._times(), limits=self._limits
            )
            wanted["governance"], ignored = dict(read.rules), read.ignored
        elif len(live) > 1:
            raise InvalidField("governance", "several versions hold; say which rules shall")
        else:
            wanted["governance"] = dict(kept.rules) if kept is not None else {}
        fields = {
            "parent": self._parent(space, body, state, kept),
            "owner": self._owner(body, kept),
            "standard_id": self._memory(body, ask.caller, kept),
        }
        wanted.update((name, text) for name, text in fields.items() if text)
        if not any(wanted.values()):
            raise InvalidField("governance", "is required, or the id of a memory")
        return wanted, ignored

    def _parent(
        self, space: str, body: Mapping[str, Any], state: GovernanceState, kept: Policy | None
    ) -> str:
        given = body.get("parent", _UNSAID)
        if given is _UNSAID:
            return kept.parent if kept is not None else ""
        if given is None or given == "":
            return ""
        parent = namespace("parent", given, self._limits)
        check_parent(state.policies, space, parent)
        return parent

    def _owner(self, body: Mapping[str, Any], kept: Policy | None) -> str:
        given = body.get("owner", _UNSAID)
        if given is _UNSAID:
            return kept.owner if kept is not None else ""
        return agent_id("owner", given, self._limits) if given else ""

    def _memory(self, body: Mapping[str, Any], viewer: Caller, kept: Policy | None) -> str:
        given = body.get("id", body.get("standard_id", _UNSAID))
        if given is _UNSAID:
            return kept.standard_id if kept is not None else ""
        if given is None or given == "":
            return ""
        if not isinstance(given, str):
            raise InvalidField("id", "expected the id of a memory")
        if kept is not None and given == kept.standard_id:
            return given
        return self._memories.find(given, viewer).id

    # Showing.

    def of(self, space: str, viewer: Caller, *, inherit: bool) -> Shown:
        """The standards of a namespace, or of every level that is asked about it.

        Raises:
            node.errors.Denied: the key of the caller is limited to other namespaces.
        """
        if viewer.namespaces is not None and not within(space, viewer.namespaces):
            raise Denied(
                f"the API key does not reach {space!r}",
                fix="Use a key of that namespace",
                code="namespace_not_of_key",
            )
        state = self._governing.state()
        chain = levels_above(state.policies, space)[::-1]
        levels = chain if inherit else [space]
        found = [
            self._shown(policy, viewer)
            for level in levels
            for policy in self._standing(state, level)
        ]
        return Shown(namespace=space, standards=found, chain=chain)

    def spaces(self, counts: Mapping[str, int], viewer: Caller) -> list[dict[str, Any]]:
        """Every namespace that holds something or has a standard, by name.

        Args:
            counts: memories by namespace, as the caller may see them.
            viewer: who looks; a key that is limited to subtrees is told of nothing else.
        """
        limits = viewer.namespaces
        state = self._governing.state()
        versions = Counter(
            {
                space: len(found)
                for space in state.policies
                if (found := self._standing(state, space))
            }
        )
        return [
            {
                "namespace": space,
                "count": counts.get(space, 0),
                "standards": versions[space],
                "ruled_by": ruled_by(state.policies, space),
            }
            for space in sorted(counts.keys() | versions.keys())
            if limits is None or within(space, limits)
        ]

    def _standing(self, state: GovernanceState, space: str) -> list[Policy]:
        """The live versions that say something, the latest last."""
        found = [policy for policy in state.policies.get(space, ()) if is_standing(policy)]
        return sorted(found, key=lambda policy: (policy.hlc, policy.dot or ()))

    def _shown(self, policy: Policy, viewer: Caller) -> dict[str, Any]:
        title, content = self._words(policy.standard_id, viewer)
        out: dict[str, Any] = {
            "namespace": policy.namespace,
            "id": policy.standard_id,
            "title": title,
            "content": content,
            "governance": shown_rules(policy.rules),
            "author": policy.author,
            "set_at": format_ms(millis(policy.hlc)),
        }
        if policy.namespace != ROOT:
            out["parent"] = policy.above
        if policy.owner:
            out["owner"] = policy.owner
        if policy.dot is not None:
            out["dot"] = dot_text(policy.dot)
        return out

    def _words(self, memory: str, viewer: Caller) -> tuple[str, str]:
        """Title and content of the memory that explains a standard, if the caller may see it."""
        if not memory:
            return "", ""
        try:
            values = self._memories.find(memory, viewer).view.values
        except NotFound:
            return "", ""
        return str(values.get("title", "")), str(values.get("content", ""))


def _governance_of(body: Mapping[str, Any]) -> object:
    """The governance value of a request, which may stand inside a standard."""
    if body.get("governance") is not None:
        return body["governance"]
    standard = body.get("standard")
    if standard is None:
        return _UNSAID
    if not isinstance(standard, Mapping):
        raise InvalidField("standard", 'expected an object, as {"governance": {...}}')
    return _UNSAID if standard.get("governance") is None else standard["governance"]
