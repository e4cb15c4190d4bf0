"""The simulator's everyday seeds, its negative controls, and that a seed tells one story."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.__main__ import FAULTS, caught_by, run
from tests.simulation.broken import Broken
from tests.simulation.controls import NAMES, meaning, planted
from tests.simulation.scenarios import (
    damaged_pair,
    force_join,
    look_at,
    meet,
    sessions,
)
from tests.simulation.world import World

ROOT = Path(__file__).parents[2]
EVERYDAY = 16
CONTROL_SEEDS = 300

# Where each control was last caught: tried first, so that the everyday run stays short. Every
# change of the core shifts the schedules; a stale entry costs time, never a verdict.
LAST_CAUGHT: dict[str, tuple[int, ...]] = {
    "floor": (1, 8, 10, 13),
    "halfjoin": (70, 74, 132),
    "joinwrong": (14, 40, 77),
    "rashadd": (5, 8, 38),
    "holes": (9, 11, 18),
    "eager": (1, 48, 61),
    "earlyrelay": (1, 6),
    "idlerelay": (1, 6),
    "relaycounts": (1,),
    "skewrelay": (7, 22),
    "newest": (1, 2, 4),
    "norelay": (5, 6, 16, 20),
    "nodeadline": (0, 2, 4),
    "hash": (3, 5, 6),
    "requester": (55, 89, 61),
    "laxest": (28, 92),
    "anyone": (15, 39),
    "veto": (50, 4, 62),
    "lateyes": (62, 108),
    "half": (61, 126, 130),
    "strongest": (36, 44, 79),
    "usurp": (2, 123, 92),
    "earlyseal": (96, 238, 77, 229),
    "believed": (26, 7, 12),
    "unproven": (203, 10, 7),
    "onename": (113, 217, 256),
    "lossyfold": (1, 3),
    "noheads": (0, 1),
    "ownretry": (0, 1, 2),
}


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_world_with_a_forger_of_snapshots_breaks_and_heals(seed: int) -> None:
    """A founder was away until the log was gone; another one forges what it offers."""
    world = run(seed, sleeper="c", rogue="a")
    assert world.step_no > 400
    assert not world.stat["alarm_snapshot_disputed"]


@pytest.mark.parametrize("seed", range(EVERYDAY))
def test_a_world_breaks_and_heals(seed: int) -> None:
    world = run(seed)
    assert world.step_no > 400
    assert world.stat["minted"] > 0


def test_documents_are_edited_from_all_sides_while_the_world_breaks() -> None:
    """After healing each is one on all members: every edit once, and nothing that nobody wrote."""
    met: Counter[str] = Counter()
    for seed in range(6):
        met += run(seed, documents=True).stat
    assert met["document_tokens"] > 100
    assert met["document_folds"] > 5
    assert met["document_retries"] > 5
    assert met["documents_judged"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1_000, 2_000, 100))
def test_many_more_worlds_of_documents(first: int) -> None:
    for seed in range(first, first + 100):
        try:
            run(seed, documents=True, sleeper="c" if seed % 3 == 0 else "")
        except Broken as broken:
            again = f"--first {seed} --seeds 1 --documents"
            again += " --sleeper c" if seed % 3 == 0 else ""
            pytest.fail(f"python -m tests.simulation {again}: {broken.args}")


def test_who_was_away_while_logs_were_cut_comes_level_by_snapshots() -> None:
    met: Counter[str] = Counter()
    for seed in range(12):
        met += run(seed, sleeper="abc"[seed % 3]).stat
    assert met["truncated"] > 0
    assert met["snapshot_joins"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1_000, 1_500, 50))
def test_many_more_worlds(first: int) -> None:
    for seed in range(first, first + 50):
        try:
            run(seed)
        except Broken as broken:
            pytest.fail(f"python -m tests.simulation --first {seed} --seeds 1: {broken.args}")


@pytest.mark.thorough
def test_together_the_seeds_meet_every_fault() -> None:
    """A simulator that stopped crashing, cutting or restoring would be clean for ever."""
    met: Counter[str] = Counter()
    for seed in range(60):
        world = World(seed)
        for _ in range(400):
            world.step()
        met += world.stat
    assert FAULTS - set(met) <= {"added_again"}, "never drawn any more"


def test_equal_seeds_tell_one_story() -> None:
    traces = [run(seed, steps=150).trace for seed in (3, 3, 4)]
    assert traces[0] == traces[1] != traces[2]


@pytest.mark.parametrize("bug", NAMES)
def test_every_planted_bug_is_caught(bug: str) -> None:
    hinted = (caught_by(bug, 1, seed) for seed in LAST_CAUGHT.get(bug, (0,)))
    found = next(filter(None, hinted), None) or caught_by(bug, CONTROL_SEEDS)
    assert found is not None, f"the checks sleep: {meaning(bug)}"


def test_a_control_leaves_no_trace() -> None:
    before = run(5, steps=60).trace
    for bug in NAMES:
        with planted(bug):
            pass
    assert run(5, steps=60).trace == before


# --- a join at equal clocks ------------------------------------------------------


def test_the_beat_stops_a_pair_that_differs_at_equal_clocks() -> None:
    world, sick, healthy, key = damaged_pair(2)
    before = sessions(world)
    meet(world, sick, healthy)
    assert world.stat["alarm_digest_mismatch"] >= 2
    for name, other in ((sick, healthy), (healthy, sick)):
        process = world.procs[name]
        assert process.exchange.peers[process.links[other]].stopped
        assert not process.exchange.catchup.running
    assert sessions(world) == before, "nobody may ask, so nothing can be joined"
    assert key not in world.disks[sick].records
    assert key in world.disks[healthy].records
    look_at(world, healthy)


def test_a_damaged_disk_is_seen_by_the_checks() -> None:
    world, sick, _, _ = damaged_pair(2)
    with pytest.raises(Broken, match="I1"):
        look_at(world, sick)


def test_joining_at_equal_clocks_anyway_is_caught() -> None:
    world, sick, healthy, key = damaged_pair(2)
    look_at(world, healthy)
    force_join(world, healthy, sick)
    assert key not in world.disks[healthy].records, "the damage became a deletion"
    with pytest.raises(Broken, match="I1"):
        look_at(world, healthy)


# --- the command -----------------------------------------------------------------


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_command_prints_seeds_steps_and_faults_by_kind() -> None:
    done = command("--seeds", "2", "--first", "14", "--steps", "300")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 seeds from 14" in done.stdout
    assert "steps" in done.stdout
    for fault in ("faults:", "crash", "cut", "truncated", "snapshot_joins"):
        assert fault in done.stdout


def test_its_json_is_one_object() -> None:
    done = command("--seeds", "1", "--steps", "60", "--json")
    facts = json.loads(done.stdout)
    assert (facts["seeds"], done.returncode) == (1, 0)
    assert facts["steps"] > 60


def test_a_breach_fails_with_the_one_line_that_replays_it() -> None:
    done = command("--seeds", "3", "--bug", "claim")
    assert done.returncode == 1
    assert "BROKEN" in done.stdout
    (replay,) = [line for line in done.stdout.splitlines() if line.startswith("replay: ")]
    words = replay.removeprefix("replay: ").split()
    assert words[:3] == ["python", "-m", "tests.simulation"]
    again = command(*words[3:])
    assert (again.returncode, replay in again.stdout) == (1, True)
