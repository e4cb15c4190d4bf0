"""Local reads over the overlay and the store.

Law: nothing here waits, and nothing here writes. What this node has accepted is visible at
once. A memory that has ended its life, or lies in the archive, is in no answer but the
archive's, whatever an index still says.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from crdt.applying import key_of
from crdt.bundle import read_bundle
from crdt.dot import DATA, PRIVATE, Dot, node_of
from crdt.op import RECORD_KINDS, Draft, Kind, Op, record_key
from crdt.record import apply
from crdt.record_codec import decode
from crdt.state import BelowFloorError
from crdt.view import View, shown
from node.contracts import ConcurrentValue, FeedEntry, Held, Operations, Place
from node.documents.sheet import is_document, sheet_of
from node.replication.conflicting import beside_text, concurrent
from node.replication.engine import Engine
from node.replication.journal import Journal
from node.replication.rivals import beside, classes
from node.replication.showing import Showing, is_archived
from node.replication.sound import view
from node.replication.tokens import encode_marks, unsettled
from node.replication.walks import Walks
from node.store.projection import ARCHIVED

_MEMORY = "memory"
_LANES = (DATA, PRIVATE)


class StoreReader:
    """Reads of one node; implements `node.contracts.Reader`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._journal = Journal(engine)
        self._showing = Showing(engine)
        self._walks = Walks(engine, self._showing)

    # --- single records ----------------------------------------------------------

    def get(self, collection: str, record_id: str) -> Held | None:
        """One record, or None when nothing visible and unexpired has that id."""
        for lane in _LANES:
            held = self._showing.one(record_key(lane, collection, record_id))
            if held is not None:
                return held
        return None

    def own(self, collection: str, record_id: str) -> Held | None:
        """The same of the lane that never leaves this node."""
        return self._showing.one(record_key(PRIVATE, collection, record_id))

    def knows(self, collection: str, record_id: str) -> bool:
        """Whether a record of this id is here, shown or not, or was and is in the feed as gone."""
        newer, feed = self._engine.replica.overlay.keys(), self._engine.store.feed
        keys = (record_key(lane, collection, record_id) for lane in _LANES)
        return any(key in newer or feed.knows(key) for key in keys)

    def rivals(self, collection: str, record_id: str, *, whole: bool = False) -> list[Held]:
        """The births of other owners or namespaces that share an id with what `get` gives.

        Oldest first; what is hidden, as expired or put away, is in none of them.
        `whole`: those of both lanes, what `get` gives too, be they archived or expired.
        """
        out: list[Held] = []
        replica = self._engine.replica
        if whole:
            keys = [record_key(lane, collection, record_id) for lane in _LANES]
            return [held for key in keys for held in self._classes(key)]
        for lane in _LANES:
            key = record_key(lane, collection, record_id)
            record = replica.read(key)
            if record is None or self._showing.held(key) is None:
                continue
            for rest in beside(record, replica):
                held = self._showing.of(key, rest, archived=False)
                if held is not None:
                    out.append(held)
            break
        return out

    def _classes(self, key: bytes) -> list[Held]:
        replica = self._engine.replica
        return classes(key, replica.read(key), replica, self._engine.shelf)

    def archived(self, collection: str, record_id: str, *, own: bool = False) -> Held | None:
        """One record of the archive, or None when nothing there has that id."""
        for lane in _LANES[own:]:
            held = self._showing.one(record_key(lane, collection, record_id), archived=True)
            if held is not None:
                return held
        return None

    def with_ended(self, drafts: Sequence[Draft]) -> Sequence[Draft]:
        """Creations over an id whose record has expired end that record first.

        It is hidden already; without this its births would lie beside the new one.
        """
        out: list[Draft] = []
        for draft in drafts:
            if draft.kind is Kind.CREATE and not draft.fresh:
                lane = PRIVATE if draft.private else DATA
                record = self._engine.replica.read(record_key(lane, draft.collection, draft.id))
                seen = view(record, self._engine.replica) if record is not None else None
                if seen is not None and self._showing.expired(seen) and not is_archived(seen):
                    out.append(replace(draft, kind=Kind.DELETE, set={}))
            out.append(draft)
        return out

    def expired(self, before_ms: int, limit: int) -> list[tuple[str, View, bytes]]:
        """Memories of the shared lane that ended before a millisecond.

        Returns:
            Id, view, and the node that made the oldest visible birth; at most `limit`.
        """
        replica = self._engine.replica
        out: list[tuple[str, View, bytes]] = []
        for key in self._engine.store.lists.expired_before(before_ms):
            record = self._showing.read(key) if key[:1] == DATA else None
            seen = view(record, replica)
            if record is None or seen is None or is_archived(seen):
                continue
            eldest = min(record.births.items(), key=lambda item: (item[1].hlc, item[0]))[0]
            out.append((key[1:].decode().partition("/")[2], seen, node_of(eldest.actor)))
            if len(out) >= limit:
                break
        return out

    def with_prefix(
        self, collection: str, prefix: str, limit: int, *, archived: bool = False
    ) -> list[str]:
        """Ids of visible records that start with a prefix, at most `limit`."""
        found: dict[str, None] = {}
        for lane in _LANES:
            start = record_key(lane, collection, prefix)
            keys = dict.fromkeys(self._engine.store.lists.with_prefix(start, limit + 1))
            overlay = self._engine.replica.overlay.keys()
            keys.update(dict.fromkeys(key for key in overlay if key.startswith(start)))
            for key in keys:
                held = self._showing.listed(key, archived=archived)
                if held is not None:
                    found[held.id] = None
        return sorted(found)[:limit]

    def whole(self, collection: str, record_id: str, *, private: bool) -> Held | None:
        """One record of one lane, although it lies in the archive or its life is over."""
        key = record_key(PRIVATE if private else DATA, collection, record_id)
        return self._showing.whole(key, self._engine.replica.read(key))

    def every(self, collection: str) -> Iterator[Held]:
        """Visible records of a collection that is none of memories, in the order of their ids."""
        for lane in _LANES:
            start = record_key(lane, collection, "")
            keys = dict.fromkeys(self._engine.store.lists.with_prefix(start, sys.maxsize))
            overlay = self._engine.replica.overlay.keys()
            keys.update(dict.fromkeys(key for key in overlay if key.startswith(start)))
            for key in sorted(keys):
                held = self._showing.listed(key)
                if held is not None:
                    yield held

    def ended(self) -> Iterator[Held]:
        """Memories whose life is over and that are not deleted yet, the earliest end first."""
        return self._walks.ended()

    def written(self, dots: Sequence[Dot]) -> list[Op]:
        """Operations by their names, in order; those no longer in the log are left out."""
        replica, out = self._engine.replica, dict.fromkeys(dots)
        found: dict[Dot, Op] = {}
        for dot in out:
            if dot in found:
                continue
            with suppress(BelowFloorError):
                for data in self._engine.store.tail(dot.actor, dot.seq - 1, 1)[:1]:
                    ops = read_bundle(data, cluster=replica.cluster, ops_max=replica.me.ops_max).ops
                    found.update((op.dot, op) for op in ops)
        return [found[dot] for dot in out if dot in found]

    def text_after(self, op: Op) -> Callable[[], str]:
        """What makes the content of a memory after an operation that is not minted yet."""
        key, engine = key_of(op), self._engine
        seen = view(apply(engine.replica.read(key), op), engine.replica)
        if seen is None:
            return str
        sheet = sheet_of(key, op.id, seen.values)
        if is_document(seen.values):
            return partial(engine.shelf.foretold, sheet)
        return lambda: sheet.content or ""

    def named(self, collection: str, prefix: str, limit: int) -> list[str]:
        """Ids of records that start with a prefix, at most `limit`; some may not show.

        Only keys are read, a microsecond each.
        """
        found: dict[str, None] = {}
        overlay = self._engine.replica.overlay.keys()
        for lane in _LANES:
            start = record_key(lane, collection, prefix)
            name = len(record_key(lane, collection, ""))
            keys = self._engine.store.lists.with_prefix(start, limit)
            fresh = [key for key in overlay if key.startswith(start)]
            found.update((key[name:].decode(), None) for key in (*keys, *fresh))
        return sorted(found)[:limit]

    def fresh(self, collection: str) -> bool:
        """Whether records of a collection may have changed that indexes do not know of yet."""
        newer = self._engine.replica.overlay.keys()
        if not newer:
            return False
        name = record_key(b"", collection, "")
        return any(key.startswith(name, 1) for key in newer)

    def conflicts(self, collection: str, record_id: str) -> dict[str, list[ConcurrentValue]]:
        """Per register in conflict: all its values, the shown one first."""
        replica = self._engine.replica
        for lane in _LANES:
            key = record_key(lane, collection, record_id)
            record = replica.read(key)
            part = shown(record, replica)
            if part is not None:
                held = self._showing.whole(key, record)
                return concurrent(part, replica, beside_text(held, self._engine.shelf))
        return {}

    def history(self, collection: str, record_id: str, limit: int) -> list[Op]:
        """Operations on a record that are still in the log, newest first."""
        replica = self._engine.replica
        out: list[Op] = []
        for lane in _LANES:
            key = record_key(lane, collection, record_id)
            for logged in self._engine.store.feed.history(key, limit):
                bundle = read_bundle(
                    logged.data, cluster=replica.cluster, ops_max=replica.me.ops_max
                )
                ops = [op for op in bundle.ops if op.kind in RECORD_KINDS and key_of(op) == key]
                out += reversed(ops)
        return out[:limit]

    # --- lists -------------------------------------------------------------------

    def recent(self, namespace: str | None = None) -> Iterator[Held]:
        """Visible memories, newest creation first, of one namespace or of all."""
        return self._walks.recent(namespace)

    def archive(self, before_ms: int | None = None) -> Iterator[Held]:
        """Archived memories, the last archived first; those from before a millisecond only."""
        return self._walks.archive(before_ms)

    def archive_counts(self) -> Mapping[str, int]:
        """{namespace: archived memories}."""
        counts = self._engine.store.lists.counts()
        return {space: count for (space, tier), count in counts.items() if tier == ARCHIVED}

    def counts(self) -> Mapping[tuple[str, str], int]:
        """{(namespace, tier): visible, unexpired memories}."""
        held = self._engine.store.lists.counts()
        counts = {place: count for place, count in held.items() if place[1] != ARCHIVED}
        for key in self._engine.store.lists.expired_before(self._engine.now_ms()):
            record = self._showing.read(key)
            seen = view(record, self._engine.replica)
            if seen is not None:
                place = (seen.namespace, str(seen.values.get("tier", "")))
                counts[place] = counts.get(place, 0) - 1
        return {place: count for place, count in counts.items() if count > 0}

    def expiring_before(self, ms: int) -> int:
        """How many unexpired memories expire before that millisecond."""
        return sum(1 for _ in self._engine.store.lists.expiring(self._engine.now_ms(), ms))

    def size_bytes(self) -> int:
        """Bytes of the store's data file in use."""
        return self._engine.store.size_bytes()

    # --- the feed ----------------------------------------------------------------

    def feed(self, after: int, limit: int, *, own: bool = False) -> Sequence[FeedEntry]:
        """Records changed after an arrival number, oldest change first.

        Args:
            after: the number.
            limit: at most so many.
            own: with those of the lane that never leaves this node.
        """
        out: list[FeedEntry] = []
        replica = self._engine.replica
        newer = replica.overlay.keys()
        while len(out) < limit:
            changed = self._engine.store.feed.changed(after, limit - len(out))
            for position, key, data in changed:
                after = position
                if key[:1] == PRIVATE and not own:
                    continue  # that lane never leaves
                if key in newer:
                    held = self._showing.listed(key)
                else:
                    held = None if data is None else self._showing.of(key, decode(key, data))
                collection, _, ident = key[1:].decode().partition("/")
                out.append(FeedEntry(arrival=after, collection=collection, id=ident, held=held))
            if not changed:
                break
        return out

    def operations(self, after: Place, limit: int) -> Operations:
        """Operations of all lanes that arrived after a place, in that order, at most `limit`."""
        return self._journal.after(after, limit)

    def latest_place(self) -> Place:
        """A place after which everything stands that arrives from now on."""
        return self._journal.latest()

    def place_of(self, dot: Dot) -> Place | None:
        """Where an operation stands; None when it is not in the log."""
        return self._journal.place_of(dot)

    def place_since(self, ms: int) -> Place:
        """A place after which everything stands that arrived since a millisecond."""
        return self._journal.since(ms)

    def arrival_at(self, ms: int) -> int:
        """The arrival number from which everything arrived at or after that millisecond."""
        return self._engine.store.feed.position_at(ms) + 1

    @property
    def store_id(self) -> str:
        """Names this copy of the store; feed positions are only valid within one."""
        return self._engine.store.store_id

    def token(self) -> str:
        """A causal token that covers everything this node shows."""
        exchange = self._engine.exchange
        state = exchange.replica.governance.now
        rows = {p.node_id: p.row for p in exchange.peers.values() if p.known and p.row}
        others = [n for n in state.members if n != self._engine.me.node_id]
        known = [rows.get(node, {}) for node in others]
        clock = {a: n for a, n in exchange.replica.clock.items() if a[:1] == DATA}
        return encode_marks(self._engine.ancestry.shorten(unsettled(clock, known)))
