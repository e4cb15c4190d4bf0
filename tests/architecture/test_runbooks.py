"""Runbooks say when, what it takes, how to check and how to go back, and name only what exists.

Law: whoever reads one at night looks for the same things in the same words, and each code, event,
finding, alert, metric and setting in it is one that the program knows.
"""

import re
from functools import cache
from typing import Final

import pytest
import yaml

from node.errors import Exit
from node.logs import EVENTS
from node.metrics import TABLE as METRICS
from node.settings import TABLE as SETTINGS
from tests.architecture.docs_blocks import ROOT, prose_of, text_of

RUNBOOKS: Final = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "docs" / "runbooks").glob("*.md")
    if path.name != "README.md"
)
TOLD: Final = ["docs/production.md", "docs/runbooks/README.md", "SECURITY.md", *RUNBOOKS]
TROUBLES: Final = "docs/runbooks/troubleshooting.md"
ROWS_MIN: Final = 25
_CODE: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"\]\(([^)]+)\)")
_PARTS: Final = {
    "when": r"^(?:\*\*)?When\b",
    "what it takes": r"\b(?:You need|What you need)\b",
    "how to check": r"^#* ?(?:\*\*\d?\.? ?)?(?:How to check|Check)\b|\*\*How to check",
    "the way back": r"\b(?:[Gg]o back|way back)\b",
}
# Words in backticks that look like a name of ours and are of somebody else: of a machine, or of the
# library that tells about the process.
_MACHINES: Final = frozenset({"node-a", "node-b", "node-c", "node-1", "node-2", "node-3"})
_OTHER: Final = _MACHINES | {"process_open_fds", "process_resident_memory_bytes"}


@cache
def _metrics() -> frozenset[str]:
    return frozenset(row.name for row in METRICS)


@cache
def _hooks() -> frozenset[str]:
    return frozenset(_CODE.findall(text_of("docs/reference/hooks.md")))


@cache
def _alerts() -> frozenset[str]:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/mnemesh.rules.yml").read_text("utf-8"))
    return frozenset(rule["alert"] for group in rules["groups"] for rule in group["rules"])


@cache
def _findings() -> frozenset[str]:
    return frozenset(re.findall(r"^### (\S+)$", text_of("docs/doctor.md"), re.MULTILINE))


@cache
def _literals() -> frozenset[str]:
    """Short texts in the program: codes of answers and facts of log lines stand there."""
    found: set[str] = set()
    for path in (ROOT / "node").rglob("*.py"):
        found |= set(re.findall(r"""["\s(]([a-z]+(?:_[a-z]+)+)["=:\s]""", path.read_text("utf-8")))
    return frozenset(found)


@cache
def _names() -> frozenset[str]:
    """Every name with underscores that stands in a table of the program, or is one of its codes."""
    keys = {row.key.rpartition(".")[2] for row in SETTINGS} | {row.key for row in SETTINGS}
    listed = set(_CODE.findall(text_of("docs/reference/exit-codes.md")))
    reasons = set(_CODE.findall(text_of("docs/reference/metrics.md")))
    return frozenset(keys | set(EVENTS) | listed | reasons) | _literals()


# What a word in backticks looks like decides where it has to stand; the first that fits counts.
_KINDS: Final = (
    (re.compile(r"(mnemesh_[a-z_]+)(?:\{.*\})?"), _metrics),
    (re.compile(r"((?:[A-Z][a-z0-9]+){2,})"), _alerts),
    (re.compile(r"([a-z]+(?:-[a-z]+)+)"), _findings),
    (re.compile(r"((?:before|after)_[a-z_]+)"), _hooks),
    (re.compile(r"([a-z]+(?:_[a-z]+)+)"), _names),
)


def _unknown(word: str) -> bool:
    """Whether a word in backticks claims to be a name that there is not."""
    for kind, known in _KINDS:
        if found := kind.fullmatch(word):
            return found[1] not in known() | _OTHER
    return False


@pytest.mark.parametrize("document", TOLD)
def test_every_name_in_it_exists(document: str) -> None:
    assert [word for word in _CODE.findall(prose_of(document)) if _unknown(word)] == []


@pytest.mark.parametrize(
    "word", ["store_explodes_now", "no-such-finding", "NoSuchAlert", "mnemesh_nothing_total"]
)
def test_the_search_for_names_is_awake(word: str) -> None:
    assert _unknown(word)


@pytest.mark.parametrize("document", RUNBOOKS)
@pytest.mark.parametrize("part", _PARTS)
def test_a_runbook_has_its_parts(document: str, part: str) -> None:
    found = re.search(_PARTS[part], prose_of(document), re.MULTILINE)
    assert found is not None, f"{document} does not say {part}"


def test_the_index_leads_to_every_runbook() -> None:
    led = set(_LINK.findall(text_of("docs/runbooks/README.md")))
    assert {name.rpartition("/")[2] for name in RUNBOOKS} <= {
        link.partition("#")[0] for link in led
    }


def _rows() -> list[tuple[str, str, str]]:
    lines = [line for line in text_of(TROUBLES).splitlines() if line.startswith("| ")]
    cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    assert {len(row) for row in cells} == {3}
    return [(row[0], row[1], row[2]) for row in cells if row[0] != "symptom"]


def test_every_symptom_has_a_cause_and_something_to_type_or_to_read() -> None:
    rows = _rows()
    assert len(rows) >= ROWS_MIN
    assert len({symptom for symptom, _, _ in rows}) == len(rows)
    without = [
        symptom
        for symptom, cause, todo in rows
        if not cause or not (_CODE.search(todo) or _LINK.search(todo) or "nothing" in todo)
    ]
    assert without == []
    typed = [row for row in rows if "`mnemesh " in row[2]]
    assert len(typed) >= ROWS_MIN


def test_every_exit_code_that_is_no_success_is_a_symptom() -> None:
    told = {int(code) for row in _rows() for code in re.findall(r"\bexit (\d+)\b", row[0])}
    asked = {Exit.OK, Exit.ERROR, Exit.DOCTOR_WARNS, Exit.DOCTOR_CRITICAL}
    assert {int(code) for code in Exit if code not in asked} <= told
