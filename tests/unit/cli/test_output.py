"""What reaches the terminal cannot take it over."""

import io
import json
import sys

import pytest

from node.cli.output import Output, facts_table, plain, print_json, show_error, table
from node.errors import Refused, UsageError


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert plain("a\x1b[31m\x07b\x9bc\n\td") == "a\ufffd[31m\ufffdb\ufffdc\n\td"
    Output(as_json=False).answer({}, table(("A",), [("\x1b]0;x",)]))
    assert "\x1b" not in capsys.readouterr().out


def test_brackets_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).answer({}, ["[bold]x[/bold]", table(("A",), [("[red]y",)])])
    shown = capsys.readouterr().out
    assert "[bold]x[/bold]" in shown
    assert "[red]y" in shown


def test_what_has_no_value_has_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).answer({}, facts_table([("name", "a"), ("fingerprint", None), ("n", 0)]))
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["name", "a"], ["n", "0"],
    ]  # fmt: skip


def test_long_cells_are_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).answer({}, table(("A", "B"), [("x" * 120, "y" * 120)]))
    assert "x" * 120 + " " in capsys.readouterr().out


def test_json_is_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=True)
    out.say("words")
    out.answer({"a": "\x1bé"}, "people")
    said = capsys.readouterr()
    assert json.loads(said.out) == {"a": "\x1bé"}
    assert said.err == "words\n"


def test_an_error_has_three_parts_and_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_error(Refused("it", why="because", fix="Do that"), as_json=True) == 4
    said = capsys.readouterr()
    assert said.err == "error: it\n  why: because\n   do: Do that\n"
    assert json.loads(said.out)["error"] == "refused"


def test_nobody_is_asked_off_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError, match="--yes"):
        Output(as_json=False).confirm("sure?", yes=False)
    Output(as_json=False).confirm("sure?", yes=True)


def test_json_survives_a_stdout_that_is_not_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    print_json({"a": "é"})
    assert json.loads(raw.getvalue()) == {"a": "é"}
