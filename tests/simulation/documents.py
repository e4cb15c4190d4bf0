"""Documents in the simulated world: several agents on all nodes edit the same few ones.

Law: pen, shelf, folding and drafts are those of a node; what is edited is what the process shows
at that moment, or showed a while ago (`heads`). Every edit brings a token that no other brings, so
what it became of is seen in any text. The twin of the world says which operations have their
effect; which of their changes must show follows from what each was made upon, and from nothing
that the code under test computes.
"""

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from crdt.document.change import read_change
from crdt.document.gathering import gather
from crdt.document.model import Change, DocumentLimits
from crdt.document.opened import Document
from crdt.document.pack import is_pack, unpack
from crdt.dot import Dot
from crdt.fields import CHUNK_MARK
from crdt.mint import MissingRecordError
from crdt.op import Draft, Kind, Op
from crdt.request import DeniedError
from crdt.view import View, view
from node.contracts import Held, RetryKey
from node.documents import folding
from node.documents.around import EngineSurroundings
from node.documents.pen import Pen
from node.documents.problems import UnknownHeads
from node.documents.sheet import Written, sheet_of
from node.documents.shelf import Shelf, seed_of
from node.limits import Limits
from node.memory.drafts import DraftRules
from tests.planting import Patch
from tests.simulation.broken import need

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

SOON: Final[tuple[Patch, ...]] = ((folding, "SINGLES_MIN", 6), (folding, "SINGLES_MAX", 20))
"""A simulated document has few changes, and is folded as often as a real one with many."""

