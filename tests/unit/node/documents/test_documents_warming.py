"""Long documents are opened in threads, whatever asks for them on the loop.

Counted, not timed: `Shelf.opened_here` tells how many long ones were opened on the loop.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from crdt.document.model import Change, DocumentLimits
from crdt.document.opset import OpSet
from node.contracts import Caller, RetryKey
from node.documents import documents as service
from node.documents import shelf as shelves
from node.documents import warming
from node.documents.problems import DocumentTooLarge, UnknownHeads
from node.documents.shelf import Shelf
from node.documents.warming import Cold, may_wait, settled, warmed
from node.limits import Limits
from node.memory.query import Query
from node.quota.quotas import Quotas, size_of
from tests.unit.node.documents.rig import ANN, Side, mesh

VIEWER = Caller(agent=ANN)
Work = Callable[[Side, str], Coroutine[Any, Any, Any]]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few bytes are long."""
    for module in (shelves, service):
        monkeypatch.setattr(module, "THREAD_BYTES_MIN", 200)


async def colds(side: Side, count: int) -> list[str]:
    """So many documents that are not open."""
    names = [await side.create(f"one {n}") for n in range(count)]
    for name in names:
        await side.type(name, " and two")
        await side.type(name, "!")
    await side.engine.drain()
    chill(side)
    return names


def chill(side: Side) -> None:
    """Forget what is open, as a node does that begins."""
    old = side.engine.shelf
    side.engine.shelf = side.pen.shelf = Shelf(limits=old.limits)
    side.documents.shelf = side.engine.shelf
    memo = side.engine.replica.overlay.memo
    for key in [*memo._younger, *memo._elder]:
        memo.drop(key)


async def one(side: Side, ident: str) -> Any:
    return side.memories.find(ident, VIEWER).view.values["content"]


async def page(side: Side, ident: str) -> Any:
    del ident
    return [held.view.values["content"] for held in await side.memories.page(Query(), VIEWER)]


async def document(side: Side, ident: str) -> Any:
    return side.documents.read(ident, VIEWER)[1].text()


async def conflicts(side: Side, ident: str) -> Any:
    return side.memories.conflicts(ident, VIEWER)[1]


async def rivals(side: Side, ident: str) -> Any:
    return side.reader.rivals("memory", ident, whole=True)[0].view.values["content"]


async def exported(side: Side, ident: str) -> Any:
    return await side.memories.changes_of(side.memories.find(ident, VIEWER))


async def feed(side: Side, ident: str) -> Any:
    del ident
    return [entry.held.view.values["content"] for entry in side.reader.feed(0, 10) if entry.held]


READS: dict[str, Work] = {
    work.__name__: work for work in (one, page, document, conflicts, rivals, exported, feed)
}


@pytest.mark.parametrize("name", READS)
async def test_no_read_opens_a_long_document_on_the_loop(name: str) -> None:
    work = READS[name]
    async with mesh("a") as (a,):
        first = (await colds(a, 3))[0]
        told = await warmed(lambda: work(a, first), a.engine.shelf)
        assert a.engine.shelf.opened_here == 0
        chill(a)
        assert told == await work(a, first), "the same as without"
        assert a.engine.shelf.opened_here > 0, "outside of a request nobody waits"


async def test_what_goes_out_in_pieces_opens_nothing_on_the_loop() -> None:
    async with mesh("a") as (a,):
        await colds(a, 3)
        await a.create("one more")
        shelf, texts = a.engine.shelf, []
        async for held in a.memories.all_for(VIEWER, administrator=False):
            shelf._entries.clear()  # it may be put away before its changes are asked for
            data = await a.memories.changes_of(held)
            assert (data is None) is (held.view.values["content"] == "one more")
            texts.append(held.view.values["content"])
        assert texts == ["one more", *(f"one {n} and two!" for n in (2, 1, 0))]
        assert shelf.opened_here == 0


