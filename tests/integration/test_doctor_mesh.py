"""The doctor of real nodes: silent on a healthy mesh, loud about what is weakened."""

import signal
from typing import Any

import pytest

from node.errors import Exit
from node.settings.toml_file import write_config
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until, until_level
from tests.integration.rig_commands import mnemesh
from tests.integration.rig_doctor import note_backup

pytestmark = pytest.mark.integration

SWITCHES: list[tuple[str, str, str, object]] = [
    ("exposure", "federation", "require_signature", False),
    ("exposure", "federation", "require_nonce", False),
    ("governance", "permissions", "mode", "advisory"),
    ("governance", "permissions", "mode", "off"),
    ("governance", "governance", "fail_open_on_error", True),
]


def examined(node: RealNode) -> dict[str, list[dict[str, str]]]:
    """Findings by section, less what is well."""
    sections = node.tell("GET", "/doctor")["sections"]
    bad = {s["name"]: [f for f in s["findings"] if f["severity"] != "ok"] for s in sections}
    return {name: findings for name, findings in bad.items() if findings}


def severe(node: RealNode) -> list[tuple[str, str, str]]:
    """(section, severity, text) of everything worse than worth knowing."""
    return [
        (name, finding["severity"], finding["text"])
        for name, findings in examined(node).items()
        for finding in findings
        if finding["severity"] in {"warning", "critical"}
    ]


def backed_up(nodes: list[RealNode]) -> list[RealNode]:
    """The same nodes, each with a note of a backup."""
    for node in nodes:
        note_backup(node)
    return nodes


def configure(node: RealNode, **sections: dict[str, object]) -> None:
    """Write the configuration anew and have it read."""
    write_config(node.data_dir / "config.toml", sections)
    assert node.process is not None
    node.process.send_signal(signal.SIGHUP)


@pytest.mark.thorough
def test_a_healthy_mesh_of_three_is_well(found: Found) -> None:
    nodes = found(3)
    until_level(nodes)
    for node in nodes:
        (never,) = severe(node)
        assert never == ("backups", "warning", "this node was never backed up")
        note_backup(node)
        until(lambda node=node: not severe(node), "all is well", seen=lambda n=node: severe(n))
        ran = mnemesh("doctor", "--json", node=node)
        assert ran.code == 0, ran.out
        names = {section["name"] for section in ran.json["sections"]}
        assert {
            "node",
            "config",
            "identity",
            "allowlist",
            "peers",
            "quorum",
            "store",
            "backups",
            "host",
            "time",
            "governance",
            "pending",
            "exposure",
        } <= names
        # What the defaults leave open is worth knowing, and no more.
        words = [f["text"] for f in examined(node)["governance"]]
        assert len(words) == 1
        assert words[0].startswith("no system administrator was ever named")
        ran = mnemesh("doctor", node=node)
        assert (ran.code, ran.out) == (0, ""), "silent"


@pytest.mark.slow
def test_every_weakened_switch_is_told_everywhere_and_goes_with_a_reload(found: Found) -> None:
    one, two, three = nodes = backed_up(found(3))
    until_level(nodes)
    for section, part, key, value in SWITCHES:
        name = f"{part}.{key}"
        before = len(one.events("switch_weakened"))
        configure(one, **{part: {key: value}})
        until(lambda: severe(one), f"{name} is told", seen=lambda: severe(one))
        ((where, severity, text),) = severe(one)
        assert (where, severity) == (section, "critical")
        assert text.startswith(f"{name} is ")
        ran = mnemesh("doctor", node=one)
        assert ran.code == Exit.DOCTOR_CRITICAL
        assert name in ran.out
        gauge = "mnemesh_security_switch_weakened"
        assert one.metric(gauge, switch=name) == 1
        assert one.metric(gauge) == 1
        (line,) = one.events("switch_weakened")[before:]
        assert (line["level"], line["switch"]) == ("warning", name)
        if key == "mode":
            for other in (two, three):
                until(lambda other=other: severe(other), "the other members know")
                ((where, severity, text),) = severe(other)
                assert (where, severity) == ("governance", "critical")
                assert text.startswith("node-1 does not enforce")
        configure(one)
        for node in nodes:
            until(lambda node=node: not severe(node), "all is well", seen=lambda n=node: severe(n))
        assert one.metric(gauge) == 0
    assert mnemesh("doctor", node=one).code == 0