LIMITS: Final = DocumentLimits()
AGENTS: Final = ("ann", "bob", "cat")
DOCUMENTS_MAX: Final = 3
TOKEN: Final = re.compile(r"\[(\w+)\]")
_RULES: Final = DraftRules(limits=Limits(), default_namespace="x", share_private=False)
_SEEN_MAX: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What an edit brings, or takes away.

    Attributes:
        document: id.
        change: its hash.
        put: the token; empty for none.
        gone: the token that goes; empty for none.
        by: of the counter.
    """

    document: str
    change: bytes
    put: str = ""
    gone: str = ""
    by: int = 0


@dataclass(slots=True)
class _Desk:
    """What one process keeps of documents: gone with it."""

    process: "Process"
    pen: Pen
    seen: list[tuple[str, Document, tuple[bytes, ...]]] = field(default_factory=list)


class Documents:
    """Draws edits from a seed, and judges what became of them.

    Attributes:
        tokens: of every edit that was minted, by its operation.
    """

    def __init__(self, r: random.Random) -> None:
        self.random = r
        self.tokens: dict[Dot, Token] = {}
        self._desks: dict[str, _Desk] = {}
        self._made = 0
        self._drawn = 0

    # --- minting -------------------------------------------------------------------

    def write(self, process: "Process") -> int:
        """Create a document or edit one; a refusal mints nothing."""
        desk = self._desk(process)
        there = [held for n in range(self._made) if (held := self._held(process, _id(n)))]
        agent = self.random.choice(AGENTS)
        try:
            if not there or (self._made < DOCUMENTS_MAX and self.random.random() < 0.02):
                return self._create(process, agent)
            return self._edit(desk, self.random.choice(there), agent)
        except (DeniedError, MissingRecordError):
            return 0

    def _desk(self, process: "Process") -> _Desk:
        desk = self._desks.get(process.pid)
        if desk is None or desk.process is not process:
            around = EngineSurroundings(cast("Any", process), cast("Any", None))
            pen = Pen(
                Shelf(limits=LIMITS),
                entropy=self.random.randbytes,
                now_ms=lambda: process.now_ms,
                around=around,
            )
            desk = self._desks[process.pid] = _Desk(process, pen)
        return desk

    def _held(self, process: "Process", ident: str) -> Held | None:
        key = _key(ident)
        shown = view(process.replica.read(key), process.replica)
        return None if shown is None else _held_of(ident, shown)

    def _create(self, process: "Process", agent: str) -> int:
        """A document of content alone, or one with a list and a counter from the start.

        Each id is born once: of two births with unlike contents one would be a rival.
        """
        if self._made == DOCUMENTS_MAX:
            return 0
        ident, content = _id(self._made), f"[{self._fresh()}]"
        fields: dict[str, Any] = {"title": ident, "memory_kind": "document"}
        if self.random.random() < 0.5:
            fields["content"] = content
        else:
            seed = seed_of(ident, content, LIMITS)
            before = Document.opened(gather((seed,), LIMITS))
            puts = [
                {"op": "put", "path": ["list"], "value": []},
                {"op": "put", "path": ["count"], "value": 0, "type": "counter"},
            ]
            made = before.edited(puts, actor=self.random.randbytes(16), seq=1, time=0, message=None)
            fields |= {seed.name: seed.data, CHUNK_MARK + made.hash.hex(): made.data}
        draft = Draft(kind=Kind.CREATE, collection="memory", id=ident, namespace="x", set=fields)
        ops = process.mint([draft], agent)
        self._made += bool(ops)
        return len(ops)

    def _edit(self, desk: _Desk, held: Held, agent: str) -> int:
        process, r = desk.process, self.random
        document = desk.pen.opened(held)[1]
        heads, value = document.heads, document.value()
        old = [(past, at) for ident, past, at in desk.seen if ident == held.id]
        if old and r.random() < 0.3:
            past, heads = r.choice(old)
            value = past.value()
        edit, token = self._drawn_edit(value)
        retry = (
            RetryKey(agent=agent, key=self._fresh(), body=bytes(32)) if r.random() < 0.2 else None
        )
        ops, written = self._mint(desk, held, edit, token, agent, heads, retry)
        if retry is not None:
            self._again(process.world, held.id, edit, token, agent, heads, retry)
        if r.random() < 0.2:
            desk.seen = [*desk.seen[1 - _SEEN_MAX :], (held.id, document.at(heads), heads)]
        process.world.stat["document_edits"] += bool(ops)
        process.world.stat["document_folds"] += bool(ops) and _folds(written)
        return len(ops)

    def _mint(
        self,
        desk: _Desk,
        held: Held,
        edit: dict[str, Any],
        token: Mapping[str, Any],
        agent: str,
        heads: Sequence[bytes],
        retry: RetryKey | None,
    ) -> tuple[list[Op], Written]:
        written = desk.pen.edited(held, [edit], heads=list(heads), retry=retry)
        if not written.set:  # the retry came by another way already
            return [], written
        ops = desk.process.mint(_RULES.rewritten(held, written.set, written.removed), agent)
        self._note(held.id, ops, written, token)
        return ops, written

    def _again(self, world: "World", ident: str, *sent: Any) -> None:
        """The same request at another process, if it has seen what the edit is made upon."""
        process = world.procs[self.random.choice(sorted(world.procs))]
        held = self._held(process, ident)
        if held is None or not process.may_mint():
            return
        try:
            self._mint(self._desk(process), held, *sent)
        except (DeniedError, MissingRecordError, UnknownHeads):
            return
        world.stat["document_retries"] += 1
        process.pump()

    def _note(self, ident: str, ops: list[Op], written: Written, token: Mapping[str, Any]) -> None:
        for op in ops[:1]:
            made = written.changes[-1].hash
            self.tokens[op.dot] = Token(document=ident, change=made, **token)

    def _drawn_edit(self, value: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        r, fresh = self.random, self._fresh()
        text, draw = value["text"], self.random.random()
        there = list(TOKEN.finditer(text))
        if "list" in value and draw < 0.25:
            place = r.randint(0, len(value["list"]))
            return {"op": "insert", "path": ["list", place], "value": fresh}, {"put": fresh}
        if "count" in value and draw < 0.4:
            by = r.randint(1, 3)
            return {"op": "increment", "path": ["count"], "by": by}, {"by": by}
        if there and draw > 0.9:
            gone = r.choice(there)
            size = gone.end() - gone.start()
            at = {"index": gone.start(), "delete": size}
            return {"op": "splice", "path": ["text"], **at}, {"gone": gone[1]}
        index = r.choice([0, *(one.end() for one in there)])
        op = {"op": "splice", "path": ["text"], "index": index, "insert": f"[{fresh}]"}
        return op, {"put": fresh}

    def _fresh(self) -> str:
        self._drawn += 1
        return f"t{self._drawn}"

    # --- judging --------------------------------------------------------------------

    def judge(self, world: "World", members: list[str]) -> None:
        """After healing: one document on all members, with all that must show and no more."""
        for number in range(self._made):
            ident = _id(number)
            shown = {pid: self._opened(world, pid, ident) for pid in members}
            first = shown[members[0]]
            for pid, document in shown.items():
                need(
                    (document is None) == (first is None)
                    and (document is None or _face(document) == _face(first)),
                    "D1 a document differs after healing",
                    ident,
                    pid,
                )
            if first is not None:
                self._grown(world, members, ident, first)
                self._content(world, ident, first, world.disks[members[0]].clock())
                world.stat["documents_judged"] += 1

    def _opened(self, world: "World", pid: str, ident: str) -> Document | None:
        """From what the process shows, as somebody would open it who never saw it before."""
        held = self._held(world.procs[pid], ident)
        return None if held is None else _cold(held)

    def _grown(self, world: "World", members: list[str], ident: str, first: Document) -> None:
        """What processes kept open all the time is what it would be if it were opened now."""
        for pid in members:
            process = world.procs[pid]
            held = self._held(process, ident)
            if held is not None:
                kept = self._desk(process).pen.opened(held)[1]
                need(_face(kept) == _face(first), "D2 a document grew into another one", ident, pid)

    def _content(
        self, world: "World", ident: str, document: Document, clock: Mapping[bytes, int]
    ) -> None:
        """D3: every edit that has its effect, with all it was made upon, shows once."""
        changes = self._effective(world, ident, clock)
        shows = _closed(changes) or _closed(_begun(world, ident, clock))
        mine = {token.change for token in self.tokens.values()}
        begun = {word for name, one in shows.items() if name not in mine for word in _typed(one)}
        tokens = {
            token.change: token
            for token in self.tokens.values()
            if token.document == ident and token.change in shows
        }.values()
        value = document.value()
        there = Counter([*TOKEN.findall(value["text"]), *value.get("list", ())])
        need(not TOKEN.sub("", value["text"]), "D3 a token is torn", ident, value["text"])
        gone = {token.gone for token in tokens if token.gone}
        wanted = {token.put for token in tokens if token.put} | begun
        lost = wanted - gone - there.keys()
        need(not lost, "D3 an edit is lost", ident, sorted(lost))
        extra = there.keys() - (wanted - gone)
        need(not extra, "D3 what nobody wrote shows, or what was taken away", ident, extra)
        need(set(there.values()) <= {1}, "D3 an edit shows twice", ident, there.most_common(1))
        count = sum(token.by for token in tokens)
        need(value.get("count", 0) == count, "D3 a counter miscounts", ident, value.get("count"))
        need(len(document.history()) == len(shows), "D3 a history lost or won changes", ident)
        if changes.keys() == shows.keys():
            need(not document.aside, "D3 set aside for nothing", ident, document.aside)
        world.stat["document_tokens"] += len(tokens)
        world.stat["documents_hanging"] += changes.keys() > shows.keys()

    def _effective(
        self, world: "World", ident: str, clock: Mapping[bytes, int]
    ) -> dict[bytes, Change]:
        """The changes of all operations that have their effect.

        An edit has it by its own operation alone; a fold that brings it along gives it none.
        """
        mine = {token.change for token in self.tokens.values()}
        changes: dict[bytes, Change] = {}
        for op in world.twin.effective(clock):
            own = self.tokens.get(op.dot)
            for name, data in op.set.items() if op.id == ident else ():
                if name.startswith(CHUNK_MARK):
                    held = _inside(data)
                    changes |= {
                        one.hash: one
                        for one in held
                        if one.hash not in mine or (own is not None and own.change == one.hash)
                    }
        return changes


def _begun(world: "World", ident: str, clock: Mapping[bytes, int]) -> dict[bytes, Change]:
    """What a document begins with that nobody edited, or of which no edit has its effect."""
    contents = [
        op.set["content"]
        for op in world.twin.effective(clock)
        if op.id == ident and "content" in op.set
    ]
    return {
        one.hash: one for text in contents[:1] for one in _inside(seed_of(ident, text, LIMITS).data)
    }


def _typed(change: Change) -> list[str]:
    """The tokens of the text that a change brings."""
    return TOKEN.findall("".join(str(op.value.value) for op in change.ops if op.insert))


def _inside(data: bytes) -> list[Change]:
    if is_pack(data):
        return [one.change for one in unpack(data, LIMITS)]
    return [read_change(data, LIMITS)]


def _closed(changes: Mapping[bytes, Change]) -> dict[bytes, Change]:
    """Those of which everything that they were made upon is there, too."""
    shows: dict[bytes, Change] = {}
    left = dict(changes)
    while ready := [name for name, one in left.items() if shows.keys() >= set(one.deps)]:
        shows.update((name, left.pop(name)) for name in ready)
    return shows


def _cold(held: Held) -> Document:
    """As somebody opens it who never saw it; its chunks come in any order."""
    assert held.sheet is not None
    stored = list(held.sheet.stored)
    random.Random(len(stored)).shuffle(stored)
    return Shelf(limits=LIMITS).document(held.sheet._replace(stored=tuple(stored)))


def _face(document: Document | None) -> tuple[Any, ...] | None:
    if document is None:
        return None
    return (sorted(document.heads), document.value(), document.conflicts(), document.text())


def _folds(written: Written) -> bool:
    return any(name.startswith(CHUNK_MARK) for name in written.removed)


def _held_of(ident: str, shown: View) -> Held:
    sheet = sheet_of(_key(ident), ident, shown.values)
    return Held(collection="memory", id=ident, private=False, view=shown, sheet=sheet)


def _key(ident: str) -> bytes:
    return b"dmemory/" + ident.encode()


def _id(number: int) -> str:
    return f"w{number}"
