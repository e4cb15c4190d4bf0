"""What agents say about how memories belong together.

Law: a link is one record: source, relation and target make its id, so saying it twice is
saying it once, on all nodes. It lies in the namespace of its source, is judged by that
namespace's policies, and belongs to who stated it. It shows while the caller may see both of
its ends; one with a private end stays in the lane that never leaves the node.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from crdt.dot import DATA, PRIVATE
from crdt.op import Draft, Kind, Value
from node.contracts import Caller, Held, Receipt
from node.links.index import COLLECTION, LinkIndex, leaving, link_id
from node.links.link import DERIVATIONS, Link, link_draft, link_of, relation_of, required
from node.memory.drafts import COLLECTION as MEMORY
from node.memory.memories import Ask, Memories
from node.memory.problems import InvalidField, NotFound, Shortfall
from node.memory.record import ATTEST_LEVEL, ATTESTED, CLAIMED, CREATED_AT, visible_to
from node.memory.rules import moment

LINKS_MAX: Final = 1000
LEAVING_MAX: Final = 10_000
"""Most links of one memory that are looked at on the way out."""

_STRIDE: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """The outcome of stating a link; no receipt when it was there already."""

    link: Link
    receipt: Receipt | None


class Links:
    """What can be done with links.

    Args:
        memories: their ends.
        index: which links end where.
    """

    def __init__(self, memories: Memories, index: LinkIndex) -> None:
        self._memories = memories
        self.index = index

    # Reading.

    async def of(self, memory: str, viewer: Caller, limit: int = LINKS_MAX) -> list[Link]:
        """The links of a memory, both ways, oldest first, at most `limit` each way."""
        if not self.touch(memory):
            return []
        found: dict[str, Link] = {}
        for outward in (True, False):
            count = 0
            async for link, _ in self.neighbours(memory, viewer, outward=outward):
                found[link.id] = link
                count += 1
                if count >= limit:
                    break
        return sorted(found.values(), key=lambda link: (link.made, link.id))

    def touch(self, memory: str) -> bool:
        """Whether a memory may have links; most have none."""
        return self.index.touches(memory) or self._memories.funnel.reader().fresh(COLLECTION)

    async def neighbours(
        self, memory: str, viewer: Caller, *, outward: bool
    ) -> AsyncIterator[tuple[Link, Held]]:
        """The links that leave a memory, or end at it, each with its other end."""
        reader = self._memories.funnel.reader()
        if outward:
            names = reader.named(COLLECTION, leaving(memory), LEAVING_MAX)
        else:
            names = self.index.ending_at(memory)
        for step, name in enumerate(names, start=1):
            link = self.read(name)
            if link is not None and memory == (link.source if outward else link.target):
                end = link.target if outward else link.source
                other = reader.get(MEMORY, end)
                if other is None and link.relation in DERIVATIONS:
                    other = reader.archived(MEMORY, end)  # what was consolidated is kept there
                if other is not None and visible_to(other, viewer):
                    yield link, other
            if step % _STRIDE == 0:
                await asyncio.sleep(0)

    def read(self, name: str) -> Link | None:
        """The link of a record; its ends are not looked at."""
        held = self._memories.funnel.reader().get(COLLECTION, name)
        return None if held is None else link_of(held)

    async def all_for(self, viewer: Caller, *, administrator: bool) -> AsyncIterator[Link]:
        """Every link between memories that a caller may take home."""
        reader = self._memories.funnel.reader()
        for step, name in enumerate(self.index.every(), start=1):
            link = self.read(name)
            if link is not None and all(
                (end := reader.get(MEMORY, one)) is not None
                and visible_to(end, viewer, everything=administrator)
                for one in (link.source, link.target)
            ):
                yield link
            if step % _STRIDE == 0:
                await asyncio.sleep(0)

    # Writing.

    async def create(self, ask: Ask) -> Stated:
        """State a link; one that is stated already is left as it is.

        Raises:
            InvalidField: a field cannot be taken, or the ends are one memory.
            NotFound, Ambiguous: an end is nothing that the caller may see.
            node.memory.problems.Shortfall: stored here, not on W members.
            node.errors.WriteError: nothing was minted.
        """
        if self._memories.known(ask.retry) is not None:
            receipt = await self._memories.commit((), ask, "store")
            return Stated(link=self._again(ask), receipt=receipt)
        draft = self.draft(ask)
        held = self._memories.funnel.reader().get(COLLECTION, draft.id)
        link = None if held is None else link_of(held)
        if held is not None and link is not None and held.private <= draft.private:
            return Stated(link=link, receipt=None)
        drafts = [draft]
        if held is not None and link is not None:  # its ends have been shared since: so is it
            drafts = [_as_stated(draft, link), _end(held)]
        receipt = await self._commit(drafts, ask)
        link = self.read(draft.id) or self._asked(
            ask, draft.set["source_id"], draft.set["target_id"]
        )
        return Stated(link=link, receipt=receipt)

    async def _commit(self, drafts: list[Draft], ask: Ask) -> Receipt:
        made = drafts[0]
        lane = PRIVATE if made.private else DATA
        ends = {name: made.set[name] for name in ("source_id", "target_id", "relation")}
        try:
            receipt = await self._memories.commit(drafts, ask, "store", **ends)
        except Shortfall:
            self.index.made(lane, made.id)
            raise
        self.index.made(lane, made.id)
        return receipt

    def _asked(self, ask: Ask, source: str, target: str) -> Link:
        """The link that a request is about, as far as the request tells."""
        relation, now = relation_of(ask.body), self._memories.now_ms()
        return Link(
            id=link_id(source, relation, target),
            source=source,
            target=target,
            relation=relation,
            owner=ask.agent,
            made=now,
            valid_from=now,
            valid_until=None,
            attest_level=ATTESTED if ask.attests(ask.agent) else CLAIMED,
        )

    def _again(self, ask: Ask) -> Link:
        """The link of a retry, as it stands; its ends may be gone by now."""
        source, target = required(ask.body, "source_id"), required(ask.body, "target_id")
        link = self.read(link_id(source, relation_of(ask.body), target))
        if link is None:
            try:
                link = self.read(self.draft(ask).id)
            except NotFound:
                link = None
        return link or self._asked(ask, source, target)

    def draft(self, ask: Ask) -> Draft:
        """The draft of the link that a request states.

        Raises:
            InvalidField, NotFound, Ambiguous: as `create`.
        """
        body, find = ask.body, self._memories.find
        relation = relation_of(body)
        source = find(required(body, "source_id"), ask.caller)
        target = find(required(body, "target_id"), ask.caller)
        if source.id == target.id:
            raise InvalidField("target_id", "is the source itself")
        fields: dict[str, Value] = {
            name: moment(name, body[name])
            for name in ("valid_from", "valid_until")
            if body.get(name) is not None
        }
        begin = fields.get("valid_from", self._memories.now_ms())
        if "valid_until" in fields and fields["valid_until"] <= begin:
            raise InvalidField("valid_until", "lies before the link begins to hold")
        if ask.attests(ask.agent):
            fields[ATTEST_LEVEL] = ATTESTED
        return link_draft(
            source=source.id,
            relation=relation,
            target=target.id,
            namespace=source.view.namespace,
            owner=ask.agent,
            private=source.private or target.private,
            fields=fields,
        )

    async def remove(self, ask: Ask) -> tuple[Link, Receipt]:
        """Take a link back; who stated it may when its ends are gone, too.

        Raises:
            InvalidField: a field cannot be taken.
            NotFound: there is no such link that the caller may see.
            node.memory.problems.Shortfall: stored here, not on W members.
            node.errors.WriteError: nothing was minted.
        """
        if self._memories.known(ask.retry) is not None:
            receipt = await self._memories.commit((), ask, "delete")
            source, target = required(ask.body, "source_id"), required(ask.body, "target_id")
            return self._asked(ask, source, target), receipt
        held, link = self.stated(ask)
        receipt = await self._memories.commit([_end(held)], ask, "delete", **_facts(link))
        return link, receipt

    def stated(self, ask: Ask) -> tuple[Held, Link]:
        """The link that a request names, and its record.

        Raises:
            InvalidField: a field cannot be taken.
            NotFound, Ambiguous: there is no such link that the caller may see.
        """
        body, relation = ask.body, relation_of(ask.body)
        source, target = required(body, "source_id"), required(body, "target_id")
        reader = self._memories.funnel.reader()
        held = reader.get(COLLECTION, link_id(source, relation, target))
        if held is None:  # perhaps the beginnings of ids
            ends = [self._memories.find(one, ask.caller).id for one in (source, target)]
            held = reader.get(COLLECTION, link_id(ends[0], relation, ends[1]))
        link = None if held is None else link_of(held)
        if held is None or link is None or not self._shows(held, link, ask.caller):
            raise NotFound("no such link")
        return held, link

    def _shows(self, held: Held, link: Link, viewer: Caller) -> bool:
        if not visible_to(held, viewer):
            return False
        if link.owner == viewer.agent:
            return True
        reader = self._memories.funnel.reader()
        ends = (reader.get(MEMORY, link.source), reader.get(MEMORY, link.target))
        return all(end is not None and visible_to(end, viewer) for end in ends)


def _as_stated(draft: Draft, link: Link) -> Draft:
    """The draft of a link that was stated before, with what was said then."""
    said: dict[str, Value] = {
        CREATED_AT: link.made,
        "valid_from": link.valid_from,
        "valid_until": link.valid_until,
        ATTEST_LEVEL: ATTESTED if link.attest_level == ATTESTED else None,
    }
    kept = {name: value for name, value in said.items() if value is not None}
    return replace(draft, owner=link.owner, set={**draft.set, **kept})


def _end(held: Held) -> Draft:
    return Draft(kind=Kind.DELETE, collection=COLLECTION, id=held.id, private=held.private)


def _facts(link: Link) -> dict[str, str]:
    return {"source_id": link.source, "target_id": link.target, "relation": link.relation}
