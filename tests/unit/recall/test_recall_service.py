"""What a recall answers: the best that passes now, whatever the index still says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from node.contracts import Caller, Held
from node.memory.query import Query
from node.recall.asking import Ask
from node.recall.service import Recalled, tokens_of
from tests.unit.recall.test_recall_feeding import NOW, SEER, Side, Store, running

NOBODY = Caller(agent="")


def change(store: Store, ident: str, **values: Any) -> None:
    """Set fields of a memory, and tell nobody."""
    held = store.records[ident]
    assert held is not None
    view = held.view._replace(values={**held.view.values, **values})
    store.records[ident] = replace(held, view=view)


def ids(answer: Recalled) -> list[str]:
    return [one.held.id for one in answer.found]


async def ask(side: Side, context: str, viewer: Caller = SEER, **fields: Any) -> Recalled:
    return await side.side.recall.recall(Ask(context=context, **fields), viewer)


async def test_what_has_just_ended_takes_no_place_of_what_has_not(tmp_path: Path) -> None:
    store = Store()
    for number in range(400):
        store.put(f"over{number}", "dragon dragon dragon")
        change(store, f"over{number}", expires_at=NOW + 1000)
    for number in range(5):
        store.put(f"alive{number}", f"one dragon among other words{number} that dilute it")
    async with running(tmp_path, store) as side:
        await side.level()
        assert all(one.startswith("over") for one in ids(await ask(side, "dragon")))
        for number in range(400):  # they end; the index was not told
            store.records[f"over{number}"] = None
        side.side.recall._now_ms = lambda: NOW + 1000
        answer = await ask(side, "dragon")
        assert sorted(ids(answer)) == [f"alive{n}" for n in range(5)]
        assert all(one.score > 0 for one in answer.found)


async def test_what_became_private_is_not_shown_though_the_index_says_so(tmp_path: Path) -> None:
    store = Store()
    store.put("one", "dragon")
    store.put("two", "dragon")
    async with running(tmp_path, store) as side:
        await side.level()
        change(store, "one", scope="private")
        assert ids(await ask(side, "dragon", NOBODY)) == ["two"]
        assert sorted(ids(await ask(side, "dragon"))) == ["one", "two"]
        found = await side.side.recall.search("dragon", Query(), NOBODY)
        assert [one.held.id for one in found] == ["two"]
        assert await side.side.recall.alike("dragon", None, NOBODY, 5) == ["two"]


async def test_a_private_neighbour_gives_no_place_and_gets_none(tmp_path: Path) -> None:
    store = Store()
    for number in range(6):
        store.put(f"m{number}", "dragon" if number % 2 else "castle")
        change(store, f"m{number}", metadata={"session_id": "s"})
    change(store, "m2", scope="private")
    async with running(tmp_path, store) as side:
        await side.level()
        assert "m2" not in ids(await ask(side, "dragon", NOBODY))
        assert "m2" in ids(await ask(side, "dragon"))


async def test_keys_limited_to_subtrees_see_nothing_else(tmp_path: Path) -> None:
    store = Store()
    store.put("one", "dragon")
    async with running(tmp_path, store) as side:
        await side.level()
        for namespaces, wanted in ((("n",), ["one"]), (("n/below",), []), (("*",), ["one"])):
            viewer = Caller(agent="ai:alice", namespaces=namespaces)
            assert ids(await ask(side, "dragon", viewer)) == wanted
            assert ids(await ask(side, "else", viewer)) == wanted


async def test_it_fills_up_with_the_newest_unless_a_score_is_asked_for(tmp_path: Path) -> None:
    store = Store()
    store.put("one", "dragon")
    store.put("two", "castle")
    async with running(tmp_path, store) as side:
        await side.level()
        answer = await ask(side, "dragon")
        assert ids(answer) == ["one", "two"]
        assert answer.mode == "keyword"
        assert answer.candidates == {"lexical": 1}
        assert ids(await ask(side, "of the and", limit=1)) != []
        assert ids(await ask(side, "unicorn", min_score=0.1)) == []
        assert ids(await ask(side, "dragon", limit=0)) == []


async def test_a_budget_is_used_by_what_fits_best_first(tmp_path: Path) -> None:
    store = Store()
    store.put("large", "dragon " * 200)
    store.put("small", "a dragon here")
    async with running(tmp_path, store) as side:
        await side.level()
        answer = await ask(side, "dragon", budget_tokens=20)
        assert ids(answer) == ["small"]
        assert answer.tokens_used == tokens_of(_held(store, "small")) == 4
        nothing = await ask(side, "dragon", budget_tokens=0)
        assert (ids(nothing), nothing.tokens_used) == ([], 0)


def _held(store: Store, ident: str) -> Held:
    held = store.records[ident]
    assert held is not None
    return held
