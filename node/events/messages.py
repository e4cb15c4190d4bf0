"""Messages from agent to agent.

Law: a message is for one agent, and shows to that agent alone, on every node; not to who sent
it, not to administrators. It is private like a private memory, replicates like any record, ends
with its tier, and is read when its addressee says so. The id begins with a hash of the
addressee, so an inbox is found without looking at others' messages.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crdt.fields import element_field
from crdt.hlc import millis
from crdt.op import Draft, Kind, Value
from crdt.roles import within
from node.contracts import Caller, Held, Receipt
from node.events.names import MESSAGE
from node.memory.fields import LIFE_MS
from node.memory.memories import Ask, Memories
from node.memory.problems import InvalidField, NotFound
from node.memory.record import GRANTS, PRIORITY_DEFAULT, PRIVATE_SCOPE, TIER_DEFAULT
from node.memory.rules import agent_id, checked, namespace
from node.memory.times import format_ms

LIMIT_DEFAULT: Final = 50
INBOX_MAX: Final = 10_000
READ: Final = "read"

_HASH_CHARS: Final = 24
_STRIDE: Final = 64
_TARGETS: Final = ("target_agent_id", "to")
_TITLES: Final = ("title", "subject")
_BODIES: Final = ("content", "body", "payload", "message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message after it was written."""

    shown: dict[str, Any]
    id: str
    receipt: Receipt


class Messages:
    """Writes messages and shows inboxes.

    Args:
        memories: gives funnel, rules and clock.
    """

    def __init__(self, memories: Memories) -> None:
        self._memories = memories

    # Writing.

    async def send(self, ask: Ask) -> Sent:
        """Write to an agent.

        Raises:
            InvalidField: a field cannot be taken.
            node.memory.problems.Shortfall: stored here, not on W members.
            node.errors.WriteError: nothing was minted.
        """
        draft = self.draft(ask)
        known = self._memories.known(ask.retry) is not None
        drafts = () if known else (draft,)
        receipt = await self._memories.commit(drafts, ask, "store", id=draft.id)
        held = self._memories.funnel.reader().get(MESSAGE, draft.id)
        now = self._memories.now_ms()
        shown = _shown(draft.id, draft.owner, draft.set, now) if held is None else message_of(held)
        return Sent(shown=shown, id=draft.id, receipt=receipt)

    def draft(self, ask: Ask) -> Draft:
        """The draft of the message that a request wants written.

        Raises:
            InvalidField: a field cannot be taken.
        """
        body, limits = ask.body, self._memories.rules.limits
        field, target = _first(body, _TARGETS)
        to = agent_id(field, target, limits)
        title_field, title = _first(body, _TITLES)
        body_field, content = _first(body, _BODIES)
        fields = _as_memory(body, title, content)
        try:
            taken = checked(fields, limits)
        except InvalidField as error:  # told under the name that the request used
            name = {"title": title_field, "content": body_field}.get(error.field, error.field)
            raise InvalidField(name, str(error).partition(": ")[2].rstrip(".")) from error
        tier = taken.get("tier") or TIER_DEFAULT
        written: dict[str, Value] = {
            "to": to,
            "title": taken["title"],
            "content": taken["content"],
            "priority": taken.get("priority") or PRIORITY_DEFAULT,
            "tier": tier,
            "scope": PRIVATE_SCOPE,
            element_field(GRANTS, to): 0,
        }
        life = LIFE_MS[tier]
        if life is not None:
            written["expires_at"] = self._memories.now_ms() + life
        space = body.get("namespace")
        return Draft(
            kind=Kind.CREATE,
            collection=MESSAGE,
            id=f"{inbox_of(to)}{self._memories.funnel.draw_id(ask.retry, 0)}",
            namespace=namespace("namespace", space, limits)
            if space
            else self._memories.rules.default_namespace,
            owner=ask.agent,
            set=written,
            fresh=ask.retry is None,
        )

    async def mark_read(self, wanted: Sequence[str] | None, ask: Ask) -> tuple[int, Receipt | None]:
        """Say that messages were read; all of them when none is named.

        Returns:
            How many were marked, and what is known of that write, when there was one.

        Raises:
            NotFound: one of them is not for the caller.
            node.memory.problems.Shortfall: stored here, not on W members.
            node.errors.WriteError: nothing was minted.
        """
        if self._memories.known(ask.retry) is not None:
            return 0, await self._memories.commit((), ask, "store")
        mine = {held.id: held for held in await self._all(ask.caller)}
        unknown = [one for one in wanted or () if one not in mine]
        if unknown:
            raise NotFound("no message to you has this id")
        named = mine if wanted is None else dict.fromkeys(wanted)
        fresh = [one for one in named if mine[one].view.values.get(READ) is not True]
        most = self._memories.rules.limits.bulk_items_max
        drafts = [
            Draft(kind=Kind.EDIT, collection=MESSAGE, id=one, set={READ: True})
            for one in fresh[:most]
        ]
        if not drafts:
            return 0, None
        return len(drafts), await self._memories.commit(drafts, ask, "store", marked=len(drafts))

    # Reading.

    async def inbox(
        self, viewer: Caller, *, limit: int, unread_only: bool = False
    ) -> list[dict[str, Any]]:
        """What was written to a caller, the latest first."""
        found = [
            held
            for held in await self._all(viewer)
            if not (unread_only and held.view.values.get(READ) is True)
        ]
        found.sort(key=lambda held: (held.view.created, held.id), reverse=True)
        return [message_of(held) for held in found[:limit]]

    async def _all(self, viewer: Caller) -> list[Held]:
        if viewer.nameless:
            return []
        reader = self._memories.funnel.reader()
        out: list[Held] = []
        names = reader.with_prefix(MESSAGE, inbox_of(viewer.agent), INBOX_MAX)
        for step, name in enumerate(names, start=1):
            held = reader.get(MESSAGE, name)
            if held is not None and is_for(held, viewer):
                out.append(held)
            if step % _STRIDE == 0:
                await asyncio.sleep(0)
        return out


