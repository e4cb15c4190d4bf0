"""What /search and /recall can find is what the store holds and the caller may see: a history law.

Law: after any history, with part of it in the index, part in the overlay, over kills of the
index, rebuilds and other stores, a brute-force look at every record says the same. The words
of these histories are plain, so that a look for one needs no analysis.
"""

import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdt.op import Draft, Kind
from node.contracts import Caller, Held
from node.memory.query import Query
from node.memory.record import created_ms, is_party, visible_to
from node.recall import document, ranking, service, source
from node.recall.asking import Ask
from node.recall.service import Found, Recall, Recalled, tokens_of
from tests.property.memory_histories import (
    AGENTS,
    CHANGES,
    SESSIONS,
    SPACES,
    TAGS,
    VIEWERS,
    WORDS,
    History,
    lived,
)
from tests.property.test_governance_planted import Patch, planted
from tests.unit.recall.test_recall_feeding import Store, running

pytestmark = pytest.mark.thorough

DEEDS = {
    **CHANGES, "flush": 4, "kill_index": 1, "rebuild": 1, "restart_both": 1, "lose_store": 1,
}  # fmt: skip
STEPS = 60
EVERY = 6
PLAIN = [word for word in WORDS if word.isalpha()]
Asked = Callable[[History], Any]


def words_of(held: Held) -> set[str]:
    """The words of a memory: runs of letters, and what stands between blanks."""
    values = held.view.values
    text = " ".join((values["title"], values["content"], *values.get("tags", ()))).casefold()
    return {*re.findall(r"[a-z]+", text), *text.split()}


def lies_within(held: Held, viewer: Caller) -> bool:
    space = held.view.namespace
    roots = viewer.namespaces
    return roots is None or any(space == one or space.startswith(f"{one}/") for one in roots)


def may_see(held: Held, viewer: Caller) -> bool:
    """`visible_to`, said once more in other words."""
    seen = lies_within(held, viewer) and (
        held.view.values.get("scope") != "private" or is_party(held, viewer.agent)
    )
    assert seen is visible_to(held, viewer)
    return seen


def allowed(history: History, viewer: Caller, query: Query, *others: Caller) -> list[Held]:
    """Every memory that passes, by brute force, the newest first."""
    node = history.node
    found = [
        held
        for held in node.everything(set(history.ids))
        if all(may_see(held, one) for one in (viewer, *others))
        and query.namespace in (None, held.view.namespace)
        and query.matches(held)
    ]
    return sorted(found, key=lambda held: held.view.created, reverse=True)


def drawn_query(chance: Random, times: list[int]) -> Query:
    fields: dict[str, Any] = {
        "namespace": chance.choice(SPACES), "tier": chance.choice(("short", "mid", "long")),
        "tags": frozenset(chance.sample(TAGS, chance.randint(1, 2))),
        "agent": chance.choice(AGENTS), "session": chance.choice(SESSIONS),
        "min_priority": chance.randint(0, 10), "since": chance.choice(times),
        "until": chance.choice(times),
    }  # fmt: skip
    names = chance.sample(sorted(fields), chance.choice((0, 0, 1, 1, 2, 3)))
    return Query(limit=1000, **{name: fields[name] for name in names})


def keys(found: list[Held] | list[Found]) -> list[str]:
    held = [one.held if isinstance(one, Found) else one for one in found]
    return [("p" if one.private else "d") + one.id for one in held]


def recall_of(history: History) -> Recall:
    assert history.node.recall is not None
    return history.node.recall.recall


def times_of(history: History) -> list[int]:
    return [created_ms(held) for held in history.node.everything(set(history.ids))] or [0]


# --- the laws ----------------------------------------------------------------------------


async def searches(history: History) -> None:
    """Search finds exactly what passes and holds every word, each once, whatever the page."""
    chance = history.chance
    for viewer in VIEWERS:
        query = drawn_query(chance, times_of(history))
        text = " ".join(chance.sample(WORDS, chance.choice((1, 1, 2))))
        wanted = {word.casefold() for word in text.split()}
        right = [one for one in allowed(history, viewer, query) if wanted <= words_of(one)]
        found = await recall_of(history).search(text, query, viewer)
        assert sorted(keys(found)) == sorted(keys(right)), f"{viewer} {text!r} {query}"
        pages: list[str] = []
        for offset in range(0, len(right) + 1, 3):
            page = Query(**{**_fields(query), "limit": 3, "offset": offset})
            pages += keys(await recall_of(history).search(text, page, viewer))
        assert pages == keys(found), f"pages of {viewer} {text!r} {query}"


def _fields(query: Query) -> dict[str, Any]:
    return {name: getattr(query, name) for name in Query.__slots__}  # type: ignore[attr-defined]  # a dataclass with slots


