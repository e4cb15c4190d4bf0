"""The node around its documents: members, approvals, and records that nobody has read yet.

Law: that of `node.documents.surroundings`. What members hold is what their rows say on their
present links; a member that is not linked holds nothing that anybody could rely on.
"""

from collections.abc import Callable, Sequence
from typing import Final

from crdt.dot import DATA, PRIVATE, Dot, lane_of
from crdt.memo import UNKNOWN
from crdt.op import record_key
from crdt.record import Record
from crdt.view import order, shown, winner
from node.contracts import Held
from node.documents.sheet import CONTENT, Sheet, is_document, sheet_of
from node.memory.drafts import COLLECTION
from node.memory.finding import PREFIX_CHARS_MIN
from node.replication.engine import Engine
from node.replication.reader import StoreReader
from node.replication.sound import view
from node.store.errors import CorruptRecord

_NAMES_MAX: Final = 4


class EngineSurroundings:
    """The surroundings that an engine makes; implements `node.documents.surroundings`.

    Args:
        engine: of this node.
        reader: reads over it.
    """

    def __init__(self, engine: Engine, reader: StoreReader) -> None:
        self._engine = engine
        self._reader = reader

    def covered(self) -> Callable[[Dot], bool]:
        """Tells of an operation whether all members are known to hold it."""
        exchange = self._engine.exchange
        state = exchange.replica.governance.now
        rows = {p.node_id: p.row for p in exchange.peers.values() if p.known and p.row is not None}
        others = state.members.keys() - {exchange.replica.me.node_id}
        known = not state.unbound and others <= rows.keys()
        clocks = [exchange.durable, *(rows.get(node) or {} for node in others)]

        def holds(dot: Dot) -> bool:
            if lane_of(dot.actor) == PRIVATE:
                return True  # nobody else will ever have it
            return known and all(clock.get(dot.actor, 0) >= dot.seq for clock in clocks)

        return holds

    def waits(self, dot: Dot) -> bool:
        """Whether an operation hangs on an approval that is not final."""
        held = self._engine.replica.pending.get(dot)
        return held is not None and not held.sealed

    def said(self, held: Held) -> tuple[str, int]:
        """Who wrote the content that shows, and the stamp of that."""
        replica = self._engine.replica
        part = shown(self._record(held), replica)
        versions = None if part is None else part.fields.get(CONTENT)
        if not versions:
            return held.view.owner, held.view.created
        one = winner(versions, replica)
        return one.origin.agent, order(one, replica)[0]

    def without(self) -> Sequence[str]:
        """Names of the members whose program knows no documents."""
        return self._engine.without_documents()

    def sheets(self, wanted: str) -> Sequence[Sheet]:
        """The documents that an id, or the beginning of one, may mean; unread."""
        names = {wanted}
        if len(wanted) >= PREFIX_CHARS_MIN:
            names.update(self._reader.named(COLLECTION, wanted, _NAMES_MAX))
        out: list[Sheet] = []
        for name in sorted(names):
            for lane in (DATA, PRIVATE):
                sheet = self._sheet(record_key(lane, COLLECTION, name), name)
                if sheet is not None:
                    out.append(sheet)
        return out

    def _sheet(self, key: bytes, ident: str) -> Sheet | None:
        replica = self._engine.replica
        known: Held | None = replica.overlay.memo.get(key)
        if known is not UNKNOWN:
            return None if known is None else known.sheet
        try:
            seen = view(replica.read(key), replica)
        except CorruptRecord:
            return None  # whoever asks for it is told
        return sheet_of(key, ident, seen.values) if seen and is_document(seen.values) else None

    def _record(self, held: Held) -> Record | None:
        lane = PRIVATE if held.private else DATA
        return self._engine.replica.read(record_key(lane, COLLECTION, held.id))