def inbox_of(agent: str) -> str:
    """What the ids of all messages to an agent begin with."""
    return f"{hashlib.sha256(agent.encode()).hexdigest()[:_HASH_CHARS]}-"


def is_for(held: Held, viewer: Caller) -> bool:
    """Whether a message is for a caller: the one rule of every inbox."""
    spaces = viewer.namespaces
    if spaces is not None and not within(held.view.namespace, spaces):
        return False
    return not viewer.nameless and held.view.values.get("to") == viewer.agent


def message_of(held: Held) -> dict[str, Any]:
    """A message in API words."""
    return _shown(held.id, held.view.owner, held.view.values, millis(held.view.created))


def _shown(ident: str, sender: str, values: Mapping[str, Value], at_ms: int) -> dict[str, Any]:
    # A member that does not keep to the format may have left them out.
    title, content, when = values.get("title", ""), values.get("content", ""), format_ms(at_ms)
    out = {
        "id": ident,
        "from": sender,
        "to": values["to"],
        "title": title,
        "subject": title,
        "payload": content,
        "content": content,
        "body": content,
        "priority": values.get("priority", PRIORITY_DEFAULT),
        "tier": values.get("tier", TIER_DEFAULT),
        "created_at": when,
        "received_at": when,
        "read": values.get(READ) is True,
    }
    expires = values.get("expires_at")
    return out if expires is None else {**out, "expires_at": format_ms(expires)}


def _first(body: Mapping[str, Any], names: Sequence[str]) -> tuple[str, Any]:
    """The first of several names under which a request says one thing.

    Raises:
        InvalidField: it says it under none of them.
    """
    for name in names:
        if body.get(name) is not None:
            return name, body[name]
    raise InvalidField(names[0], f"is required ({' or '.join(names[1:])} is the same)")


def _as_memory(body: Mapping[str, Any], title: Any, content: Any) -> dict[str, Any]:
    fields = {"title": title, "content": content}
    return fields | {name: body[name] for name in ("priority", "tier") if name in body}
