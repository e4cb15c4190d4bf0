import pytest

from node.memory.times import MS_MAX, format_ms, parse_ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.0019Z", 1),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2026-03-01T12:00:00.250+01:30", 1_772_361_000_250),
        ("2026-03-01t12:00:00z", 1_772_366_400_000),
        ("2026-03-01 12:00:00Z", 1_772_366_400_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("9999-12-31T23:59:59.999Z", MS_MAX),
        ("2026-03-01T12:00:00.123456789Z", 1_772_366_400_123),
    ],
)
def test_rfc_3339_is_read(text: str, ms: int) -> None:
    assert parse_ms(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00Z",
        "2026-13-01T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T12:00:00+24:00",
        "2026-03-01T12:00:00+0100",
        "2026-W10-1T12:00:00Z",
        "20260301T120000Z",
        "2026-03-01T12:00:00Z\n",
        "0000-01-01T00:00:00Z",
        "\u0662026-03-01T12:00:00Z",
        "1772366400",
    ],
)
def test_anything_looser_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"timestamp|month|day|hour|year|range"):
        parse_ms(text)


def test_what_is_written_is_read_back() -> None:
    for ms in (0, 1, 999, 1_772_366_400_123, MS_MAX, -1):
        assert parse_ms(format_ms(ms)) == ms
    assert format_ms(1_772_366_400_007) == "2026-03-01T12:00:00.007Z"
    assert format_ms(MS_MAX + 1) == "9999-12-31T23:59:59.999Z"
