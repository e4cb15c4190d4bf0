"""Filters mean the same to the index and in Python: one table, asked both ways."""

import dataclasses

import pytest

from node.recall.filters import passes
from node.recall.lexical import Lexical
from node.recall.values import Change, Document, Filters

NOW = 1_770_000_000_000
ASKED = Filters(reader="ai:bob", now_ms=NOW)


def document(number: int, **fields: object) -> Document:
    ident = f"00000000-0000-4000-8000-{number:012x}" if number % 2 else f"own-id-{number}"
    plain = Document(
        key=f"d{ident}",
        id=ident,
        namespace="team/a",
        owner="ai:alice",
        title="one title",
        content="some words here",
        created_ms=NOW - 1000 * number,
    )
    return plain._replace(**fields)  # type: ignore[arg-type] # fields of a document


DOCUMENTS = [
    document(1),
    document(2, namespace="team"),
    document(3, namespace="teams/a"),
    document(4, tags=("x", "y z", "*")),
    document(5, tags=("x",), tier="long", priority=9),
    document(6, session="s1", owner="ai:bob"),
    document(7, readers=("ai:alice",)),
    document(8, readers=("ai:alice", "ai:bob")),
    document(9, readers=("ai:bob",), owner="ai:bob"),
    document(10, readers=()),
    document(11, expires_ms=NOW),
    document(12, expires_ms=NOW + 1),
    document(13, expires_ms=NOW - 1, readers=("ai:bob",)),
    document(14, created_ms=0, priority=1),
    document(15, created_ms=-5),
]
QUESTIONS = {
    "nothing": {},
    "nobody": {"reader": ""},
    "a stranger": {"reader": "ai:eve"},
    "the reader of all": {"reader": "*"},
    "for another": {"reader": "ai:alice", "as_agent": "ai:bob"},
    "for nobody": {"as_agent": ""},
    "namespace": {"namespace": "team"},
    "subtree": {"within": ("team",)},
    "subtrees": {"within": ("teams", "team/a")},
    "everywhere": {"within": ("*",)},
    "nowhere": {"within": ()},
    "tag": {"tags": frozenset(("x",))},
    "tags": {"tags": frozenset(("x", "y z"))},
    "tier": {"tier": "long"},
    "priority": {"min_priority": 5},
    "agent": {"agent": "ai:bob"},
    "session": {"session": "s1"},
    "since": {"since_ms": NOW - 5000},
    "until": {"until_ms": NOW - 5000},
    "span": {"since_ms": NOW - 8000, "until_ms": NOW - 5000},
    "all time": {"since_ms": -10},
    "later": {"now_ms": NOW + 10},
}


@pytest.fixture(scope="module")
def lexical() -> Lexical:
    made = Lexical(None)
    made.take([Change(one.key, one) for one in DOCUMENTS])
    made.flush()
    return made


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_index_and_python_agree(lexical: Lexical, name: str) -> None:
    filters = dataclasses.replace(ASKED, **QUESTIONS[name])  # type: ignore[arg-type] # fields of filters
    wanted = {one.key for one in DOCUMENTS if passes(one, filters)}
    assert {hit.key for hit in lexical.find("words", filters, 100)} == wanted
    assert {key for key, _ in lexical.newest(filters, 100)} == wanted
    keys = [one.key for one in DOCUMENTS]
    assert lexical.snapshot().allowed(keys, filters) == wanted


def test_every_question_tells_documents_apart() -> None:
    for name in QUESTIONS.keys() - {"everywhere", "all time"}:
        filters = dataclasses.replace(ASKED, **QUESTIONS[name])  # type: ignore[arg-type] # as above
        assert 0 <= sum(passes(one, filters) for one in DOCUMENTS) < len(DOCUMENTS), name


def test_newest_first(lexical: Lexical) -> None:
    times = [ms for _, ms in lexical.newest(ASKED, 5)]
    assert times == sorted(times, reverse=True)
    assert len(times) == 5


def test_taking_twice_changes_nothing_and_a_key_stands_once(lexical: Lexical) -> None:
    before = lexical.documents
    lexical.take([Change(one.key, one) for one in DOCUMENTS])
    lexical.flush()
    assert lexical.documents == before


def test_what_is_removed_is_gone_after_the_flush_and_not_before() -> None:
    lexical = Lexical(None)
    lexical.take([Change(one.key, one) for one in DOCUMENTS[:2]])
    lexical.flush()
    lexical.take([Change(DOCUMENTS[0].key, None)])
    assert lexical.documents == 2
    lexical.flush()
    assert lexical.documents == 1
    assert lexical.dead == 1
    lexical.clear()
    assert lexical.documents == 0
