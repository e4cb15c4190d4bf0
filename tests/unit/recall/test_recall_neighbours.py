from collections.abc import Iterator
from pathlib import Path

import pytest

from node.recall.neighbours import ANSWER_SHARE, ENGINE, SHARES, SPEAKER_FACTOR, Neighbours
from node.recall.order import GAP_MS, OrderTable
from node.recall.values import Change, Document, Hit

_BORN = 1_700_000_000_000
_ID = "00000000-0000-4000-8000-{:012d}"


def said(
    number: int,
    content: str = "said",
    *,
    session: str = "s",
    speaker: str = "",
    namespace: str = "n",
    readers: tuple[str, ...] = ("*",),
    ms: int | None = None,
    order: int = 0,
) -> Document:
    ident = _ID.format(number)
    return Document(
        key=f"d{ident}",
        id=ident,
        namespace=namespace,
        owner="anonymous:x",
        title="",
        content=content,
        session=session,
        metadata={"speaker": speaker} if speaker else {},
        created_ms=_BORN + number if ms is None else ms,
        order=order,
        readers=readers,
    )


def hit(number: int, score: float = 1.0) -> Hit:
    ident = _ID.format(number)
    return Hit(f"d{ident}", ident, score, "lexical")


def give(neighbours: Neighbours, *documents: Document) -> None:
    neighbours.take(Change(one.key, one) for one in documents)
    neighbours.flush()


def scores(hits: list[Hit]) -> dict[int, float]:
    return {int(one.id[-12:]): one.score for one in hits}


@pytest.fixture
def neighbours(tmp_path: Path) -> Iterator[Neighbours]:
    made = Neighbours(tmp_path)
    yield made
    made.close()


def test_a_score_flows_to_both_sides_and_less_further_on(neighbours: Neighbours) -> None:
    give(neighbours, *(said(at) for at in range(7)))
    found = neighbours.spread([hit(3)], "x", 100)
    assert scores(found) == pytest.approx(
        {3: 1.0, 2: SHARES[0], 4: SHARES[0], 1: SHARES[1], 5: SHARES[1]}
    )
    assert {one.engine for one in found if one.id != hit(3).id} == {ENGINE}


def test_an_answer_gets_more_of_its_question(neighbours: Neighbours) -> None:
    give(neighbours, said(1, "Where is it? [shows a map]"), said(2, "Behind the house."))
    found = scores(neighbours.spread([hit(1)], "x", 100))
    assert found[2] == pytest.approx(SHARES[0] + ANSWER_SHARE)


def test_a_question_gets_no_more_of_its_answer(neighbours: Neighbours) -> None:
    give(neighbours, said(1, "Where is it?"), said(2, "Behind the house."))
    assert scores(neighbours.spread([hit(2)], "x", 100))[1] == pytest.approx(SHARES[0])


def test_what_the_named_speaker_said_is_raised(neighbours: Neighbours) -> None:
    give(neighbours, said(1, speaker="Ann Lee"), said(2, speaker="Bob"))
    found = scores(neighbours.spread([hit(1), hit(2)], "What did ANN do?", 100))
    assert found[1] == pytest.approx((1 + SHARES[0]) * SPEAKER_FACTOR)
    assert found[2] == pytest.approx(1 + SHARES[0])


@pytest.mark.parametrize(
    "other",
    [
        {"session": "t"},
        {"namespace": "m"},
        {"readers": ("ann",)},
        {"session": "", "ms": _BORN + 2},
    ],
)
def test_nothing_flows_between_groups(neighbours: Neighbours, other: dict[str, object]) -> None:
    give(neighbours, said(1), said(2, **other))  # type: ignore[arg-type] # fields of the test
    assert scores(neighbours.spread([hit(1)], "x", 100)) == {1: 1.0}