async def test_counting_bytes_opens_nothing_on_the_loop() -> None:
    async with mesh("a") as (a,):
        names = await colds(a, 3)
        quotas = Quotas(limits=lambda: Limits(max_storage_bytes=1 << 20))
        quotas.reads(lambda: a.reader)
        await quotas.count_bytes()
        assert a.engine.shelf.opened_here == 0
        held = [a.held(name) for name in names]
        assert quotas.use(ANN).storage == sum(size_of(one.view.values) for one in held)


async def test_what_one_request_waited_for_stays_with_it_however_small_the_shelf() -> None:
    async with mesh("a") as (a,):
        await colds(a, 5)
        a.engine.shelf._bytes_max = 1
        texts = await warmed(lambda: page(a, ""), a.engine.shelf)
        assert sorted(texts) == [f"one {n} and two!" for n in range(5)]
        assert (len(a.engine.shelf), a.engine.shelf.opened_here) == (1, 0)
        assert await page(a, "") == texts
        assert a.engine.shelf.opened_here == 0, "texts are kept for longer than documents"


async def test_however_many_ask_a_document_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    plain = Shelf.text_beside

    def text_beside(shelf: Shelf, sheet: Any) -> str | None:
        opened.append(threading.current_thread().name)
        return plain(shelf, sheet)

    monkeypatch.setattr(Shelf, "text_beside", text_beside)
    async with mesh("a") as (a,):
        (ident,) = await colds(a, 1)
        asked = [warmed(lambda: one(a, ident), a.engine.shelf) for _ in range(8)]
        assert set(await asyncio.gather(*asked)) == {"one 0 and two!"}
        assert len(opened) == 1
        assert opened[0] != threading.main_thread().name


async def test_a_write_begins_again_only_before_anything_was_minted() -> None:
    async with mesh("a") as (a,):
        (ident,) = await colds(a, 1)
        before = a.held(ident).view.version
        chill(a)
        ask = a.ask(content="one 0 and two, and three!")
        await warmed(lambda: a.memories.update(ident, ask, None), a.engine.shelf)
        assert a.engine.shelf.opened_here == 0
        assert a.held(ident).view.version == before + 1
        assert a.text(ident) == "one 0 and two, and three!"


async def test_what_has_begun_to_answer_goes_on() -> None:
    async with mesh("a") as (a,):
        (ident,) = await colds(a, 1)
        runs = 0

        async def work() -> Any:
            nonlocal runs
            runs += 1
            settled()
            return await one(a, ident)

        assert await warmed(work, a.engine.shelf) == "one 0 and two!"
        assert (runs, a.engine.shelf.opened_here) == (1, 1)


async def test_a_task_that_a_request_begins_is_not_the_request() -> None:
    async with mesh("a") as (a,):
        (ident,) = await colds(a, 1)
        seen: list[bool] = []

        async def beside() -> None:
            seen.append(may_wait())

        async def work() -> None:
            await asyncio.gather(asyncio.create_task(beside()), beside_here())

        async def beside_here() -> None:
            seen.append(may_wait())

        await warmed(work, a.engine.shelf)
        assert seen == [False, False]
        with pytest.raises(Cold):
            await warming._in_steps(one(a, ident), warming._Turn())


