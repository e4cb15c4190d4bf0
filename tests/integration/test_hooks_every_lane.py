"""Every lane that changes anything asks the hooks of its node, and a no is a no.

A real node runs with one hook for all writes, a script that refuses as long as a file is there.
Then every route of the table that changes something is asked, as for the one gate: each is
refused with the reason of the hook, and nothing is minted.
"""

from pathlib import Path

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until_level
from tests.integration.rig_lanes import NEW, OTHERWISE_ASKED, asked_by_every_lane, furnished
from tests.integration.rig_mcp import called
from tests.integration.rig_push import Pusher

REASON = "the hook is shut"
SCRIPT = """#!/bin/sh
cat >> {seen}
echo >> {seen}
test -e {shut} || exit 0
echo {reason}
exit 1
"""


def test_every_lane_asks_the_hooks(found: Found, tmp_path: Path) -> None:
    shut, seen, script = tmp_path / "shut", tmp_path / "seen", tmp_path / "hook.sh"
    script.write_text(SCRIPT.format(seen=seen, shut=shut, reason=REASON))
    script.chmod(0o755)
    hook = {"on": ["before_write"], "command": [str(script)], "timeout_ms": 10_000}
    node, other = found(2, config={"hooks": {"guard": hook}})
    until_level([node, other])
    told = node.tell("GET", "/capabilities")["hooks"]
    guard = {"name": "guard", "events": ["before_write"], "on_failure": "closed"}
    assert (told["enabled"], told["declared"]) == (True, [guard])
    assert "before_write" in told["events"]
    known = furnished(node)
    pusher = Pusher.enrolled(node, tmp_path / "peer")
    until_level([node, other])
    before = node.mesh()["clock"]
    shut.touch()
    for name, status, body in asked_by_every_lane(node, pusher, known):
        said = (status, body["error"])
        assert said == (403, "hook_refused"), f"{name} goes round the hooks: {said}"
        if name not in OTHERWISE_ASKED:
            assert (body["hook"], body["reason"]) == ("guard", REASON), name
    assert node.mesh()["clock"] == before, "something was minted behind the hooks"
    _many_are_one_run(node, pusher, seen)
    assert node.mesh()["clock"] == before, "something was minted behind the hooks"
    shut.unlink()
    assert node.store("open again")["id"]


def _many_are_one_run(node: RealNode, pusher: Pusher, seen: Path) -> None:
    """Ask for much at once, of a node whose hook refuses everything."""
    many = node.ask("POST", "/memories/bulk", [{**NEW, "title": str(n)} for n in range(1000)])
    assert many.status == 403
    runs = len(seen.read_text().splitlines())
    node.ask("POST", "/memories/bulk", [{**NEW, "title": str(n)} for n in range(1000)])
    assert len(seen.read_text().splitlines()) == runs + 1, "a thousand items are one run"
    runs += 1
    rows = [{**NEW, "id": f"pushed-{n}", "agent_id": f"ai:{n % 9}"} for n in range(200)]
    pushed = pusher.push({"memories": rows})["results"]
    assert {row["status"] for row in pushed} == {"refused"}
    assert len(seen.read_text().splitlines()) == runs + 1, "so are those of a push"
    said = called(node, "memory_store", {"title": "t", "content": "c"})
    assert said["isError"]
    assert REASON in str(said), said


pytestmark = [pytest.mark.integration, pytest.mark.slow]
