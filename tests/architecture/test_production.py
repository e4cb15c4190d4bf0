"""The production guide counts as the program counts, and its steps are those of its script.

Law: a number in its tables that the program also knows is the program's.
"""

import re
from typing import Final

import pytest

from node.doctor.table import SECTIONS
from node.settings import TABLE
from tests.architecture.docs_blocks import ROOT, text_of

PAGE: Final = "docs/production.md"
_SETTING: Final = re.compile(r"`(?:\[(\w+)\] )?(\w+)`")
_WORDS: Final = {"nobody": 0, "nothing": 0, "-": 0, "any one": 1, "any two": 2, "any three": 3}


def rows_below(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = text_of(PAGE).partition(f"\n{heading}\n")[2]
    lines = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert lines is not None, heading
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[0].splitlines()]
    return rows[2:]


def counted(words: str) -> int:
    """How many absences or losses a cell says."""
    (found,) = [count for start, count in _WORDS.items() if words.startswith(start)]
    return found


@pytest.mark.parametrize(
    "row", rows_below("## Topology")[:-1], ids=lambda row: f"{row[0]}-{row[1]}"
)
def test_what_a_topology_tolerates_follows_from_n_and_w(row: list[str]) -> None:
    n, w = int(row[0]), int(row[1])
    assert counted(row[2]) == n - w
    assert counted(row[3]) == w - 1
    assert w in {n // 2 + 1, n}, "a majority, or all"


def test_the_timeouts_of_one_site_are_the_defaults() -> None:
    defaults = {(row.section, row.key.rpartition(".")[2]): row.default for row in TABLE}
    seen = 0
    for what, one_site, *_ in rows_below("### Timeouts"):
        section = ""
        for named, key in _SETTING.findall(what):
            section = named or section
            assert defaults[section, key] == int(one_site), f"{section}.{key}"
            seen += 1
    assert seen >= len(("quorum", "session", "connect", "handshake", "skew", "drain"))


def test_its_steps_are_numbered_and_each_says_when_it_is_done() -> None:
    steps = rows_below("## In this order")
    assert [int(step[0]) for step in steps] == list(range(1, len(steps) + 1))
    assert all(len(step) == len(("number", "do", "how", "done")) and all(step) for step in steps)
    assert "mnemesh doctor" in steps[-1][1]


def test_every_section_of_the_doctor_that_it_names_exists() -> None:
    told = set(re.findall(r"--section (\w+)", text_of(PAGE)))
    assert told
    assert told <= {section.name for section in SECTIONS}


def test_what_it_says_of_the_unit_stands_in_the_unit() -> None:
    unit = (ROOT / "deploy" / "systemd" / "mnemesh.service").read_text(encoding="utf-8")
    for line in re.findall(r"`(Limit\w+=\w+)`", text_of(PAGE)):
        assert line in unit.splitlines()
