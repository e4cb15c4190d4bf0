"""The commands of governance, from one node's shell to the whole mesh."""

import json
from pathlib import Path

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import check_equal, until
from tests.integration.rig_commands import mnemesh
from tests.integration.rig_governance import known, standard, statuses, until_status

pytestmark = pytest.mark.integration


@pytest.mark.thorough
def test_a_person_governs_a_mesh_from_shells(found: Found) -> None:
    one, two, three = nodes = found(3)
    for agent, kind in (("hana", "human"), ("bob", "ai:model")):
        ran = mnemesh("agent", "register", "--agent-id", agent, "--type", kind, "--json", node=one)
        assert (ran.code, ran.json["agent_id"]) == (0, agent)
    until(lambda: known(two) >= {"hana", "bob"}, "they are known elsewhere")
    ran = mnemesh(
        "namespace", "set-standard", "--namespace", "team", "--governance",
        '{"write": "approve"}', "--agent-id", "ann", "--json", node=one,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.json["governance"]["approver"] == "human"
    until(lambda: two.tell("GET", standard("team"))["count"] == 1, "the policy is known elsewhere")
    asked = mnemesh("store", "T", "C", "-n", "team", "--agent-id", "bob", "--json", node=two)
    action, memory = asked.json["pending_id"], asked.json["id"]
    until_status(nodes, action, "pending")
    listed = mnemesh("pending", "list", "--status", "pending", "--json", node=three).json
    assert [one["id"] for one in listed["pending"]] == [action]
    own = mnemesh("pending", "approve", action, "--agent-id", "bob", "--json", node=three)
    assert (own.code, own.json["error"]) == (4, "self_approval")
    done = mnemesh("pending", "approve", action, "--agent-id", "hana", "--json", node=three)
    assert (done.code, done.json["executed"]) == (0, True)
    until(lambda: statuses(nodes, memory) == [200] * 3, "it shows everywhere")
    late = mnemesh("pending", "reject", action, "--agent-id", "hana", node=one)
    assert (late.code, "already_decided" in late.err) == (1, True)
    cleared = mnemesh(
        "namespace", "clear-standard", "-n", "team", "--agent-id", "ann", "--json", node=two
    )
    assert cleared.json["cleared"] is True
    check_equal(nodes)


@pytest.mark.slow
def test_governance_goes_from_one_mesh_to_another_in_a_file(found: Found, tmp_path: Path) -> None:
    (here,), (there, other) = found(1), found(2)
    file = tmp_path / "governance.json"
    for agent, kind in (("hana", "human"), ("ai:judge", "ai:model")):
        here.tell("POST", "/agents", {"agent_id": agent, "agent_type": kind})
    for space, rules in (
        ("*", {"delete": "deny"}),
        ("team", {"write": "approve", "approver": {"agent": "ai:judge"}}),
        ("team/open", {"inherit": True, "write": "any"}),
    ):
        body = {"governance": rules, **({"parent": "*"} if space == "team/open" else {})}
        here.tell("POST", standard(space), body, x_agent_id="ops")
    role = {"role": "team-admin", "namespaces": ["team"]}
    here.tell("POST", "/agents/tina/role", role, x_agent_id="ops")
    here.tell("POST", "/agents/ops/role", {"role": "system-admin"}, x_agent_id="ops")
    assert mnemesh("governance", "export", file, node=here).code == 0
    assert len(json.loads(file.read_text(encoding="utf-8"))["policies"]) == 3

    dry = mnemesh("governance", "import", file, "--dry-run", "--json", node=there)
    assert len(dry.json["changes"]) == 7
    assert there.tell("GET", "/agents")["count"] == 0, "a dry run changes nothing"
    ran = mnemesh("governance", "import", file, "--agent-id", "ops", "--json", node=there)
    assert (ran.code, ran.json["applied"]) == (0, 7), ran.err
    again = mnemesh("governance", "import", file, "--agent-id", "ops", node=there)
    assert (again.code, again.out.strip()) == (0, "nothing to do")
    back = tmp_path / "back.json"
    until(lambda: len(other.tell("GET", "/agents")["roles"]) == 2, "it is known on both")
    mnemesh("governance", "export", back, node=other)
    assert json.loads(back.read_text(encoding="utf-8")) == json.loads(
        file.read_text(encoding="utf-8")
    )
    chain = other.tell("GET", f"{standard('team/open')}?inherit=true")["chain"]
    assert chain == ["*", "team/open"]

    here.tell("DELETE", standard("team"), x_agent_id="ops")
    mnemesh("governance", "export", file, node=here)
    kept = mnemesh("governance", "import", file, "--agent-id", "ops", node=there)
    assert kept.out.strip() == "nothing to do", "what only the node has stays"
    denied = mnemesh("governance", "import", back, "--agent-id", "eve", node=here)
    assert denied.code == 4
    assert "governance_denied" in denied.err
