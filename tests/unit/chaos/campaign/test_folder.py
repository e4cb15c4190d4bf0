"""A folder holds one campaign; what has a verdict is not played again; one harness at a time."""

import json
from pathlib import Path

import pytest

from chaos.campaign.folder import CampaignFolder, FolderTakenError
from chaos.campaign.plan import Plan
from chaos.campaign.tally import Tally

PLAN = Plan(classes={"F01": 2, "F06": 2}, seed=3, nodes=3, quorum_writes=2)


def begun(path: Path) -> CampaignFolder:
    folder = CampaignFolder(path)
    folder.begin(PLAN)
    return folder


def play(folder: CampaignFolder, cycle: int, *, verdict: str = "") -> None:
    with Tally(folder.history) as tally:
        tally.event("cycle", cycle=cycle, workload="set", seed=1, **{"class": "F01"})
        if verdict:
            tally.event("verdict", verdict=verdict, **{"class": "F01"})


def test_the_plan_is_on_the_disk_before_anything_else(tmp_path: Path) -> None:
    folder = begun(tmp_path / "deep" / "campaign")
    assert sorted(path.name for path in folder.path.iterdir()) == ["plan.json"]
    assert json.loads(folder.plan.read_text()) == PLAN.as_dict()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.leave()
    folder.leave()


def test_a_campaign_is_not_begun_over_another(tmp_path: Path) -> None:
    begun(tmp_path).leave()
    with pytest.raises(FolderTakenError, match="--resume"):
        begun(tmp_path)


def test_one_harness_at_a_time(tmp_path: Path) -> None:
    first = begun(tmp_path)
    for again in (CampaignFolder(tmp_path), CampaignFolder(tmp_path)):
        with pytest.raises(FolderTakenError, match="another harness plays in"):
            again.resume()
    first.leave()
    last = CampaignFolder(tmp_path)
    assert last.resume() == Plan(
        **{**PLAN.as_dict(), "hold_s": (0.2, 0.6), "workloads": PLAN.workloads}
    )
    last.leave()


def test_only_what_has_no_verdict_is_left(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    assert [turn.number for turn in folder.left(PLAN)] == [1, 2, 3, 4]
    play(folder, 1, verdict="pass")
    play(folder, 2, verdict="void")
    play(folder, 4, verdict="not_run")
    play(folder, 3)
    assert folder.left(PLAN) == [turn for turn in PLAN.cycles() if turn.number == 3]
    with folder.history.open("ab") as file:
        file.write(b'{"kind":"verdict","cycle":3,')  # the harness was killed here
    assert [turn.number for turn in folder.left(PLAN)] == [3]
    play(folder, 3, verdict="fail")
    assert folder.left(PLAN) == []
    folder.leave()


@pytest.mark.parametrize("text", [None, "", "{", '{"classes": {"F99": 1}}', '{"hold_s": 1}', "[]"])
def test_what_is_no_plan_is_not_gone_on_with(text: str | None, tmp_path: Path) -> None:
    folder = CampaignFolder(tmp_path)
    if text is not None:
        folder.plan.write_text(text)
    with pytest.raises(FolderTakenError, match="no campaign to go on with in"):
        folder.resume()


def test_a_history_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.history.write_text("{}\n")
    with pytest.raises(FolderTakenError, match=r"history\.jsonl: line 1"):
        folder.left(PLAN)
    folder.leave()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderTakenError, match="cannot hold a campaign"):
        begun(tmp_path / "file")
    with pytest.raises(FolderTakenError, match="cannot hold a campaign"):
        begun(tmp_path / "file" / "below")
