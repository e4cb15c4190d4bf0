"""What agents do with memories, above the funnel and the reader.

Law: every change goes through the one funnel, and what it is based on is read in the same
step, without waiting in between. A request either mints all of its operations or none. What
a caller may not see does not exist for it. A retry gets the answer of its first request,
rebuilt, with its durability measured anew.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from crdt.dot import Dot
from crdt.op import Draft, Op, Value
from node.contracts import Caller, ConcurrentValue, Funnel, Held, Reader, Receipt, RetryKey
from node.documents.warming import walked
from node.errors import Denied, QuorumNotMet
from node.memory.drafts import COLLECTION, DraftRules, archive, delete
from node.memory.finding import Finder
from node.memory.history import known_history
from node.memory.problems import AlreadyThere, NotFound, Shortfall, StaleVersion
from node.memory.query import Query, select
from node.memory.record import TIER_DEFAULT, check_author, visible_to
from node.memory.rules import agent_id, one_of, record_id

_STRIDE: Final = 512
_HISTORY_MAX: Final = 1000
REASON_DELETED: Final = "deleted"
_ON_CONFLICT: Final = ("none", "update", "error")


@dataclass(slots=True, kw_only=True)  # never changed; freezing costs a call a field
class Ask:
    """Who asks, with which body, and how a retry would be known."""

    caller: Caller
    body: Mapping[str, Any]
    retry: RetryKey | None = None

    @property
    def agent(self) -> str:
        """The name that acts."""
        return self.caller.agent

    def attests(self, owner: str) -> bool:
        """Whether the author of a memory signed this very request."""
        return self.caller.attested and self.caller.agent == owner


class Made(NamedTuple):
    """A memory that a request created, or updated in the place of creating."""

    id: str
    tier: str
    namespace: str
    title: str
    agent: str
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A memory after a change; `held` is None when it is no longer there."""

    id: str
    held: Held | None
    receipt: Receipt


