"""A member that lost its disk takes a snapshot and loses power at any moment of that (F22).

What it owes is what it acknowledged to others: once a write met a quorum that needed it, the
write and all that came before it are on its disk.
"""

import json
import os
import random
import signal
from pathlib import Path

import pytest

from chaos.power.cycle import judge
from chaos.power.disk import check_complete
from chaos.power.following import Follower
from chaos.power.promises import Promises, content_hash
from chaos.power.recording import SETTINGS, Recorded
from chaos.power.syscalls import missing, read_calls, trace_command
from chaos.power.writelog import Names
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, until, until_linked

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing() or "strace is there"),
]
LAUNCHER = """
import json, os, sys
command = json.loads(os.environ["TRACED_BY"])
os.execv(command[0], [*command, sys.executable, "-P", "-m", "node", *sys.argv[1:]])
"""


def trace(node: RealNode, file: Path) -> None:
    node.launch = ("-P", "-c", LAUNCHER)
    node.environment = {**node.environment, "TRACED_BY": json.dumps(trace_command(file, []))}


def stop_traced(node: RealNode) -> None:
    """Ask the node, not strace, to end."""
    assert node.process is not None
    children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
    for pid in children:
        os.kill(int(pid), signal.SIGTERM)
    assert node.process.wait(60) == 0
    node.process = None


def write(node: RealNode, promises: Promises, name: str, length: int) -> None:
    content = random.Random(name).randbytes(length // 2).hex()
    step = promises.sent(name, content_hash(name, content, []))
    told = node.store(name, content, id=name, tier="long")
    assert told["durability"]["acks"] >= 2
    promises.kept(step)


def test_power_loss_while_a_snapshot_is_adopted(found: Found, tmp_path: Path) -> None:
    nodes = found(3, start=False)
    for node in nodes:
        node.environment = dict(SETTINGS)
    first, second, third = nodes
    for node in (first, second):
        node.spawn()
    for node in (first, second):
        node.wait_alive()
    promises = Promises()
    until(lambda: first.ready() and second.ready(), "two of three serve")
    for number in range(60):
        write(first, promises, f"early-{number:03d}", 40_000)
    until(lambda: first.events("log_truncated"), "the log was cut", seen=first.tail)
    root, lines = third.data_dir, tmp_path / "trace"
    follower = Follower(root)
    trace(third, lines)
    third.spawn()
    third.wait_alive()
    until_linked(nodes)
    check_equal(nodes)
    second.stop()  # from here on a quorum needs the third
    for steps in promises.steps.values():
        for step in steps:
            step.kept_ns = None  # the third had promised nothing yet
    for number in range(30):
        write(first, promises, f"late-{number:03d}", 3_000)
        if not number:  # it came after all that the snapshot brought
            promises.kept(*(step for steps in promises.steps.values() for step in steps))
    stop_traced(third)
    follower.follow(read_calls(lines.read_text(errors="surrogateescape").splitlines()))
    log = follower.log
    made = [name for op in log.ops if isinstance(op.what, Names) for _, name, _ in op.what.sets]
    assert any(name.startswith("incoming-") for name in made), "it took a snapshot"
    recorded = Recorded(
        log=log, promises=promises, compared_bytes=check_complete(log), lines=0, seconds=0.0
    )
    result = judge(recorded, seed=45, count=300, data_dir="")
    print(result.data())
    assert result.ok, result.broken[:5]
    assert result.opened == result.images == 300
