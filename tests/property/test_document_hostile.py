"""Hostile changes and packs: refused with a typed error, at little cost, and nothing is applied."""

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.property.document_hostile import KINDS

ROOT = Path(__file__).parents[2]
GROWN_KIB_MAX = 64 * 1024
REFUSED = {
    "ChangeError",
    "MissingChangesError",
    "DocumentTooLargeError",
    "TooManyRowsError",
    *("rival", "unreadable", "too_large", "beyond_bounds", "missing", "leap", "refused"),
    *("misnamed", "known"),
}


def fed(seed: int, count: int) -> dict[str, Any]:
    """What became of so many hostile inputs, in a process with little memory."""
    print(f"seed {seed}")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tests.property.document_hostile", str(seed), str(count)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert not done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def check(told: dict[str, Any], count: int) -> None:
    print(told["grown_kib"], "KiB;", told["door"])
    assert told["grown_kib"] < GROWN_KIB_MAX
    door: Counter[str] = Counter()
    for each in ("door", "record"):
        ways = Counter[str]()
        for words, times in told[each].items():
            kind, _, way = words.partition(": ")
            ways[way] += times
            # Changed bytes may make another change that is as good as any; nothing else may.
            assert way in REFUSED or (way == "taken" and kind in {"mutated", "deflated_mutation"})
        assert ways["taken"] <= count // 100
        door = door or ways
    assert sum(door.values()) == count
    assert min(door["ChangeError"], door["MissingChangesError"], door["DocumentTooLargeError"])


@pytest.mark.thorough
def test_three_hundred_hostile_inputs() -> None:
    check(fed(random.randrange(2**32), 300), 300)


@pytest.mark.thorough
def test_ten_thousand_hostile_inputs() -> None:
    told = fed(8, 10_000)
    check(told, 10_000)
    assert told["kinds"].keys() == KINDS