async def test_what_stops_a_request_stops_what_it_does() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(warmed(work, Shelf()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_an_edit_upon_what_was_long_ago_takes_nothing_back_on_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undone: list[str] = []
    plain = OpSet.undo

    def undo(opset: OpSet, change: Change) -> None:
        undone.append(threading.current_thread().name)
        plain(opset, change)

    monkeypatch.setattr(OpSet, "undo", undo)
    async with mesh("a") as (a,):
        ident = await a.create("one")
        heads = [head.hex() for head in a.document(ident).heads]
        for n in range(4):
            await a.type(ident, f" {n}")
        undone.clear()
        word = {"op": "splice", "path": ["text"], "index": 3, "insert": "!"}
        await a.edit(ident, word, heads=heads)
        assert undone == []
        assert sorted(a.text(ident)) == sorted("one! 0 1 2 3")
        retry = RetryKey(agent=ANN, key="k", body=bytes(32))
        for _ in range(2):
            ask = a.ask(ops=[word], heads=heads)
            ask.retry = retry
            await a.documents.edit(ident, ask, None)
        assert a.text(ident).count("!") == 2
        with pytest.raises(UnknownHeads):
            await a.edit(ident, word, heads=["00" * 32])


async def test_what_was_prepared_for_a_document_is_not_written_into_another() -> None:
    async with mesh("a") as (a,):
        ident = await a.create("one")
        heads = [head.hex() for head in a.document(ident).heads]
        for n in range(4):
            await a.type(ident, f" {n}")
        plain = a.documents._then

        async def then(*asked: Any) -> Any:
            made = await plain(*asked)
            await a.memories.delete(ident, a.ask(), None)
            await a.create("another", id=ident)
            return made

        a.documents._then = then  # type: ignore[method-assign]
        with pytest.raises(UnknownHeads):
            await a.edit(ident, {"op": "put", "path": ["k"], "value": 1}, heads=heads)
        assert not a.document(ident).aside


async def test_one_request_that_comes_twice_at_once_names_the_change_that_it_made() -> None:
    async with mesh("a") as (a,):
        (ident,) = await colds(a, 1)
        ask = a.ask(ops=[{"op": "splice", "path": ["text"], "insert": "?"}])
        ask.retry = RetryKey(agent=ANN, key="k", body=bytes(32))
        made = await asyncio.gather(*(a.documents.edit(ident, ask, None) for _ in range(2)))
        (last,) = a.document(ident).heads
        assert [one.change_hash for one in made] == [last, last]
        assert a.text(ident).endswith("!?")


async def test_a_document_in_which_memory_ran_out_is_opened_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with mesh("a") as (side,):
        ident = await side.create("one")
        await side.type(ident, " and two")

        def failing(_opset: OpSet, _steps: object) -> None:
            raise MemoryError

        with monkeypatch.context() as patch:
            patch.setattr(OpSet, "take_back", failing)
            with pytest.raises(MemoryError):
                await side.type(ident, " and half")
        assert side.text(ident) == "one and two"
        await side.type(ident, " and three")
        assert side.text(ident) == "one and two and three"


async def test_plain_content_is_made_a_change_once_and_beside_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some 65,000 characters took half a second of the loop, each time they were asked for."""
    sown: list[threading.Thread] = []
    plain = shelves.seed_of

    def counted(*args: Any, **more: Any) -> Any:
        sown.append(threading.current_thread())
        return plain(*args, **more)

    monkeypatch.setattr(shelves, "seed_of", counted)
    monkeypatch.setattr(shelves, "SEED_CHARS_MIN", 3)
    async with mesh("a") as (a,):
        ident = await a.create("one and two")
        for _ in range(3):
            held, read = await warmed(lambda: a.documents.opened(ident, VIEWER), a.engine.shelf)
            assert (held.view.values["content"], read.text()) == ("one and two", "one and two")
        (before,) = read.heads
        await warmed(lambda: a.type(ident, "!"), a.engine.shelf)
        assert (a.text(ident), before in a.document(ident)) == ("one and two!", True)
        assert len(sown) == 1
        assert sown[0] is not threading.main_thread()


async def test_content_that_is_too_long_for_a_document_is_refused_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shelves, "SEED_CHARS_MIN", 3)
    async with mesh("a", limits=DocumentLimits(change_ops_max=5)) as (a,):
        ident = await a.create("one and two")
        with pytest.raises(DocumentTooLarge):
            await warmed(lambda: a.documents.opened(ident, VIEWER), a.engine.shelf)
