"""What documents may hold, what is kept open, and what is asked for twice."""

import asyncio
import threading
from random import Random
from typing import Any

import pytest

from crdt.document.change import encode_change
from crdt.document.gathering import Gathered
from crdt.document.model import Action, ChangeOp, DocumentLimits, Stored
from crdt.document.opened import Document
from crdt.document.pack import is_pack, unpack
from crdt.dot import Dot, new_actor
from node.contracts import RetryKey
from node.documents import folding, pen
from node.documents.problems import BadChange, DocumentTooLarge, MissingChanges
from node.documents.sheet import Sheet
from node.documents.shelf import Shelf
from node.errors import RetryKeyReused
from node.memory.problems import InvalidField
from node.recall.source import StoreSource
from tests.unit.node.documents.rig import ANN, Side, mesh

LIMITS = DocumentLimits()
DOT = Dot(new_actor(b"d", 0, bytes(8), bytes(32)), 1)


async def typed(side: Side, ident: str, words: list[str]) -> None:
    for word in words:
        await side.type(ident, word)


@pytest.mark.parametrize(
    ("limits", "bound"),
    [
        (DocumentLimits(change_bytes_max=600), "change_bytes_max"),
        (DocumentLimits(change_ops_max=300), "change_ops_max"),
        (DocumentLimits(changes_max=4), "changes_max"),
        (DocumentLimits(ops_max=300), "ops_max"),
        (DocumentLimits(stored_bytes_max=1500), "stored_bytes_max"),
    ],
)
async def test_an_edit_beyond_a_bound_is_refused_and_says_which(
    limits: DocumentLimits, bound: str
) -> None:
    chance = Random(3)
    async with mesh("a", limits=limits) as (a,):
        ident = await a.create("one")
        words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=100)) for _ in range(5)]
        if bound != "changes_max":
            words.insert(1, "".join(chance.choices("абвгдежзи", k=900)))
        with pytest.raises(DocumentTooLarge) as caught:
            await typed(a, ident, words)
        told = caught.value.extra()
        assert (told["bound"], caught.value.http_status) == (bound, 413)
        assert told["got"] > told["most"]
        before = a.text(ident), a.held(ident).view.version
        await a.put(ident, title="still there")
        assert (a.text(ident), a.held(ident).view.version) == (before[0], before[1] + 1)


async def test_a_content_too_long_for_a_document_stays_a_plain_one() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("x" * 70_000)
        assert a.text(ident) == "x" * 70_000
        with pytest.raises(DocumentTooLarge):
            a.documents.read(ident, a.ask().caller)
        with pytest.raises(DocumentTooLarge):
            await a.type(ident, "y")
        await a.put(ident, content="short")
        await a.type(ident, "er")
        assert a.text(ident) == "shorter"


async def test_a_retry_is_answered_as_the_first_request() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("one")
        ask = a.ask(ops=[{"op": "splice", "path": ["text"], "insert": "!"}])
        ask.retry = RetryKey(agent=ANN, key="k", body=bytes(32))
        first = await a.documents.edit(ident, ask, None)
        again = await a.documents.edit(ident, ask, '"never"')
        assert (again.change_hash, a.text(ident)) == (first.change_hash, "one!")
        assert again.receipt is not None
        assert again.receipt.replayed
        ask.retry = RetryKey(agent=ANN, key="k", body=b"x" * 32)
        with pytest.raises(RetryKeyReused):
            await a.documents.edit(ident, ask, None)
        other = await a.create("one", id="other")
        data = a.document(ident).data()
        ask.retry = RetryKey(agent=ANN, key="l", body=bytes(32))
        for _ in range(2):
            with pytest.raises(InvalidField):
                await a.memories.update(other, a.ask(document="?"), None)
            added = await a.documents.add(other, ask, data, None)
            assert (added.added, added.known) == (2, 0)