class Memories:
    """The operations of agents.

    Args:
        funnel: the one way to change anything.
        rules: what shapes drafts.
        now_ms: wall clock, milliseconds since the epoch.
        entropy: gives so many random bytes.
        requires_signature: whether writes in the name of an agent must be signed by it.
    """

    def __init__(
        self,
        *,
        funnel: Funnel,
        rules: DraftRules,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        requires_signature: Callable[[str], bool] = lambda _agent: False,
    ) -> None:
        self.funnel = funnel
        self.finder = Finder(funnel.reader)
        self.rules = rules
        self.now_ms = now_ms
        self.requires_signature = requires_signature
        self._entropy = entropy

    def caller(self, body: Mapping[str, Any], header: str | None) -> str:
        """The agent that a request names, empty when it names none.

        Raises:
            InvalidField: a name does not have the shape of one.
        """
        limits = self.rules.limits
        named = body.get("agent_id")
        inner = body.get("metadata")
        declared = inner.get("agent_id") if isinstance(inner, dict) else None
        if named is not None:
            return agent_id("agent_id", named, limits)
        if declared is not None:
            return agent_id("metadata.agent_id", declared, limits)
        return agent_id("X-Agent-Id", header, limits) if header else ""

    def nameless(self, retry_key: str | None) -> str:
        """A name for a caller without one; retries of one request get the same."""
        if retry_key is None:
            return f"anonymous:req-{self._entropy(4).hex()}"
        drawn = hashlib.sha256(f"nameless {retry_key}".encode()).hexdigest()
        return f"anonymous:req-{drawn[:8]}"

    # Reading.

    def find(self, wanted: str, viewer: Caller, *, everything: bool = False) -> Held:
        """The memory with an id, or with the only id that begins so.

        Args:
            wanted: the id, or 6 and more characters of it.
            viewer: who looks.
            everything: others' private memories too, for administrators.

        Raises:
            NotFound: there is none that the caller may see.
            Ambiguous: several begin so.
        """
        return self.finder.find(wanted, viewer, everything=everything)

    def seen(self, ident: str, viewer: Caller, *, everything: bool = False) -> Held | None:
        """The memory with exactly this id that a caller may see."""
        return self.finder.seen(ident, viewer, everything=everything)

    async def changes_of(self, held: Held) -> bytes | None:
        """All changes of a document, one after the other; None for any other memory."""
        documents = self.rules.documents
        return None if documents is None else await documents.all_of(held)

    async def page(self, query: Query, viewer: Caller) -> list[Held]:
        """The memories that a list shows, newest first."""
        recent = self.funnel.reader().recent(query.namespace)
        return [held async for held in _patiently(select(recent, query, viewer))]

    async def all_for(self, viewer: Caller, *, administrator: bool) -> AsyncIterator[Held]:
        """Every memory that a caller may take home, newest first."""
        async for held in walked(self.funnel.reader().recent()):
            if visible_to(held, viewer, everything=administrator):
                yield held

    def conflicts(
        self, wanted: str, viewer: Caller
    ) -> tuple[Held, dict[str, list[ConcurrentValue]]]:
        """A memory and the concurrent values of its fields, the shown one first."""
        held = self.find(wanted, viewer)
        return held, self.funnel.reader().conflicts(COLLECTION, held.id)

    def history(self, wanted: str, viewer: Caller, limit: int) -> tuple[Held, list[Op]]:
        """A memory and its operations still in the log that the caller may know, newest first."""
        held = self.find(wanted, viewer)
        ops = self.funnel.reader().history(COLLECTION, held.id, _HISTORY_MAX)
        return held, known_history(held, ops, viewer)[:limit]

    # Writing.

    async def create(self, ask: Ask) -> Made:
        """Make a memory, or update the one with the same title where that is asked.

        Raises:
            InvalidField: a field cannot be taken.
            AlreadyThere: the id, or the title where that is to be an error, is taken.
            Shortfall: stored here, not on W members.
            node.errors.WriteError: nothing was minted.
        """
        on_conflict = self.on_conflict(ask.body)
        draft = self.draft(ask.body, ask.agent, ask)
        known = self.known(ask.retry)
        if known is not None:
            twin = await self.titled(draft, ask.caller) if on_conflict == "update" else None
            reader = self.funnel.reader()
            if twin is not None and made_by(reader, twin.id, known):
                return await self._replayed(ask, twin)
            return await self._replayed(ask, draft)
        if on_conflict is not None:
            twin = await self.titled(draft, ask.caller)
            if twin is not None and on_conflict == "error":
                raise AlreadyThere("a memory with this title is in the namespace", twin.id)
            if twin is not None:
                changed = await self.change(twin, self.edited(twin, ask.body, ask), ask, "store")
                return _made(changed.held or twin, changed.receipt)
        if ask.body.get("id") is not None and self.finder.is_taken(draft.id):
            raise AlreadyThere("the id is taken", draft.id)
        receipt = await self.commit([draft], ask, "store", id=draft.id)
        return _made(draft, receipt)

    def on_conflict(self, body: Mapping[str, Any]) -> str | None:
        """What a create does about an equal title: None, `update` or `error`."""
        wish = body.get("on_conflict")
        if wish is None:
            return None
        wish = one_of("on_conflict", wish, _ON_CONFLICT)
        return None if wish == "none" else wish

    def draft(
        self,
        body: Mapping[str, Any],
        owner: str,
        ask: Ask,
        index: int = 0,
        *,
        keep_dates: bool = False,
    ) -> Draft:
        """The draft of one memory of a request: the item at `index`, written by `owner`."""
        given = body.get("id")
        return self.rules.create(
            body,
            record_id=self.funnel.draw_id(ask.retry, index)
            if given is None
            else record_id("id", given, self.rules.limits),
            fresh=given is None and ask.retry is None,
            owner=owner,
            now_ms=self.now_ms(),
            keep_dates=keep_dates,
            attested=ask.attests(owner),
        )

    def edited(self, held: Held, body: Mapping[str, Any], ask: Ask) -> list[Draft]:
        """The drafts that change a memory as a request wants it.

        Raises:
            NotOwner: it is private, and the caller was only let in to see it.
        """
        check_author(held, ask.agent)
        attested = ask.attests(held.view.owner)
        return self.rules.update(held, body, self.now_ms(), attested=attested)

    async def titled(self, draft: Draft, viewer: Caller) -> Held | None:
        """The newest visible memory with the title and namespace of a draft."""
        title, space = draft.set["title"], draft.namespace
        newest: Held | None = None
        found: str | None = None
        for step, held in enumerate(self.funnel.reader().recent(space), start=1):
            newest = newest or held
            if held.view.values.get("title") == title and visible_to(held, viewer):
                found = held.id
                break
            if step % _STRIDE == 0:
                await asyncio.sleep(0)
        # Others wrote while a long search gave way: look at what is newer, without waiting.
        for held in self.funnel.reader().recent(space):
            if newest is None or held.view.created <= newest.view.created:
                break
            if held.view.values.get("title") == title and visible_to(held, viewer):
                return held
        return self.seen(found, viewer) if found is not None else None

    async def update(self, wanted: str, ask: Ask, if_match: str | None) -> Changed:
        """Change a memory.

        Raises:
            NotFound, Ambiguous, StaleVersion, InvalidField: nothing was minted.
            Shortfall: stored here, not on W members.
        """
        if self.known(ask.retry) is not None:
            return await self.again(wanted, ask)
        held = self.find(wanted, ask.caller)
        check_match(held, if_match)
        return await self.change(held, self.edited(held, ask.body, ask), ask, "store")

    async def promote(self, wanted: str, ask: Ask) -> Changed:
        """Make a memory last, out of the archive too; raises as `update`."""
        if self.known(ask.retry) is not None:
            return await self.again(wanted, ask)
        held = self.finder.anywhere(wanted, ask.caller)
        check_author(held, ask.agent)
        given = ask.body.get("to_namespace")
        space = None if given is None else self.rules.namespace_of({"namespace": given})
        return await self.change(held, self.rules.promote(held, space), ask, "promote")

    async def delete(self, wanted: str, ask: Ask, if_match: str | None) -> Changed:
        """End a memory, or put it into the archive where that is set; raises as `update`."""
        if self.known(ask.retry) is not None:
            receipt = await self.commit((), ask, "delete", id=wanted)
            return Changed(id=wanted, held=None, receipt=receipt)
        held = self.find(wanted, ask.caller)
        check_match(held, if_match)
        check_author(held, ask.agent)
        draft = delete(held)
        if self.rules.archive_on_delete:
            self.check_allowed(draft, ask.caller)
            draft = archive(held, REASON_DELETED, self.now_ms())
        receipt = await self.commit([draft], ask, "delete", id=held.id)
        return Changed(id=held.id, held=None, receipt=receipt)

    def check_allowed(self, draft: Draft, caller: Caller) -> None:
        """Hold a request to what governance says of a draft that stands for it.

        Raises:
            node.errors.Denied: governance refuses it; nothing was minted.
        """
        said = self.funnel.refusal(draft, caller=caller)
        if said is not None:
            code, _, words = said.partition(": ")
            raise Denied(words, fix="Ask whoever governs the namespace", code=code)

    def known(self, retry: RetryKey | None) -> tuple[Dot, ...] | None:
        """The dots of the first request of a retry."""
        return None if retry is None else self.funnel.known(retry)

    async def commit(
        self, drafts: Sequence[Draft], ask: Ask, action: str, **facts: object
    ) -> Receipt:
        """Give drafts to the funnel; a shortfall is told with the facts of the answer."""
        try:
            return await self.funnel.write(
                drafts, caller=ask.caller, action=action, retry=ask.retry
            )
        except QuorumNotMet as error:
            raise Shortfall(error, facts) from error

    async def change(self, held: Held, drafts: Sequence[Draft], ask: Ask, action: str) -> Changed:
        """Give the drafts that change one memory to the funnel."""
        receipt = await self.commit(drafts, ask, action, id=held.id)
        return Changed(id=held.id, held=self.seen(held.id, ask.caller), receipt=receipt)

    async def again(self, wanted: str, ask: Ask) -> Changed:
        """The answer to a change that was made before."""
        receipt = await self.commit((), ask, "store", id=wanted)
        try:
            held = self.find(wanted, ask.caller)
        except NotFound:  # it has ended since; the change stands as it was answered
            return Changed(id=wanted, held=None, receipt=receipt)
        return Changed(id=held.id, held=held, receipt=receipt)

    async def _replayed(self, ask: Ask, what: Draft | Held) -> Made:
        return _made(what, await self.commit((), ask, "store", id=what.id))


