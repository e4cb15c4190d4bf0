"""Parts of one campaign make the report that the campaign would have made."""

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from chaos.campaign import command as campaign_command
from chaos.campaign.folder import CampaignFolder
from chaos.campaign.plan import BadPlanError, Plan
from chaos.report.command import add_command
from chaos.report.figures import report_of
from chaos.report.markdown import markdown
from chaos.report.page import page
from chaos.report.parts import NoPartsError, condensed, read_parts
from tests.unit.chaos.report.made import Maker, begin, campaign, lines

PLAN = Plan(name="made", classes={"F01": 2, "F02": 2}, seed=11)


def told(*words: object) -> int:
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers())
    given = parser.parse_args([*map(str, words)])
    return int(given.run(given))


def part(path: Path, cycles: range, *, named: str, said: str = "pass", **more: Any) -> Path:
    """A history of some cycles of the plan."""
    maker = Maker(3, writes=6, samples=4)
    maker.cycle = cycles.start - 1
    began = begin(campaign=named, plan=PLAN.as_dict(), machine={"cores": len(named)}, **more)
    played = [line for number in cycles for line in maker.play(f"F0{number % 2 + 1}", said)]
    path.write_text("".join(lines([began, *played])))
    return path


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    return [
        part(tmp_path / "one.jsonl", range(1, 3), named="one"),
        part(tmp_path / "two.jsonl", range(3, 5), named="other"),
    ]


def test_what_is_kept_of_a_history_makes_the_same_figures(tmp_path: Path) -> None:
    whole = tmp_path / "history.jsonl"
    note = {"kind": "note", "what": "whole", "anomalies": [{"checker": "c", "rule": "lost"}]}
    stray = '{"kind":"cyc'
    whole.write_text("".join(lines(campaign(5, 3))) + json.dumps(note) + "\n" + stray)
    kept = tmp_path / "kept.jsonl.gz"
    assert told("condense", tmp_path, kept) == 0
    assert kept.stat().st_size < whole.stat().st_size / 20
    one, other = (report_of(read_parts([path])) for path in (whole, kept))
    assert other.pop("unreadable_lines") == 0 < one.pop("unreadable_lines")  # type: ignore[misc]
    of_aborted = ("seconds", "parts")  # a cycle without a verdict ends with what is left out
    assert {k: v for k, v in one.items() if k not in of_aborted} == {
        k: v for k, v in other.items() if k not in of_aborted
    }
    assert report_of(read_parts([kept]))["whole"]


def test_what_is_kept_is_the_same_every_time(parts: list[Path]) -> None:
    with parts[0].open("rb") as one, parts[0].open("rb") as again:
        assert condensed(one) == condensed(again)


def test_parts_make_one_campaign(parts: list[Path], tmp_path: Path) -> None:
    joined = read_parts(parts)
    report = report_of(joined)
    assert [cycle.number for cycle in joined.cycles] == [1, 2, 3, 4]
    assert report["totals"]["pass"] == 4
    assert [one["cycles"] for one in report["parts"]] == [2, 2]
    text = markdown(report)
    assert "| campaign | one | other |" in text
    assert "| cores | 3 | 5 |" in text
    drawn = page(joined, report)
    assert ">one<" in drawn
    assert ">other<" in drawn
    assert told("report", *parts, "--html", tmp_path / "p.html") == 0
    packed = tmp_path / "one.jsonl.gz"
    assert told("condense", parts[0], packed) == 0
    assert told("report", packed, parts[1]) == 0
    assert json.loads((tmp_path / "report.json").read_text())["totals"]["pass"] == 4


def test_what_one_part_saw_amiss_stands_in_the_report(parts: list[Path]) -> None:
    with parts[0].open("a") as file:
        note = {"kind": "note", "what": "whole", "anomalies": [{"checker": "c", "rule": "lost"}]}
        file.write(json.dumps(note) + "\n")
    report = report_of(read_parts(parts))
    assert report["totals"]["lost"] == 1
    assert report["totals"]["bound95"] is None


def test_other_campaigns_are_no_parts(
    parts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = part(tmp_path / "b.jsonl", range(2, 3), named="again")
    with pytest.raises(NoPartsError, match="cycle 2 was judged in one of"):
        read_parts([parts[0], twice])
    strange = tmp_path / "c.jsonl"
    strange.write_text("".join(lines([begin(campaign="strange")])))
    assert told("report", parts[0], strange) == 2
    assert "different plans or seeds" in capsys.readouterr().err


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_packed_part_that_is_cut_off_is_named(
    cut: int, parts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "cut.jsonl.gz"
    packed.write_bytes(gzip.compress(parts[0].read_bytes())[:-cut])
    assert told("report", packed) == 2
    assert f"cannot read {packed}: it is cut off or damaged" in capsys.readouterr().err
    packed.write_bytes(b"no such thing")
    assert told("condense", packed, tmp_path / "x.gz") == 2
    assert f"cannot read {packed}" in capsys.readouterr().err


# --- playing what is left ---------------------------------------------------------------


def rest(*words: object) -> Plan:
    parser = argparse.ArgumentParser()
    campaign_command.add_command(parser.add_subparsers())
    return campaign_command.plan_from(parser.parse_args(["run", *map(str, words)]))


def test_a_part_plays_what_the_others_have_left(parts: list[Path], tmp_path: Path) -> None:
    plan = rest("--after", parts[0])
    assert (plan.seed, plan.classes, plan.played) == (
        PLAN.seed,
        PLAN.classes,
        frozenset({1, 2}),
    )
    folder = CampaignFolder(tmp_path / "third")
    folder.begin(plan)
    folder.leave()
    again = CampaignFolder(tmp_path / "third").resume()
    assert again == plan
    left = folder.left(again)
    assert left == [turn for turn in PLAN.cycles() if turn.number > 2]
    # A part says what was played before it, so the last one is enough to go on after.
    later = part(tmp_path / "later.jsonl", range(3, 4), named="later")
    text = later.read_text().splitlines()
    first = json.loads(text[0]) | {"plan": plan.as_dict()}
    later.write_text("\n".join([json.dumps(first), *text[1:]]))
    assert rest("--after", later).played == {1, 2, 3}
    assert report_of(read_parts([parts[0], later]))["totals"]["pass"] == 3


def test_nothing_else_may_be_asked_beside_the_parts(parts: list[Path], tmp_path: Path) -> None:
    for words in (("--seed", 5), ("--class", "F01"), ("--nodes", 3)):
        with pytest.raises(BadPlanError, match="are those of the parts"):
            rest("--after", parts[0], *words)
    with pytest.raises(BadPlanError, match="cannot go on after these"):
        rest("--after", tmp_path / "nothing.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(BadPlanError, match="of the parts"):
        rest("--after", tmp_path / "empty.jsonl")