async def test_changes_that_cannot_be_taken_are_refused_whole() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("one")
        edits = [await a.type(ident, word) for word in "123"]
        one, two, three = (
            next(k.change for k in a.document(ident).history() if k.change.hash == e.change_hash)
            for e in edits
        )
        other = await a.create("other")
        with pytest.raises(MissingChanges) as caught:
            await a.add(other, two.data + three.data)
        assert caught.value.extra()["missing"] == [one.hash.hex()]
        for data in (b"", b"junk", one.data[:-1]):
            with pytest.raises(BadChange):
                await a.add(other, data)
        assert a.names(other) == []


async def test_many_changes_at_once_are_stored_as_one_pack() -> None:
    actor, data, deps = b"z" * 16, b"", ()
    for seq in range(1, 200):
        op = ChangeOp(None, f"k{seq}", False, Action.MAKE_MAP)
        change = encode_change(
            actor=actor, seq=seq, start_op=seq, time=0, message=None, deps=deps, ops=(op,)
        )
        data, deps = data + change.data, (change.hash,)
    async with mesh("a") as (a,):
        ident = await a.create("one")
        added = await a.add(ident, data)
        assert (added.added, added.known, len(a.names(ident))) == (199, 0, 2)
        assert {one.agent for one in a.document(ident).history()} == {ANN}
        assert len(a.document(ident).value()) == 200


class Spread:
    """How a record grows while one document is written."""

    def __init__(self, side: Side, ident: str) -> None:
        self.side, self.ident = side, ident
        self.most = self.written = 0

    async def type(self, count: int) -> None:
        for _ in range(count):
            before = set(self.side.names(self.ident))
            await self.side.type(self.ident, "word ")
            await folds(self.side)
            stored = self.side.held(self.ident).view.values["chunk"]
            self.most = max(self.most, len(stored))
            self.written += sum(
                len(unpack(one.data, LIMITS))
                for one in stored
                if one.name not in before and is_pack(one.data)
            )


async def folds(side: Side) -> None:
    """Wait for what is folded beside the loop."""
    await asyncio.gather(*side.documents._folds.values())


@pytest.mark.thorough
async def test_a_change_is_rewritten_as_often_as_its_document_doubles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folding, "SINGLES_MIN", 8)
    monkeypatch.setattr(pen, "INLINE_PACKED_MAX", 20)
    async with mesh("a") as (a,):
        ident = await a.create("one ")
        spread = Spread(a, ident)
        await spread.type(300)
        assert spread.most < 16
        assert spread.written < 300 * 9
        assert a.text(ident) == "one " + "word " * 300
        assert len(a.document(ident).history()) == 301