def made_by(reader: Reader, record: str, dots: Sequence[Dot]) -> bool:
    """Whether one of these operations is in the log of a memory."""
    wanted = set(dots)
    return any(op.dot in wanted for op in reader.history(COLLECTION, record, _HISTORY_MAX))


def check_match(held: Held, if_match: str | None) -> None:
    """Hold a change to the version it was made for (RFC 9110, section 13.1.1).

    Raises:
        StaleVersion: the memory is at another version.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if f'"{held.view.etag}"' not in [tag.strip() for tag in if_match.split(",")]:
        raise StaleVersion(held.view.etag)


def _made(what: Draft | Held, receipt: Receipt) -> Made:
    values: Mapping[str, Value]
    if isinstance(what, Held):
        values, space, owner = what.view.values, what.view.namespace, what.view.owner
    else:
        values, space, owner = what.set, what.namespace, what.owner
    return Made(
        id=what.id,
        tier=values.get("tier", TIER_DEFAULT),
        namespace=space,
        title=values["title"],
        agent=owner,
        receipt=receipt,
    )


async def _patiently(found: Iterator[Held | None]) -> AsyncIterator[Held]:
    """What a long search finds, giving way to other requests now and then."""
    for step, held in enumerate(found, start=1):
        if held is not None:
            yield held
        if step % _STRIDE == 0:
            await asyncio.sleep(0)