def test_a_hidden_memory_between_two_others_changes_nothing(neighbours: Neighbours) -> None:
    give(neighbours, said(1), said(3))
    before = neighbours.spread([hit(1)], "x", 100)
    give(neighbours, said(2, readers=("ann",)))
    assert neighbours.spread([hit(1)], "x", 100) == before


def test_without_a_session_what_is_far_apart_is_no_conversation(neighbours: Neighbours) -> None:
    give(
        neighbours,
        said(1, session="", ms=_BORN),
        said(2, session="", ms=_BORN + GAP_MS),
        said(3, session="", ms=_BORN + 2 * GAP_MS + 1),
    )
    assert set(scores(neighbours.spread([hit(2)], "x", 100))) == {1, 2}


def test_one_bulk_request_keeps_its_order(neighbours: Neighbours) -> None:
    stamp = _BORN << 16
    give(neighbours, *(said(9 - at, ms=_BORN, order=stamp + at) for at in range(5)))
    assert set(scores(neighbours.spread([hit(9)], "x", 100))) == {9, 8, 7}


def test_a_changed_memory_moves_and_a_removed_one_goes(neighbours: Neighbours) -> None:
    give(neighbours, said(1), said(2), said(3))
    give(neighbours, said(2, session="t"))
    assert set(scores(neighbours.spread([hit(1)], "x", 100))) == {1, 3}
    neighbours.take([Change(hit(3).key, None)])
    neighbours.flush()
    assert set(scores(neighbours.spread([hit(1)], "x", 100))) == {1}


def test_a_candidate_that_is_not_in_the_order_keeps_its_score(neighbours: Neighbours) -> None:
    assert neighbours.spread([hit(1, 2.5)], "x", 100) == [hit(1, 2.5)]


def test_the_best_come_first_and_no_more_than_wanted(neighbours: Neighbours) -> None:
    give(neighbours, *(said(at) for at in range(9)))
    found = neighbours.spread([hit(1, 1.0), hit(7, 3.0)], "x", 2)
    assert [int(one.id[-12:]) for one in found] == [7, 1]


def test_ids_that_are_no_uuids_are_found_again(neighbours: Neighbours) -> None:
    odd = [
        Document(
            key=f"p{name}",
            id=name,
            namespace="n",
            owner="",
            title="",
            content="",
            session="s",
            created_ms=_BORN + at,
        )
        for at, name in enumerate(("note:1", "AAAAAAAA-0000-4000-8000-000000000000"))
    ]
    give(neighbours, *odd)
    found = neighbours.spread([Hit("pnote:1", "note:1", 1.0, "lexical")], "x", 9)
    assert [one.key for one in found] == [one.key for one in odd]


def test_the_order_outlives_the_process_and_a_clear_empties_it(tmp_path: Path) -> None:
    first = Neighbours(tmp_path)
    assert first.fresh
    give(first, said(1), said(2))
    first.close()
    second = Neighbours(tmp_path)
    assert not second.fresh
    assert set(scores(second.spread([hit(1)], "x", 9))) == {1, 2}
    second.clear()
    assert set(scores(second.spread([hit(1)], "x", 9))) == {1}
    second.close()


def test_a_damaged_order_is_told(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"\1" * 8192)
    with pytest.raises(ValueError, match="build it anew"):
        Neighbours(tmp_path)


def test_an_order_of_another_version_is_told(tmp_path: Path) -> None:
    table = OrderTable(tmp_path)
    with table._env.begin(write=True) as txn:
        txn.put(b"v", b"0")
    table.close()
    with pytest.raises(ValueError, match="another version"):
        OrderTable(tmp_path)


def test_no_word_of_a_memory_lies_in_the_order(tmp_path: Path) -> None:
    made = Neighbours(tmp_path)
    give(made, said(1, "the secret lighthouse?", speaker="Zebedee", session="sundowner"))
    made.close()
    data = (tmp_path / "data.mdb").read_bytes().lower()
    assert not [word for word in (b"lighthouse", b"zebede", b"sundowner") if word in data]
