"""Beyond the story of the runbook of a lost quorum: of five members three are lost for good."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.lock import find_holder
from tests.architecture.docs_blocks import Block
from tests.architecture.docs_shell import Stage

LOST = ("node-3", "node-4", "node-5")

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as made:
        made.warm_up()
        yield made


def run(stage: Stage, text: str, **tags: str) -> str:
    """Commands as a reader types them; `shows` and `until` as in a document."""
    return stage.run(Block(document=__name__, line=1, language="sh", tags=tags, text=text))


def lose(stage: Stage) -> None:
    """Three machines burn: their processes and their disks are gone."""
    for node in LOST:
        folder = stage.folder / "here" / "work" / "mesh" / node
        holder = find_holder(folder / "lock")
        assert holder is not None
        os.kill(holder.pid, signal.SIGKILL)
        run(stage, f"rm -rf mesh/{node}")


def test_five_with_three_lost_go_on_as_three_of_which_two_are_there(stage: Stage) -> None:
    run(stage, "mnemesh mesh up --nodes 5 --dir mesh --base-port 9100")
    run(stage, "mnemesh store Kept Text --id kept --data-dir mesh/node-5", shows="needed 3")
    lose(stage)
    short = "mnemesh store Short Text --id short --data-dir mesh/node-1 2>&1 || echo code $?"
    assert "code 3" in run(stage, short)
    # One removal is not enough (three of four are needed), and a second one is.
    for node, held in (("node-3", "code 3"), ("node-4", "held by 2, needed 2")):
        run(stage, f"mnemesh node remove {node} --force --yes --data-dir mesh/node-1")
        run(
            stage,
            f"mnemesh store After-{node} Text --data-dir mesh/node-1 2>&1 || echo code $?",
            shows=held,
        )
    # What was confirmed before, and what was not, is on both survivors.
    for survivor in ("node-1", "node-2"):
        run(stage, f"mnemesh get kept --data-dir mesh/{survivor}", until="Text")
        run(stage, f"mnemesh get short --data-dir mesh/{survivor}", until="Text")
        run(stage, f"mnemesh verify --data-dir mesh/{survivor}", shows="everything holds")
    # The third that was not removed may still come back: it is a member.
    assert re.search(
        r"node-5 +member +away", run(stage, "mnemesh node list --data-dir mesh/node-1")
    )


def test_a_number_of_writes_that_was_set_stays_until_it_is_taken_out(stage: Stage) -> None:
    up = "mnemesh mesh up --nodes 5 --quorum-writes 3 --dir mesh --base-port 9100"
    run(stage, up)
    lose(stage)
    remove = "".join(
        f"mnemesh node remove {node} --force --yes --data-dir mesh/node-1\n" for node in LOST
    )
    run(stage, remove)
    again = "mnemesh store Again Text --data-dir mesh/node-1 2>&1 || echo code $?"
    run(stage, again, shows="code 3")
    doctor = "mnemesh doctor --section quorum --data-dir mesh/node-1 || echo code $?"
    assert "quorum-impossible" in run(stage, doctor)
    for survivor in ("node-1", "node-2"):
        config = stage.folder / "here" / "work" / "mesh" / survivor / "config.toml"
        kept = [
            line
            for line in config.read_text(encoding="utf-8").splitlines()
            if not re.match(r"writes\s*=", line)
        ]
        config.write_text("\n".join(kept) + "\n", encoding="utf-8")
        holder = find_holder(config.with_name("lock"))
        assert holder is not None
        os.kill(holder.pid, signal.SIGHUP)
    run(stage, again, until="held by 2, needed 2")
