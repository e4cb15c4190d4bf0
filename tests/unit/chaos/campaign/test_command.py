"""What cannot be played is said in words, and before anything is started.

Law: a wish that cannot be carried out ends with 2 and leaves no folder that is taken, a machine or
a mesh that gives way ends with 3; nobody sees a trace.
"""

import argparse
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos.campaign import command
from chaos.campaign.folder import CampaignFolder
from chaos.campaign.plan import Plan, Turn
from chaos.campaign.runner import Runner
from chaos.campaign.tally import Tally
from chaos.history import WHOLE, Note, read_file


def run(folder: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_command(parser.add_subparsers())
    given = parser.parse_args(["run", "--no-room", "--folder", str(folder), *words])
    return command.run_campaign(given)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--class", "F01", "--only", "F99"), "no class 'F99'; see `mnemesh chaos list`"),
        (("--class", "F01", "--only", "F02"), "F02 is not in the plan, which plays F01"),
        (("--plan", "[red]none"), "no plan '[red]none'"),
    ],
)
def test_what_cannot_be_played_leaves_nothing(
    words: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "x", *words) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_plan_without_a_cycle_is_none(tmp_path: Path) -> None:
    plan = tmp_path / "idle.toml"
    plan.write_text("[classes]\nF01 = 0\n")
    assert run(tmp_path / "x", "--plan", str(plan)) == 2


@pytest.fixture
def begun(tmp_path: Path) -> CampaignFolder:
    folder = CampaignFolder(tmp_path / "x")
    folder.begin(Plan(classes={"F01": 1}, seed=1))
    folder.leave()
    return folder


@pytest.mark.parametrize("only", ["F99", "F02"])
def test_a_class_that_is_not_played_is_named_when_a_campaign_goes_on(
    only: str, begun: CampaignFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(begun.path, "--resume", "--only", only) == 2
    assert only in capsys.readouterr().err
    assert not begun.history.exists()


def test_a_campaign_goes_on_in_its_folder_or_behind_parts(
    begun: CampaignFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(begun.path, "--resume", "--after", "part-1.jsonl.gz")
    assert ended.value.code == 2
    assert "--after: not allowed with argument --resume" in capsys.readouterr().err


def test_a_history_that_cannot_be_read_is_named_when_a_campaign_goes_on(
    begun: CampaignFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    begun.history.write_text("{}\n")
    assert run(begun.path, "--resume") == 2
    assert "history.jsonl: line 1: no 'kind'" in capsys.readouterr().err
    assert begun.history.read_text() == "{}\n"


def test_a_full_disk_ends_a_campaign_in_words(
    begun: CampaignFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Tally, "event", full)
    assert run(begun.path, "--resume") == 3
    assert "aborted: [Errno 28] No space left on device" in capsys.readouterr().err


def test_what_whole_stores_show_at_the_end_of_a_run_is_noted_and_fails_it(
    begun: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(kw_only=True)
    class Played(Runner):
        async def play(self, turns: list[Turn], *, seconds: float = 0.0) -> None:
            assert (len(turns), seconds > 0) == (1, True)

        async def read_all(self) -> None:
            for node, records in (("n1", {"x": {"hash": "h"}}), ("n2", {})):
                self.recorder.event(
                    "final", cycle=0, node=node, scope="all", clock={}, digest="d", records=records
                )

    @asynccontextmanager
    async def no_mesh(*_: object, **__: object) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(command, "Runner", Played)
    monkeypatch.setattr(command, "opened", no_mesh)
    assert run(begun.path, "--resume") == 1
    (note,) = (one for one in read_file(begun.history) if isinstance(one, Note))
    assert note.fields["what"] == WHOLE
    assert [one["rule"] for one in note.fields["anomalies"]] == ["ids"]


def test_a_plan_that_finds_no_room_on_the_disk_is_not_half_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert run(tmp_path / "x", "--class", "F01") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not CampaignFolder(tmp_path / "x").plan.exists()
