"""Every cycle in which a campaign found a bug, played again by its seed.

Law: the table of the track record is the list; a row that is added is played. Seed and class decide
fault, workload and choices; the schedule of a real machine is not decided, so each row names
tests of the cause as well.
"""

from pathlib import Path

import pytest

from tests.architecture.track_record import Replay, replays
from tests.integration.rig_rooms import Harness, needs_room

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@needs_room
@pytest.mark.parametrize("replay", replays(), ids=lambda replay: f"{replay.code}-{replay.seed}")
def test_what_a_campaign_found_stays_found(replay: Replay, tmp_path: Path) -> None:
    with Harness(tmp_path / "campaign", *replay.words) as harness:
        code = harness.ended()
        told = [(row["class"], row["verdict"], row["why"]) for row in harness.rows("verdict")]
        assert told == [(replay.code, "pass", "")], harness.said.read_text()
        assert code == 0, harness.said.read_text()
