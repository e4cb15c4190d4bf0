import argparse
import errno
import json
import os
import re
from pathlib import Path

import pytest

from chaos.report.command import add_command, run
from chaos.report.figures import report_of
from chaos.report.machine import machine
from chaos.report.markdown import BEGIN, END, markdown
from chaos.report.reading import read
from tests.unit.chaos.report.made import Maker, begin, campaign, lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "history.jsonl").write_text("".join(lines(campaign(5, 3))))
    return tmp_path


def told(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers())
    return parser.parse_args(["report", *map(str, words)])


def test_a_folder_gets_its_report_and_its_page(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(told(folder)) == 1
    report = json.loads((folder / "report.json").read_text())
    assert report["totals"]["cycles"] == 147
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    said = capsys.readouterr().out
    assert "F01 minority partition" in said
    assert "mnemesh chaos run --class F22 --cycles 1 --seed" in said
    assert "does not hold: 1 cycle of 146 failed" in said
    assert sorted(path.name for path in folder.iterdir()) == [
        "history.jsonl",
        "report.html",
        "report.json",
    ]


def test_a_campaign_that_holds_ends_with_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = tmp_path / "h.jsonl"
    history.write_text("".join(lines([begin(), *Maker(1).play("F01")])))
    capsys.readouterr()
    assert run(told(history, "--html", tmp_path / "p.html", "--json")) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "p.json").read_text())
    assert (tmp_path / "p.html").exists()


@pytest.mark.parametrize("text", [None, "", "not a history\n"])
def test_no_history_is_said(
    tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history.jsonl"
    if text is not None:
        path.write_text(text)
    assert run(told(path)) == 2
    assert "history.jsonl" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_a_page_that_cannot_be_written_is_said_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(told(folder, "--html", folder / "none" / "p.html")) == 2
    assert "cannot write" in capsys.readouterr().err
    whole = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        whole(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half)
    assert run(told(folder)) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["history.jsonl"]


def test_hostile_words_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = tmp_path / "history.jsonl"
    rows = [begin(), *Maker(1).play("F\x1b[2J\u202e", "fail", why="\x1b]0;x\x07")]
    history.write_text("".join(lines(rows)))
    run(told(history))
    said = capsys.readouterr().out
    assert "\\u202e" in said
    assert not {"\x1b", "\u202e", "\x07"} & set(said)


def test_the_tables_of_the_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(told(folder, "--markdown"))
    table = capsys.readouterr().out.splitlines()
    rows = [line for line in table if line.startswith("| F")]
    assert [line[2:5] for line in rows[:6]] == ["F17", "F01", "F03", "F30", "F02", "F04"]
    assert rows[0].startswith("| F17 writer killed between commit and acknowledgement | 3 | 3 | 0")
    (summary,) = (line for line in table if "of running" in line)
    assert summary.startswith("147 cycles of 50 classes in 14 min 42 s of running: 145 passed, 1")
    assert "1 lost, 0 invented, 0 duplicated, 0 diverged" in summary
    assert "| mesh | 5 nodes, W = 3 |" in table
    assert any(line.startswith("| **all** | 147 | 145 | 1 | 1 |") for line in table)
    assert "| F08 | not run | 1 | tc has no netem on this machine |" in table
    assert "| F15 | void | 1 | no proof of the fault |" in table
    widths = {line.count(" | ") for line in rows if "chaos run" not in line and "netem" not in line}
    assert 14 in widths


def test_the_tables_of_a_hostile_history_stay_tables() -> None:
    rows = [begin(), *Maker(1).play("F|`<b>\n", "fail", why="a|b\nc")]
    for line in markdown(report_of(read(lines(rows)))).splitlines():
        assert not line or line.startswith("1 cycle of") or re.fullmatch(r"\|.*\|", line), line


def test_tables_are_renewed_between_their_marks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = folder / "REPORT.md"
    document.write_text(f"# Report\n\n{BEGIN}\nstale rows\n{END}\n\nby hand\n")
    for _ in range(2):
        assert run(told(folder, "--into", document)) == 1
        text = document.read_text()
        assert text.startswith(f"# Report\n\n{BEGIN}\n\n| campaign | made |\n")
        assert text.endswith(f"\n\n{END}\n\nby hand\n")
        assert "stale rows" not in text
    document.write_text("no marks")
    assert run(told(folder, "--into", document)) == 2
    assert document.read_text() == "no marks"
    assert "no place for the tables" in capsys.readouterr().err


def test_the_machine_says_what_counts_and_not_who_it_is() -> None:
    found = machine()
    assert {"cores", "system", "python"} <= set(found)
    assert not any("/" in str(value) for value in found.values())