async def test_one_of_many_that_edit_at_once_folds_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sixteen clients each folded the same changes, and each edit waited a second for it."""
    monkeypatch.setattr(folding, "SINGLES_MIN", 8)
    monkeypatch.setattr(pen, "INLINE_PACKED_MAX", 0)
    made: list[str] = []
    plain = pen.folded

    def counted(*args: Any) -> Any:
        made.append(threading.current_thread().name)
        return plain(*args)

    monkeypatch.setattr(pen, "folded", counted)
    async with mesh("a") as (a,):
        ident = await a.create("one ")
        for _ in range(40):
            before = len(made)
            await asyncio.gather(*(a.type(ident, "word ") for _ in range(8)))
            await folds(a)
            assert len(made) - before <= 1
        assert made
        assert a.text(ident) == "one " + "word " * 320
        assert len(a.names(ident)) < 40


async def test_nothing_is_folded_that_some_member_lacks_until_it_is_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folding, "SINGLES_MIN", 4)
    monkeypatch.setattr(folding, "SINGLES_MAX", 12)
    async with mesh("a", "b") as (a, b):
        ident = await a.create("one")
        for _ in range(11):
            await a.type(ident, "x")
        assert len(a.names(ident)) == 12
        b.take_from(a)
        await b.engine.drain()
        await a.type(ident, "x")
        assert len(a.names(ident)) < 4


async def test_a_long_document_is_opened_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.documents.shelf.THREAD_BYTES_MIN", 64)
    async with mesh("a") as (a,):
        ident = await a.create("one")
        await a.type(ident, "long " * 40)
        opened: list[str] = []
        plain = Shelf.text_beside

        def opens(shelf: Shelf, sheet: Sheet) -> str | None:
            opened.append(threading.current_thread().name)
            return plain(shelf, sheet)

        monkeypatch.setattr(Shelf, "text_beside", opens)
        a.engine.shelf._drop(a.held(ident).sheet.key)  # type: ignore[union-attr]  # a document
        await a.engine.drain()
        both = await asyncio.gather(a.type(ident, "2"), a.type(ident, "3"))
        assert opened
        assert threading.main_thread().name not in opened
        assert {one.document.text() for one in both if one.document} == {a.text(ident)}
        assert sorted(a.text(ident)[-2:]) == ["2", "3"]


async def test_an_index_is_fed_the_text_in_its_thread_which_opens_the_document() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("one")
        await a.type(ident, " two")
        await a.engine.drain()
        key = a.held(ident).sheet.key  # type: ignore[union-attr]  # a document
        a.engine.shelf._drop(key)
        source = StoreSource(lambda: a.engine)
        page = await asyncio.to_thread(source.page, 0, 10)
        told = {one.document.id: one.document.content for one in page.changes if one.document}
        assert told == {ident: "one two"}
        assert key in a.engine.shelf._entries


async def test_an_index_follows_a_document_that_is_written_without_opening_it_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Gathered] = []
    plain = Document.opened

    def counted(gathered: Gathered, limits: DocumentLimits) -> Document:
        opened.append(gathered)
        return plain(gathered, limits)

    monkeypatch.setattr(Document, "opened", counted)
    async with mesh("a") as (a,):
        ident = await a.create("one")
        await a.type(ident, " two")
        shelf, text, asked = a.engine.shelf, "one two", 0
        for number in range(8):
            behind = a.held(ident).sheet
            assert behind is not None
            await a.type(ident, f" {number}")
            assert await asyncio.to_thread(shelf.followed, behind) == text
            text += f" {number}"
            assert a.text(ident) == text
            asked = asked or len(opened)
        assert len(opened) == asked
        assert behind is not None
        monkeypatch.setattr("node.documents.shelf.FOLLOWED_BYTES_MAX", 1)
        await asyncio.to_thread(shelf.followed, behind)
        assert (len(shelf._followed), shelf._followed_weight) == (0, 0)


def sheet(ident: str, words: str) -> Sheet:
    op = ChangeOp(None, words, False, Action.MAKE_MAP)
    change = encode_change(
        actor=ident.encode().ljust(16), seq=1, start_op=1, time=0, message=None, deps=(), ops=(op,)
    )
    stored = Stored(f"chunk/{change.hash.hex()}", change.data, ANN, 1, DOT)
    return Sheet(ident.encode(), ident, (stored,), None)


def test_the_shelf_lets_go_of_what_was_not_asked_for_longest() -> None:
    shelf = Shelf(12_000, LIMITS)
    for ident in "abcd":
        assert shelf.document(sheet(ident, ident)).value() == {ident: {}}
    shelf.document(sheet("a", "a"))
    assert len(shelf) == 4
    for ident in "efghijkl":
        shelf.document(sheet(ident, ident))
        shelf.document(sheet("a", "a"))
    assert 3 < len(shelf) < 12
    assert shelf.weight <= 12_000
    assert shelf.unread(sheet("a", "a")) == 0
    assert shelf.unread(sheet("b", "b")) > 0
    assert shelf.text_beside(sheet("b", "b")) == ""
    one = Shelf(1, LIMITS)
    one.document(sheet("a", "a"))
    one.document(sheet("b", "b"))
    assert len(one) == 1
