import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from node.recall.embeddings import EmbeddingsAway, TextsRefused, unit
from node.recall.fuzzy import HashedGrams
from node.recall.lexical import Lexical
from node.recall.values import Change, Document, Filters
from node.recall.vectors import VectorEngine

_ID = "00000000-0000-4000-8000-{:012d}"
_DEADLINE_SECONDS = 10.0


def document(number: int, content: str, namespace: str = "n") -> Document:
    ident = _ID.format(number)
    return Document(
        key=f"d{ident}",
        id=ident,
        namespace=namespace,
        owner="ann",
        title="",
        content=content,
        created_ms=1_700_000_000_000 + number,
    )


def filters(namespace: str | None = None) -> Filters:
    return Filters(reader="", now_ms=0, namespace=namespace)


class Far:
    """An embedder on another machine, as bad as a test wants it."""

    name = "vector"
    identity = "far"
    distant = True

    def __init__(self) -> None:
        self.away = False
        self.refused = ""
        self.asked: list[list[str]] = []

    def embed(self, texts: Sequence[str], seconds: float | None = None) -> np.ndarray:
        self.asked.append(list(texts))
        if self.away:
            raise EmbeddingsAway("away")
        if self.refused and any(self.refused in text for text in texts):
            raise TextsRefused("refused")
        return HashedGrams().embed(texts, seconds)


class Rig:
    """An engine beside the lexical index that decides its filters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lexical = Lexical(folder / "lexical")
        self.engine = self.open()

    def open(self, embedder: Far | None = None) -> VectorEngine:
        made = embedder if embedder is not None else HashedGrams()
        self.engine = VectorEngine(self.folder / "vectors", made, self.lexical.snapshot)
        return self.engine

    def give(self, *documents: Document) -> None:
        self.take([Change(one.key, one) for one in documents])

    def take(self, changes: list[Change]) -> None:
        for engine in (self.lexical, self.engine):
            engine.take(changes)
            engine.flush()

    def find(self, text: str, namespace: str | None = None, limit: int = 5) -> list[int]:
        return [int(h.id[-12:]) for h in self.engine.find(text, filters(namespace), limit)]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.engine.close()
    made.lexical.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_nearest_comes_first(rig: Rig) -> None:
    rig.give(document(1, "banana bread"), document(2, "the lighthouse keeper"))
    assert rig.find("lihgthouse keper")[0] == 2


def test_an_empty_engine_finds_nothing(rig: Rig) -> None:
    assert rig.find("lighthouse") == []
    rig.give(document(1, "lighthouse"))
    assert rig.find("?!") == []


def test_changed_and_removed_memories_are_found_as_they_are(rig: Rig) -> None:
    rig.give(document(1, "lighthouse"), document(2, "banana"))
    rig.give(document(1, "orchestra"))
    assert rig.find("lighthouse", limit=1) != [1]
    assert rig.find("orchestra", limit=1) == [1]
    rig.take([Change(document(1, "").key, None)])
    assert 1 not in rig.find("orchestra")


def test_filters_come_before_the_limit(rig: Rig) -> None:
    others = [document(at, "lighthouse keeper", "other") for at in range(200)]
    rig.give(*others, document(900, "a light house", "mine"))
    assert rig.find("lighthouse keeper", namespace="mine", limit=2) == [900]


def test_filters_that_many_pass_widen_the_search(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.recall.vectors.EXACT_MAX", 3)
    others = [document(at, "lighthouse keeper", "other") for at in range(100)]
    mine = [document(900 + at, f"a light house {at}", "mine") for at in range(5)]
    rig.give(*others, *mine)
    assert sorted(rig.find("lighthouse keeper", namespace="mine", limit=5)) == [
        900,
        901,
        902,
        903,
        904,
    ]


def test_vectors_outlive_the_process_with_and_without_a_saved_graph(rig: Rig) -> None:
    rig.give(document(1, "lighthouse"), document(2, "banana"))
    rig.engine.close()
    rig.open()
    assert not rig.engine.fresh
    assert rig.find("lighthouse")[0] == 1
    rig.give(document(3, "orchestra"))
    rig.engine.close()
    (rig.folder / "vectors" / "graph.usearch").write_bytes(b"torn")
    rig.open()
    assert rig.find("orchestra")[0] == 3


def test_a_clear_forgets_everything(rig: Rig) -> None:
    rig.give(document(1, "lighthouse"))
    rig.engine.clear()
    assert rig.find("lighthouse") == []
    rig.give(document(1, "lighthouse"))
    assert rig.find("lighthouse") == [1]


def test_vectors_of_another_model_are_refused(rig: Rig) -> None:
    rig.give(document(1, "lighthouse"))
    rig.engine.close()
    with pytest.raises(ValueError, match="another model"):
        rig.open(Far())
    rig.open()


def test_what_an_embedder_that_is_away_owes_is_made_when_it_is_back(tmp_path: Path) -> None:
    rig, far = Rig(tmp_path), Far()
    rig.engine.close()
    far.identity = HashedGrams.identity
    far.away = True
    rig.open(far)
    rig.give(document(1, "lighthouse"))
    until(lambda: bool(far.asked))
    assert rig.find("lighthouse") == []
    rig.engine.close()
    back = Far()
    back.identity = far.identity
    rig.open(back)
    until(lambda: rig.find("lighthouse") == [1])
    rig.engine.close()
    rig.lexical.close()


def test_a_text_that_is_refused_holds_up_no_other(tmp_path: Path) -> None:
    rig, far = Rig(tmp_path), Far()
    rig.engine.close()
    far.identity, far.refused = HashedGrams.identity, "poison"
    rig.open(far)
    rig.give(*(document(at, "poison" if at == 3 else f"lighthouse {at}") for at in range(8)))
    until(lambda: sorted(rig.find("lighthouse", limit=9)) == [0, 1, 2, 4, 5, 6, 7])
    asked = len(far.asked)
    rig.give(document(9, "lighthouse 9"))
    until(lambda: 9 in rig.find("lighthouse 9", limit=9))
    assert ["poison"] not in far.asked[asked:]
    rig.engine.close()
    rig.lexical.close()


def test_who_is_away_is_not_asked_by_every_question(tmp_path: Path) -> None:
    now, far = [0.0], Far()
    lexical = Lexical(tmp_path / "lexical")
    engine = VectorEngine(tmp_path / "vectors", far, lexical.snapshot, monotonic=lambda: now[0])
    engine.take([Change("da", document(1, "lighthouse"))])
    engine.flush()
    until(lambda: engine._graph is not None)
    far.away, far.asked = True, []
    for text in ("one", "two", "three"):
        assert engine.find(text, filters(), 5) == []
    assert far.asked == [["one"]]
    now[0] = 60.0
    engine.find("four", filters(), 5)
    assert far.asked == [["one"], ["four"]]
    engine.close()
    lexical.close()


def test_unit_rows_have_length_one_and_zeros_stay() -> None:
    assert unit([[3.0, 4.0], [0.0, 0.0]]).tolist() == [
        [pytest.approx(0.6), pytest.approx(0.8)],
        [0, 0],
    ]
