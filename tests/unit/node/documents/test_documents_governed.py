"""Edits of documents that somebody has to agree to."""

import asyncio
import threading
from collections.abc import Awaitable, Sequence
from typing import Any

import orjson
import pytest

from crdt.document.change import read_change
from crdt.document.pack import is_pack, unpack
from crdt.dot import dot_text
from crdt.op import Kind, Op
from node.contracts import Caller, GovernanceDraft
from node.documents import folding
from node.documents.sheet import Sheet
from node.documents.shelf import Shelf
from node.errors import ChangedMeanwhile, Denied, HookRefused
from node.hooks.asking import Asking
from node.hooks.items import of_ops
from node.memory.problems import Shortfall
from tests.unit.hooks.hooked import Running, Told, declared
from tests.unit.node.documents.rig import ANN, Side, level, mesh

BOB = "ai:bob"
HUMAN = Caller(agent="boss", local=True)


async def ruled(side: Side, **rules: Any) -> None:
    boss = GovernanceDraft(
        kind=Kind.AGENT, id="boss", set={"agent_type": "human", "capabilities": []}
    )
    await side.funnel.govern([boss], caller=HUMAN)
    draft = GovernanceDraft(kind=Kind.POLICY, namespace="team", set={"governance": rules})
    await side.funnel.govern([draft], caller=HUMAN)


def changes(side: Side) -> list[Any]:
    return [
        read_change(data, side.engine.shelf.limits)
        for op in side.minted()
        for name, data in op.set.items()
        if name.startswith("chunk/") and data.startswith(b"\x85")
    ]


async def test_an_edit_that_waits_for_approval_shows_when_it_is_approved() -> None:
    async with mesh("a", "b") as (a, b):
        ident = await a.create("one")
        await a.type(ident, " two")
        await ruled(a, write="approve", approver={"agent": "boss"})
        held = await a.type(ident, " three", agent=BOB)
        assert held.receipt is not None
        assert held.receipt.pending_id is not None
        assert a.text(ident) == "one two"
        again = await a.type(ident, " four", agent=BOB)
        assert again.receipt is not None
        first, second = (
            next(c for c in changes(a) if c.hash == one.change_hash) for one in (held, again)
        )
        assert first.actor != second.actor
        pending = held.receipt.dots[0]
        await a.funnel.decide(pending, yes=True, caller=Caller(agent="boss"))
        await level([a, b])
        assert a.text(ident) == b.text(ident) == "one two three"
        await a.funnel.decide(again.receipt.dots[0], yes=False, caller=Caller(agent="boss"))
        await level([a, b])
        assert a.text(ident) == b.text(ident) == "one two three"
        assert dot_text(pending) == held.receipt.pending_id


async def test_what_may_still_be_rejected_is_in_no_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "SINGLES_MIN", 3)
    monkeypatch.setattr(folding, "SINGLES_MAX", 3)
    async with mesh("a", "b") as (a, b):
        ident = await a.create("one")
        await a.type(ident, " two")
        await ruled(a, write="approve", approver={"agent": "boss"})
        held = await a.type(ident, " three", agent=BOB)
        assert held.receipt is not None
        assert held.change_hash is not None
        await level([a, b])
        pending = held.receipt.dots[0]
        await a.funnel.decide(pending, yes=True, caller=Caller(agent="boss"))
        assert a.text(ident) == "one two three"
        await ruled(a, write="any")
        for word in ("4", "5", "6", "7"):  # by those who write at its beginning
            await a.type(ident, word, at=0)
        assert f"chunk/{held.change_hash.hex()}" in a.names(ident)
        packs = [one for one in a.held(ident).view.values["chunk"] if is_pack(one.data)]
        assert max(len(unpack(one.data, a.engine.shelf.limits)) for one in packs) > 3
        await b.funnel.decide(pending, yes=False, caller=Caller(agent="boss"))
        await level([a, b])
        assert a.text(ident) == b.text(ident)
        assert "three" not in a.text(ident)


