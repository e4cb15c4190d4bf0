"""The end of what a link states: it stays, and says until when it held.

Law: one edit of one field through the one funnel. A link is never ended before it began; what
it said before about its end is told, also to a retry, as far as the log still has it.
"""

from dataclasses import dataclass

from crdt.op import Draft, Kind
from node.contracts import Held, Receipt
from node.links.index import COLLECTION
from node.links.link import Link
from node.links.links import Links
from node.memory.memories import Ask, Memories
from node.memory.problems import InvalidField
from node.memory.record import ATTEST_LEVEL
from node.memory.rules import moment

_HISTORY_MAX = 1000
_UNTIL = "valid_until"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalidated:
    """A link after its end was said.

    Attributes:
        link: as it was found.
        until: when it ends now, milliseconds since the epoch.
        previous: what it said about that before.
        receipt: of the write.
    """

    link: Link
    until: int
    previous: int | None
    receipt: Receipt


async def invalidate(memories: Memories, links: Links, ask: Ask) -> Invalidated:
    """Say until when a link held.

    Raises:
        InvalidField: a field cannot be taken, or the end lies before the beginning.
        node.memory.problems.NotFound: there is no such link that the caller may see.
        node.memory.problems.Shortfall: stored here, not on W members.
        node.errors.WriteError: nothing was minted.
    """
    held, link = links.stated(ask)
    if memories.known(ask.retry) is not None:
        receipt = await memories.commit((), ask, "store", **_facts(link))
        until, previous = _said(memories, held, link, receipt)
        return Invalidated(link=link, until=until, previous=previous, receipt=receipt)
    given = ask.body.get(_UNTIL)
    until = max(memories.now_ms(), link.valid_from) if given is None else moment(_UNTIL, given)
    if until < link.valid_from:
        raise InvalidField(_UNTIL, "lies before the link begins to hold")
    unsigned = not ask.attests(link.owner) and ATTEST_LEVEL in held.view.values
    draft = Draft(
        kind=Kind.EDIT,
        collection=COLLECTION,
        id=held.id,
        set={_UNTIL: until},
        removed=frozenset((ATTEST_LEVEL,) if unsigned else ()),
        private=held.private,
    )
    receipt = await memories.commit([draft], ask, "store", **_facts(link))
    return Invalidated(link=link, until=until, previous=link.valid_until, receipt=receipt)


def _said(memories: Memories, held: Held, link: Link, receipt: Receipt) -> tuple[int, int | None]:
    """What the first request of a retry wrote, and what stood there before it."""
    ops = memories.funnel.reader().history(COLLECTION, held.id, _HISTORY_MAX)
    place = next((n for n, op in enumerate(ops) if op.dot in receipt.dots), None)
    if place is None:  # the log no longer has it
        return link.valid_until or link.valid_from, None
    previous = next((op.set[_UNTIL] for op in ops[place + 1 :] if _UNTIL in op.set), None)
    return ops[place].set[_UNTIL], previous


def _facts(link: Link) -> dict[str, str]:
    return {"source_id": link.source, "target_id": link.target, "relation": link.relation}