async def recalls(history: History) -> None:
    """Recall gives the limit of what passes, with a common word first, then the newest."""
    for viewer in VIEWERS:
        ask, right, _ = drawn_ask(history, viewer)
        answer = await recall_of(history).recall(ask, viewer)
        found = keys(answer.found)
        where = f"{viewer} {ask}"
        assert len(set(found)) == len(found), f"twice: {where}"
        assert set(found) <= set(keys(right)), f"more than passes: {where}"
        assert len(found) == min(ask.limit, len(right)), f"not filled up: {where}"
        check_order(answer, right, ask)


def check_order(answer: Recalled, right: list[Held], ask: Ask) -> None:
    scores = [one.score for one in answer.found]
    assert scores == sorted(scores, reverse=True), f"not best first: {ask}"
    filled = [one.held for one in answer.found if one.score <= 0]
    stamps = [created_ms(held) for held in filled]
    assert stamps == sorted(stamps, reverse=True), f"filled up, not newest first: {ask}"
    if filled:
        here = set(keys(answer.found))
        wanted = set(ask.context.split()) & set(PLAIN)
        holding = [held for held in right if wanted & words_of(held)]
        assert set(keys(holding)) <= here, f"a word in common, and not there: {ask}"
        assert not set(keys(filled)) & set(keys(holding)), f"a word in common, and no score: {ask}"
        others = [held for held in right if keys([held])[0] not in here]
        assert not others or created_ms(others[0]) <= stamps[-1], f"not the newest: {ask}"


def drawn_ask(history: History, viewer: Caller) -> tuple[Ask, list[Held], Query]:
    chance = history.chance
    query = drawn_query(chance, times_of(history))
    query = Query(
        limit=1000, namespace=query.namespace, tags=query.tags, since=query.since,
        until=query.until,
    )  # fmt: skip
    other = chance.choice((None, None, *AGENTS))
    ask = Ask(
        context=" ".join(chance.sample((*PLAIN, "unicorn", "of"), chance.choice((1, 2)))),
        limit=chance.choice((1, 3, 10, 50)), namespace=query.namespace, tags=query.tags,
        since=query.since, until=query.until, as_agent=other,
    )  # fmt: skip
    others = () if other is None else (Caller(agent=other),)
    return ask, allowed(history, viewer, query, *others), query


async def narrows(history: History) -> None:
    """A limit cuts the same answer short, a least score keeps its beginning, a budget what fits."""
    recall, chance = recall_of(history), history.chance
    for viewer in VIEWERS:
        ask, right, _ = drawn_ask(history, viewer)
        whole = await recall.recall(_with(ask, limit=1000), viewer)
        short = await recall.recall(ask, viewer)
        scored = [one for one in whole.found if one.score > 0]
        head = [one for one in short.found if one.score > 0]
        if not just_ended(history):
            assert keys(head) == keys(scored)[: len(head)], f"{ask}"
        if scored:
            least = chance.choice(scored).score
            above = await recall.recall(_with(ask, limit=1000, min_score=least), viewer)
            above_it = [one for one in scored if one.score >= least]
            assert keys(above.found) == keys(above_it), f"{ask} least {least}"
        budget = chance.choice((0, 1, 5, 20, 60))
        cut = await recall.recall(_with(ask, budget_tokens=budget), viewer)
        used = sum(tokens_of(one.held) for one in cut.found)
        assert used == cut.tokens_used <= budget, f"{ask} budget {budget}"
        if len(cut.found) < ask.limit:
            here = set(keys(cut.found))
            left = [held for held in right if keys([held])[0] not in here]
            assert all(tokens_of(one) > budget - used for one in left), f"fits: {ask} {budget}"


def just_ended(history: History) -> bool:
    """Whether a life is over that may still lend its neighbours of its score."""
    reader, now = history.node.reader, history.node.now_ms
    wholes = (
        reader.whole("memory", ident, private=private)
        for ident in history.ids
        for private in (False, True)
    )
    return any(0 < (one.view.values.get("expires_at") or 0) <= now for one in wholes if one)


def _with(ask: Ask, **changes: Any) -> Ask:
    return Ask(**{name: getattr(ask, name) for name in Ask.__slots__} | changes)  # type: ignore[attr-defined]  # a dataclass with slots


LAWS: dict[str, Asked] = {"search": searches, "recall": recalls, "narrowing": narrows}


def story(law: Asked, deeds: dict[str, int] = DEEDS, steps: int = STEPS) -> Any:
    async def run(history: History) -> None:
        await history.node.index()
        for step in range(steps):
            await history.step(deeds)
            if step % EVERY == EVERY - 1:
                await law(history)

    return run


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("seed", range(3))
def test_index_and_store_say_the_same(law: str, seed: int) -> None:
    lived(seed, story(LAWS[law]), share_private=bool(seed % 2))


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("block", range(10))
def test_index_and_store_say_the_same_in_many_histories(law: str, block: int) -> None:
    for seed in range(1000 + block * 20, 1020 + block * 20):
        lived(seed, story(LAWS[law]), share_private=bool(seed % 2))


# --- what waits takes no places of what shows ---------------------------------------------


