"""The face that foreign peers meet: what they may push, and what they may fetch.

Law: who asks is settled before; this decides what becomes of it. A member of our own mesh is
sent away. What a peer fetches is an offer, until it asks for what comes after that.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from node.contracts import Receipt
from node.foreign.extras import NAMES, extras, marks_of, unlike
from node.foreign.giving import Giving, Page
from node.foreign.here import Here
from node.foreign.intake import Intake
from node.foreign.memory import Asked
from node.foreign.places import Start, start_of, token
from node.foreign.problems import MemberHere
from node.foreign.report import Report, dry_run_of, items_of
from node.foreign.writing import Sender
from node.memory.problems import Shortfall
from node.mesh_view import Clocks, MeshView
from node.metrics import Metrics

if TYPE_CHECKING:
    from node.foreign.peers import ForeignPeers

_TIMES: Final[Mapping[str, str]] = {
    "namespace_meta": "updated_at",
    "pendings": "requested_at",
    "pending_decisions": "decided_at",
}


class Foreign:
    """Everything about foreign peers that a node offers.

    Args:
        here: this node.
        mesh: who belongs to it.
        is_own: whether a fingerprint is one of the node's own certificates.
        items_max: most items of one push.
        metrics: the table of metrics.
    """

    def __init__(
        self,
        *,
        here: Here,
        mesh: MeshView,
        is_own: Callable[[str], bool],
        items_max: int,
        metrics: Metrics,
    ) -> None:
        self.here = here
        self.intake = Intake(here)
        self.giving = Giving(here)
        self.peers: ForeignPeers | None = None
        self._mesh = mesh
        self._is_own = is_own
        self._items_max = items_max
        self._metrics = metrics

    def is_member(self, fingerprint: str) -> bool:
        """Whether a certificate is that of a member of this mesh, the node itself included."""
        if not fingerprint:
            return False
        if self._is_own(fingerprint):
            return True
        return any(one.fingerprint == fingerprint for one in self._mesh.status().members)

    def ready(self) -> str | None:
        """None when this node serves, else why it does not."""
        return self._mesh.ready()

    def check_foreign(self, fingerprint: str) -> None:
        """Send members away.

        Raises:
            MemberHere: it is one.
        """
        if self.is_member(fingerprint):
            raise MemberHere

    # --- pushed to us -------------------------------------------------------------------

    async def receive(
        self, sender: Sender, body: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Receipt]:
        """Take a push in.

        Returns:
            The fields of the answer, and what is known of its durability.

        Raises:
            InvalidField, TooManyItems: nothing of it was taken.
            Shortfall: it is stored here, and not on W members.
            node.errors.WriteError: this node takes no writes now.
        """
        items, dry_run = items_of(body, self._items_max), dry_run_of(body)
        if not dry_run:
            await self._saw(sender, body.get("seen"))
        try:
            report = await self.intake.take(sender, items, dry_run=dry_run)
        except Shortfall as error:
            raise Shortfall(error.cause, {**error.facts, **self._receiver()}) from error
        count = 0 if dry_run else report.taken
        self._metrics.counter("sync_ops_total", sender.name, "in").inc(count)
        return {**report.shown(), **self._receiver()}, self._receipt(report)

    async def _saw(self, sender: Sender, told: object) -> None:
        """A peer may tell up to where it has taken in what it fetched here."""
        if not isinstance(told, str) or not told:
            return
        reader = self.here.funnel.reader()
        place = start_of(reader, told, "seen").place
        await self._took(sender.key, Asked(store=reader.store_id, place=place))

    async def _took(self, peer: str, asked: Asked) -> None:
        """A peer has taken all before a place; going back does not undo that by itself."""
        held = self.here.memory.asked(peer)
        if held.store != asked.store or held.place < asked.place:
            await self.here.memory.remember(peer, {}, asked=asked)

    def _receiver(self) -> dict[str, Any]:
        status = self._mesh.status(Clocks.OWN)
        return {
            "receiver_agent_id": status.name,
            "receiver_clock": {"entries": dict(status.clock or {})},
        }

    def _receipt(self, report: Report) -> Receipt:
        """Of the weakest write, or of having had nothing to write: true at once, everywhere."""
        if report.receipt is not None:
            return report.receipt
        where = self.here.funnel.reader().token()
        return Receipt(dots=(), local=True, acks=0, needed=0, peers=(), token=where)

    # --- fetched from us ----------------------------------------------------------------

    async def page(self, peer: str, since: str, limit: int) -> dict[str, Any]:
        """One page of what arrived here.

        Args:
            peer: fingerprint of the certificate that asks.
            since: where to begin, as text.
            limit: most records of it.

        Raises:
            InvalidField: `since` is neither a token nor a timestamp.
            node.errors.Unavailable: what is shown cannot be remembered.
        """
        reader = self.here.funnel.reader()
        start = start_of(reader, since)
        known = "" if self.is_member(peer) else peer
        asked = Asked(store=reader.store_id, place=start.place)
        if known:
            await self._took(known, asked)
        feed = reader.feed(start.place, limit)
        last = feed[-1].arrival if feed else start.place
        page = self.giving.shown_to(known, feed)
        beside = extras(self.here, known)
        lists = page.lists()
        updated = sorted(row["updated_at"] for row in lists["memories"])
        if known:
            await self._offer(known, page, asked)
        return {
            "count": len(lists["memories"]),
            "limit": limit,
            "updated_since": since or None,
            "earliest_updated_at": updated[0] if updated else None,
            "latest_updated_at": updated[-1] if updated else None,
            **lists,
            **_beside(beside, start),
            "next_since": token(reader.store_id, last, marks_of(beside)),
            "complete": len(feed) < limit,
        }

    async def _offer(self, peer: str, page: Page, asked: Asked) -> None:
        memory = self.here.memory
        entries = {
            (item.kind, item.id): entry.offered(item.offer(entry), asked.store)
            for item, entry in page.items
        }
        if entries or memory.asked(peer) != asked:
            await memory.remember(peer, entries, asked=asked)


def _beside(
    lists: dict[str, list[dict[str, Any]]], start: Start
) -> dict[str, list[dict[str, Any]]]:
    """What is told beside the records of a page."""
    if start.moment:
        return {
            name: [row for row in lists[name] if row[_TIMES[name]] >= start.moment]
            for name in NAMES
        }
    return unlike(lists, start.marks)
