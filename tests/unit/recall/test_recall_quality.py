import json
from pathlib import Path

import pytest

from tests.benchmarks import recall_ways as ways
from tests.benchmarks.recall_data import Question, Turn, by_category, judge, read
from tests.benchmarks.recall_quality import _data, measure

_AIM = 0.77


def asked(text: str, *evidence: str, category: int = 4) -> Question:
    return Question(conversation="c", text=text, evidence=frozenset(evidence), category=category)


def turns(*said: tuple[str, str]) -> list[Turn]:
    return [
        Turn(
            conversation="c",
            session=1,
            id=f"t{at}",
            date="1:56 pm on 8 May, 2023",
            speaker=speaker,
            text=text,
        )
        for at, (speaker, text) in enumerate(said)
    ]


def test_any_all_and_the_first_rank_are_counted() -> None:
    found = judge(
        [
            (asked("q", "a", "b"), ["x", "a", "y", "z", "w", "b"]),
            (asked("q", "c"), ["x"]),
        ]
    )
    assert (found.any_at, found.all_at) == ({5: 0.5, 10: 0.5}, {5: 0.0, 10: 0.5})
    assert found.mrr == pytest.approx(0.25)


def test_categories_are_told_apart() -> None:
    told = by_category([(asked("q", "a", category=2), ["a"]), (asked("q", "a"), [])])
    assert told["time"].any_at[10] == 1.0
    assert told["one hop"].any_at[10] == 0.0
    assert told["all"].questions == 2


def test_questions_without_an_answer_in_the_turns_are_left_out(tmp_path: Path) -> None:
    rows = [
        {
            "type": "turn",
            "conversation": "c",
            "id": "D1:1",
            "session": 1,
            "date": "d",
            "speaker": "Ann",
            "text": "hi",
        },
        {
            "type": "question",
            "conversation": "c",
            "id": "1",
            "question": "q",
            "answer": "a",
            "evidence": ["D1:1"],
            "category": 1,
        },
        {
            "type": "question",
            "conversation": "c",
            "id": "2",
            "question": "q",
            "answer": "a",
            "evidence": ["D9:9"],
            "category": 1,
        },
        {
            "type": "question",
            "conversation": "c",
            "id": "3",
            "question": "q",
            "answer": "a",
            "evidence": ["D1:1"],
            "category": 5,
        },
    ]
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found, questions = read(file)
    assert [turn.id for turn in found] == ["D1:1"]
    assert len(questions) == 1


def test_an_answer_without_a_word_of_the_question_is_found(tmp_path: Path) -> None:
    said = turns(
        ("Ann", "The garden is green today."),
        ("Bob", "Where did you spend the holidays?"),
        ("Ann", "By the sea with my sister."),
        ("Bob", "It rains here."),
        ("Ann", "We had soup."),
    )
    question = asked("Where was Ann on holiday?", "t2")
    assert "t2" not in ways.plain(said)(question)[:1]
    with ways.engines(said, tmp_path) as made:
        assert made["lexical + neighbours"](question)[0] == "t2"


@pytest.mark.slow
def test_recall_reaches_its_aim_without_a_model(tmp_path: Path) -> None:
    data = _data(None)
    if data is None:
        pytest.skip("the conversations are not here; name them in MNEMESH_LOCOMO")
    said, questions = read(data)
    with ways.engines(said, tmp_path) as made:
        found, _ = measure(made["lexical + neighbours"], questions)
    plain, _ = measure(ways.plain(said), questions)
    assert found["all"].any_at[10] >= _AIM
    assert found["all"].any_at[10] > plain["all"].any_at[10] + 0.1
