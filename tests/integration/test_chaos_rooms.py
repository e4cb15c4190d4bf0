"""A campaign that is ended, however it is ended, leaves nothing behind, and can be gone on with."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from chaos.campaign.folder import CampaignFolder
from chaos.check.campaign import check_campaign
from chaos.history import Verdict, read_file
from tests.integration.rig_rooms import (
    ROOT,
    Harness,
    check_gone,
    needs_room,
    of_folder,
    run_in_a_room,
    world,
)

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

SMALL = ("--class", "F06,F13", "--cycles", "2", "--seed", "11", "--nodes", "3")
LONG = ("--class", "F06,F13", "--cycles", "50", "--seed", "11", "--nodes", "3")


@needs_room
def test_a_room_has_hosts_rules_and_tracing_of_its_own_and_nothing_of_it_is_seen_outside() -> None:
    before = world()
    seen = run_in_a_room("tests.integration.rig_room_inside")
    assert seen["first"]
    assert {name for name, there in seen["means"].items() if there} >= {"namespaces", "nft"}
    assert seen["processes"] < 10
    assert {"mesh", "to-a", "to-b"} <= set(seen["links"])
    assert "faults" in seen["tables"]
    assert not world() - before


@needs_room
def test_a_drop_is_directed_counted_and_ends_by_itself() -> None:
    seen = run_in_a_room("tests.integration.rig_room_inside")
    assert seen["whole"] == [True, True]
    assert seen["cut"] == [False, True]
    assert seen["told"] == [True, True]
    assert seen["counted"] > 0
    assert 1.0 < seen["healed_itself_s"] < 10
    assert not seen["cut_again"]
    assert seen["healed"] == [True, True]
    assert (seen["slow"], seen["slow_after"]) == (True, False)
    assert 20 < seen["lost"] < 110, "about 30 of a hundred were to be lost"


def check_resumed(folder: Path, *words: str) -> None:
    """It goes on to the end of its plan; no cycle is judged twice, nothing is lost."""
    done = CampaignFolder(folder)
    judged = [one.cycle for one in verdicts(folder)]
    with Harness(folder, "--resume", *words) as again:
        assert again.ended() == 0, again.said.read_text()
        assert len(again.rows("begin")) == 1
        assert len(again.rows("resume")) == 1
        assert again.rows("final")[-1]["scope"] == "all"
        assert [row["anomalies"] for row in again.rows("note") if row.get("what") == "whole"] == [
            []
        ]
    plan = done.resume()
    done.leave()
    assert done.left(plan) == []
    after = [one.cycle for one in verdicts(folder)]
    assert after[: len(judged)] == judged
    assert Counter(after) == Counter(turn.number for turn in plan.cycles())
    # Every cycle, those before the kill as well, is compared with what all nodes hold at the end.
    told = check_campaign(read_file(folder / "history.jsonl"))
    assert told.anomalies == []
    assert [one.verdict for one in told.judged] == ["pass"] * len(after)
    assert sum(one.acknowledged for one in told.judged) > 20


def verdicts(folder: Path) -> list[Verdict]:
    return [one for one in read_file(folder / "history.jsonl") if isinstance(one, Verdict)]


@needs_room
@pytest.mark.parametrize(
    "who", ["the harness", pytest.param("the first process of its room", marks=pytest.mark.slow)]
)
def test_a_harness_that_is_killed_leaves_nothing_and_its_campaign_goes_on(
    who: str, tmp_path: Path
) -> None:
    before, folder = world(), tmp_path / "campaign"
    with Harness(folder, *SMALL) as harness:
        harness.until("verdict")
        harness.until("cycle", 2)
        harness.until("fault", len(harness.rows("fault")) + 1)
        assert len(of_folder(folder)) >= 3
        if who == "the harness":
            harness.signal(signal.SIGKILL)
            assert harness.ended() == -signal.SIGKILL
        else:
            os.kill(harness.room(), signal.SIGKILL)
            assert harness.ended() == 128 + signal.SIGKILL
            assert "the room ended by SIGKILL" in harness.said.read_text()
        check_gone(folder, before)
        assert 1 <= len(verdicts(folder)) < 4
    check_resumed(folder)
    check_gone(folder, before)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_without_a_room_nodes_die_with_a_killed_harness_too(tmp_path: Path) -> None:
    before, folder = world(), tmp_path / "campaign"
    with Harness(folder, *SMALL, "--no-room") as harness:
        harness.until("verdict")
        harness.until("cycle", 2)
        assert len(of_folder(folder)) >= 3
        harness.signal(signal.SIGKILL)
        harness.ended()
        check_gone(folder, before)
    check_resumed(folder, "--no-room")
    check_gone(folder, before)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        pytest.param(signal.SIGTERM, (), marks=needs_room),
        pytest.param(signal.SIGINT, (), marks=[needs_room, pytest.mark.slow]),
        pytest.param(signal.SIGHUP, (), marks=[needs_room, pytest.mark.slow]),
        pytest.param(signal.SIGINT, ("--no-room",), marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, ("--no-room",), marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_campaign_decently(
    number: signal.Signals, words: tuple[str, ...], tmp_path: Path
) -> None:
    before, folder = world(), tmp_path / "campaign"
    with Harness(folder, *LONG, *words) as harness:
        harness.until("fault")
        # Whoever comes second is told so, and takes nothing away.
        second = asked("--resume", "--folder", str(folder))
        assert (second.returncode, "another harness plays" in second.stderr) == (2, True)
        harness.signal(number)
        assert harness.ended(60) == 130, harness.said.read_text()
        said = harness.said.read_text()
        assert "`--resume` goes on where it was" in said
        assert "Traceback" not in said
        check_gone(folder, before)
    for name in ("n1", "n2", "n3"):
        log = (folder / "mesh" / f"{name}.log").read_text()
        assert "Traceback" not in log
    left = CampaignFolder(folder)
    assert len(left.left(left.resume())) >= 90
    left.leave()


@needs_room
def test_a_signal_in_the_first_moment_is_not_lost(tmp_path: Path) -> None:
    """The first process of a room hears nothing by default."""
    before, folder = world(), tmp_path / "campaign"
    with Harness(folder, *LONG) as harness:
        harness.room()
        harness.signal(signal.SIGTERM)
        assert harness.ended(60) == 130, harness.said.read_text()
        check_gone(folder, before)


def test_without_a_room_what_needs_one_is_not_run_and_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "campaign"
    words = ("--class", "F08,F06", "--seed", "3", "--nodes", "3", "--no-room")
    with Harness(folder, *words) as harness:
        assert harness.ended() == 0, harness.said.read_text()
        told = {row["class"]: (row["verdict"], row["why"]) for row in harness.rows("verdict")}
    assert told == {"F08": ("not_run", "this machine lacks namespaces, nft"), "F06": ("pass", "")}
    assert of_folder(folder) == []


# --- wishes that cannot be carried out -------------------------------------------------


def asked(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "chaos", "run", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--resume",), "no campaign to go on with in"),
        (
            ("--plan", "nothing"),
            "no plan 'nothing': expected a file or one of full, headline, smoke",
        ),
        (("--class", "F99"), "no class 'F99'; see `mnemesh chaos list`"),
        (("--class", "F01,f02,F1"), "no class 'F1'"),
        (("--nodes", "3", "--quorum-writes", "4"), "4 of 3 nodes can never confirm a write"),
        (("--quorum-writes", "0"), "0 of 3 nodes can never confirm a write"),
        (("--nodes", "0"), "a mesh of 0 has no link to break"),
        (("--cycles", "0"), "0 cycles play nothing"),
        (("--seed", "x"), "invalid int value: 'x'"),
    ],
)
def test_a_wish_that_cannot_be_carried_out_is_refused_in_clear_words(
    words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    folder = tmp_path / "campaign"
    done = asked(*words, "--folder", str(folder), "--no-room")
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (folder / "plan.json").exists()


def test_a_folder_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    folder = CampaignFolder(tmp_path / "campaign")
    folder.path.mkdir()
    folder.plan.write_text("{}")
    done = asked("--folder", str(folder.path), "--no-room")
    assert done.returncode == 2
    assert "holds a campaign: go on with `--resume`, or name another `--folder`" in " ".join(
        done.stderr.split()
    )
    assert folder.plan.read_text() == "{}"
    (tmp_path / "file").write_text("mine")
    done = asked("--folder", str(tmp_path / "file"), "--no-room")
    assert done.returncode == 2
    assert "cannot hold a campaign" in " ".join(done.stderr.split())