async def test_a_refused_edit_leaves_no_trace_and_its_name_is_free() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("one")
        await a.type(ident, " two")
        await ruled(a, write="owner")
        with pytest.raises(Denied):
            await a.type(ident, " three", agent=BOB)
        await a.type(ident, " four")
        await a.engine.drain()
        found = changes(a)
        assert [(one.seq, one.actor == found[0].actor) for one in found] == [(1, True), (1, False)]
        assert a.text(ident) == "one two four"


async def test_what_is_not_confirmed_stays_and_the_next_edit_goes_on_from_it() -> None:
    async with mesh("a", "b", wanted=2) as (a, b):
        a.timeout_ms = 20
        with pytest.raises(Shortfall):
            await a.create("one", ANN, id="paper-1")
        for word in (" two", " three"):
            with pytest.raises(Shortfall):
                await a.type("paper-1", word)
        await level([a, b])
        assert b.text("paper-1") == "one two three"
        assert {(one.seq, one.actor) for one in changes(a)} == {
            (1, changes(a)[0].actor), (2, changes(a)[0].actor),
        }  # fmt: skip


class Slow:
    """Hooks that think until they are told what to say."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[tuple[Sequence[Op], asyncio.Future[None]]] = asyncio.Queue()

    def writes(self, ops: Sequence[Op], *, caller: Caller, action: str) -> Awaitable[None]:
        del caller, action
        said: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.asked.put_nowait((ops, said))
        return said


async def test_edits_that_wait_for_a_hook_share_no_name() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("one")
        await a.type(ident, " two")
        hooks = Slow()
        a.gate.hooks = hooks  # type: ignore[assignment]  # asked about writes alone
        first, second = (asyncio.ensure_future(a.type(ident, word)) for word in ("3", "4"))
        said = [(await hooks.asked.get())[1] for _ in range(2)]
        said[0].set_result(None)
        await first
        said[1].set_result(None)
        with pytest.raises(ChangedMeanwhile):
            await second
        third = asyncio.ensure_future(a.type(ident, "5"))
        (await hooks.asked.get())[1].set_exception(HookRefused("a hook says no", reason="no"))
        with pytest.raises(HookRefused):
            await third
        a.gate.hooks = None
        await a.type(ident, "6")
        await a.engine.drain()
        found = [(one.actor, one.seq) for one in changes(a)]
        assert len(set(found)) == len(found) == 3
        assert a.text(ident) == "one two36"


async def test_a_hook_that_reads_contents_is_shown_what_the_document_would_say() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("one")
        hooks = Slow()
        a.gate.hooks = hooks  # type: ignore[assignment]  # asked about writes alone
        for word, text in ((" two", "one two"), (" three", "one two three")):
            waiting = asyncio.ensure_future(a.type(ident, word))
            ops, said = await hooks.asked.get()
            (item,) = of_ops(ops, "store", lambda: a.reader)
            told = item.shown(0, "before_write", content=True)
            assert told["content"]["content"] == text
            assert told["fields"] == ["content"]
            assert told["bytes"] > 50
            orjson.dumps(told)
            said.set_result(None)
            await waiting


async def test_what_a_hook_reads_of_a_document_is_made_beside_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    plain = Shelf.foretold

    def foretold(shelf: Shelf, sheet: Sheet) -> str:
        seen.append(threading.current_thread().name)
        return plain(shelf, sheet)

    monkeypatch.setattr(Shelf, "foretold", foretold)
    async with mesh("a") as (a,), Running() as tasks:
        ident = await a.create("one")
        told = Told(declared("a", "before_write", content=True))
        a.gate.hooks = Asking([told], tasks, lambda: a.reader)  # type: ignore[list-item]  # as one
        await a.type(ident, " two")
        ((item,),) = (one["items"] for one in told.got)
        assert item["content"]["content"] == "one two"
        assert seen
        assert threading.main_thread().name not in seen
