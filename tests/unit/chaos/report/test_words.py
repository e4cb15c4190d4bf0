import pytest

from chaos.report.words import cell, counted, duration, figure, markup, percent, visible


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain ü 漢", "plain ü 漢"),
        ("a\u202eb", "a\\u202eb"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\x1b[31m", "\\u001b[31m"),
        ("line\nbreak", "line\\u000abreak"),
        ("\ud800", "\\ud800"),
        ("\uffff", "\\uffff"),
        (None, "None"),
        ("x" * 301, "x" * 299 + "…"),
    ],
)
def test_everything_can_be_seen(given: object, shown: str) -> None:
    assert visible(given) == shown


def test_nothing_ends_an_element_or_an_attribute() -> None:
    assert markup("</script><b a=\"1\" c='2'>&") == (
        "&lt;/script&gt;&lt;b a=&quot;1&quot; c=&#x27;2&#x27;&gt;&amp;"
    )


def test_nothing_ends_a_cell() -> None:
    assert cell("a|b`c`[d](e)<f>\n") == "a\\|b\\`c\\`\\[d\\](e)\\<f\\>\\\\u000a"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0, "0"),
        (1234, "1,234"),
        (0.37, "0.370"),
        (0.0042, "0.0042"),
        (3.14159, "3.14"),
        (31.4159, "31.4"),
        (3141.59, "3,142"),
        (-2.5, "-2.50"),
    ],
)
def test_figures(value: float | None, shown: str) -> None:
    assert figure(value) == shown


def test_durations_counts_and_shares() -> None:
    assert [duration(s) for s in (1.25, 200, 29_100)] == ["1.20 s", "3 min 20 s", "8 h 05 min"]
    assert [counted(n, "class", "classes") for n in (1, 3000)] == ["1 class", "3,000 classes"]
    assert [percent(s) for s in (None, 0.5)] == ["-", "50.0 %"]
