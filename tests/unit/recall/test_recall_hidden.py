"""What not everybody may read: scored like the rest, and without a trace for anybody else.

Law: the index is real. Every answer is compared whole: keys, order and scores to the last bit.
"""

import dataclasses
import itertools
import random
from pathlib import Path

import pytest

from node.recall.bag import bag_of
from node.recall.figures import number_of, one_slip
from node.recall.filters import term
from node.recall.lexical import Lexical
from node.recall.lexical_query import wanted
from node.recall.part import Part
from node.recall.values import Change, Document, Filters

_WORDS = [f"{a}{b}{c}" for a in "bcdfg" for b in "aeiou" for c in "lmnpr"]
_SECRET = "xylographist"  # noqa: S105 - a word to look for
_QUESTIONS = (
    "bal cem",
    "fin gor blue 2023-11-14",
    "ann",
    _SECRET,
    f"{_SECRET[:-1]}d",
    "zzz",
    "dal",
)
_LENGTHS = (0, 5, 30, 41, 47, 58, 90, 300, 2000)
_MALLORY = Filters(reader="mallory", now_ms=0)
_OPEN = ("*",)


def document(rng: random.Random, number: int, readers: tuple[str, ...] = _OPEN) -> Document:
    return Document(
        key=f"d{number}",
        id=str(number),
        namespace=rng.choice(("n", "m")),
        owner=rng.choice(("x:ann", "x:bob")),
        title=" ".join(rng.choices(_WORDS, k=3)),
        content=" ".join(rng.choices(_WORDS, k=rng.choice(_LENGTHS))),
        tags=("blue",) if number % 3 else (),
        created_ms=1_700_000_000_000 + number % 50,
        readers=readers,
    )


def give(lexical: Lexical, *documents: Document) -> None:
    lexical.take([Change(one.key, one) for one in documents])
    lexical.flush()


def answers(lexical: Lexical) -> list[object]:
    snapshot, out = lexical.snapshot(), []
    for text, namespace in itertools.product(_QUESTIONS, (None, "n")):
        filters = dataclasses.replace(_MALLORY, namespace=namespace)
        asked = snapshot.asked(wanted(text), filters)
        out += [asked.plan, snapshot.best(asked, 40), snapshot.newest(filters, 20, 5)]
        out += [snapshot.holding("bal", asked, 10, 5), snapshot.own_holding("bal", asked, 10, 5)]
    return out


@pytest.mark.parametrize("seed", range(3))
def test_what_others_keep_changes_nothing(seed: int) -> None:
    rng, lexical = random.Random(seed), Lexical(None)
    give(lexical, *(document(rng, number) for number in range(120)))
    give(lexical, *(document(rng, number, ("mallory",)) for number in range(200, 260)))
    before = answers(lexical)
    theirs = [
        one._replace(content=f"{one.content} {_SECRET} bal bal")
        for one in (document(rng, number, ("alice", "bob")) for number in range(300, 500))
    ]
    for at in range(0, len(theirs), 10):  # so many flushes that parts of the index are merged
        give(lexical, *theirs[at : at + 10])
        assert answers(lexical) == before
    lexical.take([Change(one.key, None) for one in theirs[::2]])
    lexical.flush()
    assert answers(lexical) == before


def test_they_would_have_been_noticed() -> None:
    rng, lexical = random.Random(1), Lexical(None)
    give(lexical, *(document(rng, number) for number in range(120)))
    before = answers(lexical)
    seen = document(rng, 300)._replace(content=_SECRET)
    for readers in (_OPEN, ("mallory",)):
        give(lexical, seen._replace(readers=readers))
        assert answers(lexical) != before


def test_what_was_open_counts_no_more_when_it_is_not() -> None:
    rng, lexical = random.Random(2), Lexical(None)
    give(lexical, *(document(rng, number) for number in range(20)))
    plan = lexical.snapshot().asked(wanted(_SECRET), _MALLORY).plan
    moved = document(rng, 300)._replace(content=_SECRET)
    beside = document(rng, 301)._replace(content="dal")
    give(lexical, moved, beside)
    assert lexical.snapshot().asked(wanted(_SECRET), _MALLORY).plan != plan
    give(lexical, moved._replace(readers=("alice",)))
    assert lexical.found_in("content", _SECRET) == 1  # it still takes room
    assert lexical.snapshot().asked(wanted(_SECRET), _MALLORY).plan == plan


def test_equal_texts_score_alike() -> None:
    rng, lexical = random.Random(3), Lexical(None)
    both = [document(rng, number) for number in range(200)]
    give(lexical, *both, *(document(rng, number) for number in range(500, 520)))
    give(lexical, *(document(rng, number) for number in range(500, 510)))  # some are replaced
    own = [one._replace(key=f"p{one.id}", readers=("mallory",)) for one in both]
    give(lexical, *own)
    for text in _QUESTIONS:
        asked = lexical.snapshot().asked(wanted(text), _MALLORY)
        scores = {hit.key: hit.score for hit in lexical.snapshot().best(asked, 1000)}
        for one in both:
            shared, kept = scores.get(one.key, 0.0), scores.get(f"p{one.id}", 0.0)
            assert kept == pytest.approx(shared, rel=1e-4)
            assert asked.score(bag_of(one)) == pytest.approx(shared, rel=1e-4)


def test_a_slip_is_one_letter() -> None:
    assert all(
        one_slip("boat", other) for other in ("boat", "goat", "bota", "boa", "boats", "obat")
    )
    assert not any(one_slip("boat", other) for other in ("boots", "abot", "bo", "boatss", "taob"))


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("commits", range(4))
def test_through_a_kill_it_is_never_in_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: int, *, opened: bool
) -> None:
    rng = random.Random(4)
    before = [document(rng, 1, ("mallory",)), document(rng, 2)]
    after = [before[0]._replace(readers=_OPEN)]
    after += [before[1]._replace(readers=("mallory",))]
    lexical = Lexical(tmp_path)
    give(lexical, *before)
    left, plain = commits, Part.commit

    def commit(self: Part) -> None:
        nonlocal left
        if not left:
            raise OSError("killed")
        left -= 1
        plain(self)

    with monkeypatch.context() as patch:
        patch.setattr(Part, "commit", commit)
        lexical.take([Change(one.key, one) for one in after])
        if left < 3:
            with pytest.raises(OSError, match="killed"):
                lexical.flush()
            assert states(lexical) == states_of(before)  # readers see all of it or nothing
        else:
            lexical.flush()
    if opened:
        lexical.close()
        lexical = Lexical(tmp_path)
        for key, held in states(lexical).items():
            assert held in ((), states_of(before)[key], states_of(after)[key])
        give(lexical, *after)
    else:
        lexical.flush()
    assert states(lexical) == states_of(after)
    lexical.close()


def states(lexical: Lexical) -> dict[str, tuple[str, ...]]:
    """In which index each of two documents shows."""
    shown, out = lexical._shown, {}
    for number in (1, 2):
        query = term(lexical._schema, "key", f"d{number}")
        parts = (("open", shown.open), ("hidden", shown.hidden))
        out[f"d{number}"] = tuple(name for name, one in parts if number_of(one, query))
    return out


def states_of(documents: list[Document]) -> dict[str, tuple[str, ...]]:
    return {one.key: ("open" if one.readers == _OPEN else "hidden",) for one in documents}