@pytest.mark.slow
def test_a_mode_that_the_mesh_refuses_is_told_and_not_taken(found: Found) -> None:
    admins: dict[str, Any] = {"admin": {"agent_ids": ["human:anna"]}}
    one, two, three = nodes = found(3, start=False, config=admins)
    write_config(three.data_dir / "config.toml", {})
    for node in nodes:
        node.spawn()
    backed_up(nodes)
    for node in nodes:
        node.wait_alive()
        until(node.ready, f"{node.name} serves")
    until_level(nodes)
    # Names an administrator: allowed. Names nobody: refused.
    configure(two, **admins, permissions={"mode": "advisory"})
    until(lambda: severe(one), "node-1 knows that node-2 is lax")
    assert "node-2 does not enforce" in severe(one)[0][2]
    configure(two, **admins)
    until(lambda: not severe(one), "node-2 enforces again")
    configure(three, permissions={"mode": "off"})
    until(lambda: three.events("mode_refused"), "the refusal is told")
    (line,) = three.events("mode_refused")
    assert (line["level"], line["mode"], line["reason"]) == ("warning", "off", "governance_denied")
    words = [text for _, severity, text in severe(three) if severity == "critical"]
    assert len(words) == 1, "what policies forbid is not written, so that is not told"
    assert "refuses the permissions.mode of this node, which goes on enforcing" in words[0]
    until_level(nodes)
    assert not severe(one)


@pytest.mark.slow
def test_faults_of_a_member_show_on_the_others(found: Found) -> None:
    one, two, three = nodes = backed_up(found(3))
    until_level(nodes)
    three.kill()
    until(lambda: one.links() == {"node-2"}, "node-3 is gone")
    held = severe(one)
    assert {(name, severity) for name, severity, _ in held} == {
        ("peers", "warning"),
        ("quorum", "warning"),
    }
    assert mnemesh("doctor", node=one).code == Exit.DOCTOR_WARNS
    stored = two.store("while it is away")
    assert stored["quorum_acks"] == 2
    until(lambda: "operations behind" in str(severe(two)), "what it lacks is told")
    # The metric and the view of the mesh say the same, for a member without a link too.
    (row,) = [m for m in two.mesh()["members"] if m["name"] == "node-3"]
    # What it held and had not told when it was killed counts as well.
    assert row["state"] == "away"
    assert row["lag_ops"] >= 1
    until(
        lambda: two.metric("mnemesh_replication_lag_ops", peer="node-3") == row["lag_ops"],
        "the metric follows",
    )
    two.kill()
    until(lambda: not one.links(), "node-1 is alone")
    assert ("quorum", "critical") in {(name, severity) for name, severity, _ in severe(one)}
    assert mnemesh("doctor", node=one).code == Exit.DOCTOR_CRITICAL
    offline = mnemesh("doctor", "--json", node=three)
    assert offline.code == Exit.UNREACHABLE
    assert {s["name"] for s in offline.json["sections"]} >= {"node", "config"}


def test_a_configuration_that_broke_and_a_key_that_opened_are_told(found: Found) -> None:
    (one,) = backed_up(found(1))
    until(one.ready, "it serves")
    assert not severe(one)
    config = one.data_dir / "config.toml"
    good = config.read_text()
    config.write_text(good + "\n[quorum]\nwrits = 3\n")
    ((name, severity, text),) = severe(one)
    assert (name, severity) == ("config", "critical")
    assert "writs" in text
    config.write_text(good)
    key = one.data_dir / "keys" / "node.key"
    key.chmod(0o644)
    ((name, severity, text),) = severe(one)
    assert (name, severity) == ("identity", "critical")
    assert "0644" in text
    key.chmod(0o600)
    assert not severe(one)
