"""The exchange with one foreign peer: rounds of pull and push, for as long as it is wanted.

Law: what comes in goes through the same intake as what is pushed to us; what goes out is what
the peer has not been given, judged by its word about each item. Cursors are on the disk and
move behind what was done, so a round that breaks off is done again and changes nothing twice.
Where both sides have changed a memory, ours is pushed before theirs is taken in: then both see
both, and come to the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from node.errors import Unavailable
from node.foreign.entries import PUSHED, Entry, base_of
from node.foreign.giving import Giving, Item
from node.foreign.here import Here
from node.foreign.intake import Intake
from node.foreign.judging import PASSED_OVER, Why
from node.foreign.memory import LINK, MEMORY, Cursor
from node.foreign.problems import PeerIsMember, PeerRefused
from node.foreign.remembering import after_deletion, after_giving, after_passing_over
from node.foreign.remote import Remote, Said, TooLarge
from node.foreign.report import (
    APPLIED,
    DELETION,
    DUPLICATE,
    FIELDS,
    LINK_DELETION,
    Report,
)
from node.foreign.report import LINK as LINK_KIND
from node.foreign.report import MEMORY as MEMORY_KIND
from node.foreign.writing import Sender

_PAGE_ITEMS: Final = 500
_PUSH_ITEMS_MAX: Final = 500
_PUSH_BYTES_MAX: Final = 1_500_000
_CONFLICT: Final = 409
_TOO_LARGE: Final = 413
_SHORT: Final = "quorum_not_met"
_HAD: Final = frozenset((Why.EQUAL.value, Why.EXCHANGED.value))
_PASSED_OVER: Final = frozenset(why.value for why in PASSED_OVER)
_KINDS: Final[Mapping[tuple[str, bool], tuple[str, str]]] = {
    # (kind, whether it tells of an end): (field of a push, kind of its result)
    (MEMORY, False): ("memories", MEMORY_KIND),
    (MEMORY, True): ("deletions", DELETION),
    (LINK, False): ("links", LINK_KIND),
    (LINK, True): ("link_deletions", LINK_DELETION),
}


@dataclass(slots=True, kw_only=True)
class Counts:
    """What one round did.

    Attributes:
        pulled: items of the peer that had an effect here.
        pushed: items of ours that had an effect there.
        untaken: (direction, kind, error) of items that were refused or made no sense.
    """

    pulled: int = 0
    pushed: int = 0
    untaken: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """One push.

    Attributes:
        cursor: how far the exchange was.
        items: what it brings.
        before: how many exchanges there were of each.
    """

    cursor: Cursor
    items: Sequence[Item]
    before: Mapping[tuple[str, str], int]

    def body(self) -> dict[str, Any]:
        """As it is sent."""
        # Up to where the peer's pages were taken in: so it knows what these items rest on.
        out: dict[str, Any] = {"seen": self.cursor.token} if self.cursor.token else {}
        for item in self.items:
            field, _ = _KINDS[item.kind, item.gone]
            out.setdefault(field, []).append(item.id if item.gone else item.row())
            if item.move:
                out.setdefault(f"{item.move}s", []).append(item.id)
        return out


class Bridge:
    """Rounds with one peer.

    Args:
        here: this node.
        intake: takes in what comes.
        remote: the peer.
        is_member: whether a fingerprint is that of a member of our own mesh.
        name_of: what a peer is called here, by its fingerprint.
        ready: None when this node serves, else why it does not.
    """

    def __init__(
        self,
        *,
        here: Here,
        intake: Intake,
        remote: Remote,
        is_member: Callable[[str], bool],
        name_of: Callable[[str], str],
        ready: Callable[[], str | None],
    ) -> None:
        self._here = here
        self._intake = intake
        self._giving = Giving(here)
        self._remote = remote
        self._is_member = is_member
        self._name_of = name_of
        self._ready = ready
        self._page_items = _PAGE_ITEMS

    async def round(self) -> Counts:
        """Fetch all there is, take it in, give all there is.

        Raises:
            PeerIsMember: there is no exchange with a member of the same mesh.
            PeerAway, PeerRefused, node.errors.WriteError, Shortfall: it broke off; what was
                done stays done.
        """
        reason = self._ready()
        if reason is not None:
            # What is fetched could not be taken in, and what is pushed would stand alone.
            raise Unavailable("this node does not serve now", why=reason)
        counts = Counts(untaken=[])
        cursor = self._here.memory.cursor(self._remote.url)
        while True:
            said = await self._page(cursor.token)
            if cursor.peer not in ("", said.peer):
                # Another node stands at the address now: its tokens are not ours to use.
                cursor = cursor.of(said.peer)
                continue
            cursor = await self._take(said, cursor.of(said.peer), counts)
            if said.body.get("complete") is not False:
                break
        await self._give(cursor, counts)
        return counts

    # --- pulling -------------------------------------------------------------------------

    async def _page(self, token: str) -> Said:
        while True:
            try:
                said = await self._remote.since(token, self._page_items)
            except TooLarge:
                if self._page_items == 1:
                    raise
                self._page_items = max(1, self._page_items // 4)
                continue
            if self._is_member(said.peer):
                raise PeerIsMember(f"{self._remote.url} is a member of this mesh")
            return said

    async def _take(self, said: Said, cursor: Cursor, counts: Counts) -> Cursor:
        peer, body = said.peer, said.body
        items = {
            name: body[name] for name in FIELDS if isinstance(body.get(name), list) and body[name]
        }
        if items:
            # As things stand now, before ours is pushed: what both changed is a conflict here.
            known = self._known(peer, items.get("memories", ()))
            had = await self._push(cursor, self._changed(known), counts)
            # What it had of us before, its rows rest on; of that, no answer had come.
            known = {name: entry for name, entry in known.items() if name not in had}
            sender = Sender(key=peer, name=self._name_of(peer))
            report = await self._intake.take(sender, items, known=known)
            _count(counts, "in", report)
        token = body.get("next_since")
        moved = replace(cursor, token=token if isinstance(token, str) else cursor.token)
        if moved != self._here.memory.cursor(self._remote.url):
            await self._here.memory.remember(peer, {}, at=(self._remote.url, moved))
        return moved

    def _known(self, peer: str, rows: Sequence[Any]) -> dict[tuple[str, str], Entry]:
        names = [row.get("id") for row in rows if isinstance(row, dict)]
        return {
            (MEMORY, name): self._here.memory.entry(peer, MEMORY, name)
            for name in names
            if isinstance(name, str)
        }

    def _changed(self, known: Mapping[tuple[str, str], Entry]) -> list[Item]:
        """Of the memories that the peer states, those that were changed here since."""
        out: list[Item] = []
        for (kind, name), entry in known.items():
            item = self._giving.item(kind, name, 0)
            if item is not None and entry.base is not None and not entry.base.gone:
                ours = item.memory.content.hashes if item.memory is not None else {}
                if ours != entry.base.ours:
                    out.append(item)
        return out

    # --- pushing -------------------------------------------------------------------------

    async def _give(self, cursor: Cursor, counts: Counts) -> None:
        reader = self._here.funnel.reader()
        cursor = cursor.in_store(reader.store_id)
        while True:
            feed = reader.feed(cursor.place, _PAGE_ITEMS)
            if not feed:
                return
            page = self._giving.owed_to(cursor.peer, feed)
            await self._push(cursor, [item for item, _ in page.items], counts)
            cursor = replace(cursor, place=feed[-1].arrival)
            at = (self._remote.url, cursor)
            await self._here.memory.remember(cursor.peer, {}, at=at)

    async def _push(
        self, cursor: Cursor, items: Sequence[Item], counts: Counts
    ) -> set[tuple[str, str]]:
        """Give items; returns (kind, id) of those that the peer had before."""
        had: set[tuple[str, str]] = set()
        for part in _parts(items):
            before = await self._about_to_give(cursor.peer, part)
            had |= await self._deliver(_Sent(cursor=cursor, items=part, before=before), counts)
        return had

    async def _deliver(self, sent: "_Sent", counts: Counts) -> set[tuple[str, str]]:
        items, peer = sent.items, sent.cursor.peer
        try:
            said = await self._remote.push(sent.body())
        except PeerRefused as error:
            if error.status == _CONFLICT:
                raise PeerIsMember(f"{self._remote.url} says that this node is a member") from error
            if error.status == _TOO_LARGE and len(items) > 1:
                middle = len(items) // 2
                had = await self._deliver(replace(sent, items=items[:middle]), counts)
                return had | await self._deliver(replace(sent, items=items[middle:]), counts)
            if error.error != _SHORT:
                raise
            said = Said(peer=peer, body=error.body)  # stored there; it spreads there later
        if said.peer != peer:
            raise PeerRefused(0, {"error": "another node answers now"})
        return await self._judge(sent, said.body, counts)

    async def _about_to_give(self, peer: str, items: Sequence[Item]) -> dict[tuple[str, str], int]:
        """Remember what may arrive there although no answer comes back.

        Returns:
            How many exchanges there were of each.
        """
        memory, store = self._here.memory, self._here.funnel.reader().store_id
        held = {(one.kind, one.id): memory.entry(peer, one.kind, one.id) for one in items}
        offered = {}
        for one in items:
            entry = held[one.kind, one.id]
            if not one.gone:
                offer = replace(one.offer(entry), place=PUSHED)
                offered[one.kind, one.id] = entry.offered(offer, entry.store or store)
        await memory.remember(peer, offered)
        return {name: entry.count for name, entry in held.items()}

    async def _judge(
        self, sent: "_Sent", answer: Mapping[str, Any], counts: Counts
    ) -> set[tuple[str, str]]:
        """Remember what the peer says it took, or had; returns what it had."""
        had: set[tuple[str, str]] = set()
        results, peer = _results(answer), sent.cursor.peer
        taken: dict[tuple[str, str], Entry] = {}
        for item in sent.items:
            _, kind = _KINDS[item.kind, item.gone]
            status, error, reason = results.get((kind, item.id), ("", "no result", ""))
            if status not in (APPLIED, DUPLICATE):
                counts.untaken.append(("out", kind, f"{status} {error}".strip()))
                continue
            counts.pushed += status == APPLIED
            if reason in _HAD:
                had.add((item.kind, item.id))
            entry = self._here.memory.entry(peer, item.kind, item.id)
            if reason in _PASSED_OVER:
                taken[item.kind, item.id] = after_passing_over(entry)
            else:
                moved = item.move and results.get((item.move, item.id), ("",))[0]
                if item.move and moved not in (APPLIED, DUPLICATE):
                    counts.untaken.append(("out", item.move, str(moved)))
                    item = replace(item, move="")  # noqa: PLW2901 - it was not told so after all
                taken[item.kind, item.id] = _given(item, entry, sent.before[item.kind, item.id])
        await self._here.memory.remember(peer, taken)
        return had


def _given(item: Item, entry: Entry, before: int) -> Entry:
    if item.gone:
        return after_deletion(entry, received=False)
    given = base_of(item.offer(entry))
    updated = 0 if item.memory is None else item.memory.updated
    return after_giving(replace(given, settled=item.mark), entry, before, updated)


def _count(counts: Counts, direction: str, report: Report) -> None:
    counts.pulled += report.taken
    counts.untaken += [(direction, one.kind, one.error) for one in report.untaken()]


def _results(answer: Mapping[str, Any]) -> dict[tuple[str, str], tuple[str, str, str]]:
    """(kind, id) -> (status, error, reason)."""
    rows = answer.get("results")
    if not isinstance(rows, list):
        return {}
    return {
        (str(row.get("kind")), str(row.get("id"))): (
            str(row.get("status")),
            str(row.get("error", ""))[:200],
            str(row.get("reason", ""))[:200],
        )
        for row in rows
        if isinstance(row, dict)
    }


def _parts(items: Sequence[Item]) -> list[list[Item]]:
    """Items in pushes that fit."""
    parts: list[list[Item]] = []
    size = 0
    for item in items:
        weight = len(orjson.dumps(item.id if item.gone else item.row()))
        full = not parts or len(parts[-1]) >= _PUSH_ITEMS_MAX or size + weight > _PUSH_BYTES_MAX
        if full:
            parts.append([])
            size = 0
        parts[-1].append(item)
        size += weight
    return parts
