from datetime import date

import pytest

from node.recall.moments import date_words, days_in, speaker_of
from node.recall.values import Document

_MAY_8_MS = 1_683_547_200_000


def document(**fields: object) -> Document:
    told: dict[str, object] = {
        "key": "d1",
        "id": "1",
        "namespace": "n",
        "owner": "ai:alice",
        "title": "",
        "content": "",
        **fields,
    }
    return Document(**told)  # type: ignore[arg-type] # fields of the test


def test_the_time_of_making_counts_when_nothing_else_is_said() -> None:
    assert date_words(document(created_ms=_MAY_8_MS)) == "Monday 8 May 2023"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("date", "1:56 pm on 8 May, 2023"),
        ("session_date", "May 8th, 2023"),
        ("timestamp", "2023-05-08T13:56:00Z"),
        ("said_at", _MAY_8_MS),
        ("event_time", _MAY_8_MS // 1000),
    ],
)
def test_a_date_of_its_metadata_counts_before(name: str, value: object) -> None:
    assert date_words(document(metadata={name: value})) == "Monday 8 May 2023"


@pytest.mark.parametrize(
    "value", ["31 February 2023", "2023-13-01", "soon", 7, True, None, ["2023-05-08"], 1e300]
)
def test_what_is_no_date_is_passed_over(value: object) -> None:
    assert date_words(document(metadata={"date": value}, created_ms=_MAY_8_MS)).endswith("2023")


def test_metadata_that_only_sounds_like_a_date_does_not_count() -> None:
    words = date_words(document(metadata={"candidate": "2020-01-01"}, created_ms=_MAY_8_MS))
    assert words == "Monday 8 May 2023"


def test_a_time_out_of_range_has_no_words() -> None:
    assert date_words(document(created_ms=10**18)) == ""


def test_dates_in_a_text() -> None:
    assert days_in("from 2023-05-08 to the 3rd of June, 2024") == [
        date(2023, 5, 8),
        date(2024, 6, 3),
    ]


@pytest.mark.parametrize(
    ("fields", "speaker"),
    [
        ({"metadata": {"speaker": "Ann"}, "content": "Bob: hello"}, "Ann"),
        ({"content": "Bob: hello"}, "Bob"),
        ({"content": "hello"}, "alice"),
        ({"owner": "anonymous:req-1"}, ""),
        ({"owner": "bob"}, "bob"),
        ({"content": "See https://x.org: there"}, "alice"),
        ({"metadata": {"speaker": 7}}, "alice"),
    ],
)
def test_who_speaks(fields: dict[str, object], speaker: str) -> None:
    assert speaker_of(document(**fields)) == speaker