async def crowded(history: History) -> None:
    """Many that match, or are new, leave at once: older ones come in their places."""
    node = history.node
    await node.index()
    drafts = [
        node.memories.draft(
            {"title": "t", "content": f"{'dragon ' * (2 if n > 4 else 1)}{n}", "id": f"m{n:03}"},
            "ai:ann", history.ask("ai:ann"),
        )
        for n in range(460)
    ]  # fmt: skip
    await node.memories.commit(drafts, history.ask("ai:ann"), "store")
    await node.flush()
    ends = [Draft(kind=Kind.DELETE, collection="memory", id=f"m{n:03}") for n in range(5, 460)]
    await node.memories.commit(ends, history.ask("ai:ann"), "delete")
    viewer = Caller(agent="")
    left = [f"dm{n:03}" for n in range(5)]
    for least in (None, 0.0, 1e-9):
        ask = Ask(context="dragon unicorn", min_score=least)  # which stands nowhere as it is
        answer = await recall_of(history).recall(ask, viewer)
        assert sorted(keys(answer.found)) == left, f"least score {least}"
        assert all(one.score > 0 for one in answer.found)
    answer = await recall_of(history).recall(Ask(context="of", limit=3), viewer)
    assert len(answer.found) == 3


def test_what_left_just_now_takes_no_places() -> None:
    lived(0, crowded)


def test_places_that_are_taken_are_noticed() -> None:
    with planted((ranking, "_KEPT_MIN", 0)), pytest.raises(AssertionError):
        lived(0, crowded)


# --- another store ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
async def test_what_another_store_holds_is_found_at_once(tmp_path: Path, seed: int) -> None:
    """Nobody tells the index that the store was replaced; the next question waits for it."""
    chance, store = Random(seed), Store()
    for number in range(40):
        store.put(f"m{number}", "red fish")
    async with running(tmp_path, store) as side:
        await side.level()
        for turn in range(3):
            for ident in chance.sample(sorted(store.records), 5):
                store.put(ident, chance.choice((None, "blue bird")))
            store.put(f"new{turn}", "red fish")
            store.replace(f"store {turn}")
            for word in ("fish", "bird"):
                right = [i for i, one in store.records.items() if one and word in words_of(one)]
                assert await side.found(word) == sorted(right), f"seed {seed}, turn {turn}"


# --- planted bugs ------------------------------------------------------------------------


def unseen_overlay() -> Patch:
    """What is not flushed is found by nobody."""
    return ranking, "_fresh_holding", lambda *_: []


def seen_by_all() -> Patch:
    """The index takes what is private for open; the look at the record comes too late."""
    return document, "_readers", lambda _held: (document.PUBLIC,)


def forgotten_grants() -> Patch:
    """Who was let in is not among the readers."""
    return (
        document,
        "_readers",
        lambda held: (
            (document.PUBLIC,) if held.view.values.get("scope") != "private" else (held.view.owner,)
        ),
    )


def first_page_only() -> Patch:
    """What the index gives of the newest is cut, though some of it is answered elsewhere."""
    plain = ranking.Ranking.newest

    async def newest(self: Any, asked: Any, at_once: int) -> Any:
        count = 0
        async for hit in plain(self, asked, at_once):
            count += 1
            if count > 1:
                return
            yield hit

    return ranking.Ranking, "newest", newest


def lost_position() -> Patch:
    """The position is written before the engines have flushed what leads to it."""
    plain = source.StoreSource.page

    def page(self: Any, after: int, limit: int) -> Any:
        return plain(self, after, limit)._replace(changes=[])

    return source.StoreSource, "page", page


def above_only() -> Patch:
    """A budget ends with the first memory that is too large."""

    def take(self: Any, held: Held, score: float) -> None:
        tokens, budget = tokens_of(held), self.ask.budget_tokens
        if budget is not None and self.tokens + tokens > budget:
            self.ask = _with(self.ask, limit=len(self.found))
            return
        self.found.append(Found(held=held, score=score))
        self.tokens += tokens

    return service._Chosen, "take", take


BUGS: dict[str, tuple[Callable[[], Patch], str]] = {
    "search: what waits is not found": (unseen_overlay, "search"),
    "search: grants are forgotten": (forgotten_grants, "search"),
    "search: the feed is skipped": (lost_position, "search"),
    "recall: what is private takes places": (seen_by_all, "recall"),
    "recall: grants are forgotten": (forgotten_grants, "recall"),
    "recall: the newest are cut": (first_page_only, "recall"),
    "recall: the feed is skipped": (lost_position, "recall"),
    "narrowing: a budget ends early": (above_only, "narrowing"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_law_notices(bug: str) -> None:
    plant, law = BUGS[bug]
    with planted(plant()):
        for seed in range(12):
            try:
                lived(seed, story(LAWS[law]))
            except AssertionError:
                print(f"{bug}: caught by seed {seed}")
                return
    pytest.fail("the law sleeps")
