"""The track record: the document shows the table, and every row names tests that are there."""

import ast
from functools import cache

import pytest

from chaos.catalogue import CATALOGUE
from chaos.report import markdown
from chaos.report.figures import report_of
from chaos.report.parts import read_parts
from tests.architecture.track_record import (
    BEGIN,
    COMMAND,
    DOCUMENT,
    END,
    ROOT,
    Found,
    found,
    renewed,
    replays,
    table,
)

each = pytest.mark.parametrize("row", found(), ids=lambda row: row.wrong[:40])


@cache
def _tests_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {one.name for one in ast.walk(tree) if isinstance(one, functions)}


def test_the_document_shows_the_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == renewed(text), f"run {COMMAND}"


def test_the_document_has_a_place_for_a_campaign() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.count(markdown.BEGIN) == text.count(markdown.END) == 1
    assert text.index(markdown.BEGIN) < text.index(markdown.END) < text.index(BEGIN)


@each
def test_every_row_names_tests_that_are_there(row: Found) -> None:
    assert row.tests
    for test in row.tests:
        path, _, name = test.partition("::")
        assert name in _tests_of(path), test


@each
def test_every_row_says_how_to_see_it_again(row: Found) -> None:
    assert all(one.startswith(("mnemesh chaos ", "python -m pytest tests/")) for one in row.again)
    assert all(text.endswith(".") for text in (row.wrong, row.fix))


def test_rows_differ_and_name_classes_that_exist() -> None:
    assert len({row.wrong for row in found()}) == len(found()) > 0
    assert len(set(replays())) == len(replays()) > 0
    assert {replay.code for replay in replays()} <= CATALOGUE.keys()


@pytest.mark.parametrize("text", ["", BEGIN, END, END + BEGIN, 2 * (BEGIN + END)])
def test_a_document_without_a_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        renewed(text)
    assert table() in renewed(f"a{BEGIN}old{END}b")


def test_the_tables_are_what_the_kept_parts_of_the_campaign_say() -> None:
    parts = sorted((ROOT / "docs" / "campaign").glob("part-*.jsonl.gz"))
    assert parts
    names = {code: one.name for code, one in CATALOGUE.items()}
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == markdown.into(text, report_of(read_parts(parts), names)), (
        "run mnemesh chaos report docs/campaign/part-*.jsonl.gz --into docs/CHAOS-REPORT.md"
    )
