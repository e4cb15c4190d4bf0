"""What is wrong between members: planted in a mesh, found on the right node, mended as printed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.rig import RealNode, cleaned_up, free_ports, until, until_linked
from tests.integration.rig_commands import mnemesh, told
from tests.integration.rig_doctor import Ward, change, configure, hup, note_backup, restart
from tests.integration.rig_mesh import founded, list_of, start_all
from transport import allowlist

pytestmark = [pytest.mark.integration, pytest.mark.slow]

_OTHER_VERSION = (
    "import node; node.__version__ = '0.0.9'; "
    "import node.doctor.running as r; r.__version__ = '0.0.9'; "
    "from node.cli import main; main()"
)
ONE_MORE = ("quorum", "warning", "the loss of one more stops writes")


@pytest.fixture(scope="module")
def _mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("members")
    nodes = founded(folder / "mesh", 3)
    with cleaned_up(nodes):
        start_all(nodes)
        for node in nodes:
            note_backup(node)
        yield Ward(nodes={node.name: node for node in nodes}, looked=nodes[0], folder=folder)


@pytest.fixture
def ward(_mesh: Ward) -> Ward:
    """A mesh of three that is well, asked on node-1."""
    until_linked([*_mesh.nodes.values()])
    _mesh.settle()
    return _mesh


def test_a_member_that_this_node_does_not_allow(ward: Ward) -> None:
    two = ward.nodes["node-2"]
    told("node", "deny", two.fingerprint, node=ward.looked)
    wanted = ("allowlist", "warning", "node-2 is a member and its certificate is not")
    fix, _ = ward.expect([wanted, ONE_MORE])
    ward.follow(fix)
    ward.expect_well()


def test_nobody_is_allowed(ward: Ward) -> None:
    for node in ward.nodes.values():
        told("node", "deny", node.fingerprint, node=ward.looked)
    wanted = ("allowlist", "critical", "the allowlist is empty, and node-2, node-3 cannot link")
    fix, _ = ward.expect([wanted, ("quorum", "critical", "writes are not confirmed")])
    ward.follow(fix)
    ward.expect_well()
    allowlist.add(list_of(ward.looked), ward.looked.fingerprint, ward.looked.name)
    hup(ward.looked)


def test_a_member_that_does_not_allow_this_node(ward: Ward) -> None:
    told("node", "deny", ward.looked.fingerprint, node=ward.nodes["node-2"])
    wanted = ("peers", "warning", "node-2 does not let this node in")
    fix, _ = ward.expect([wanted, ONE_MORE])
    ward.follow(fix)
    ward.expect_well()


def test_a_member_that_is_away_and_one_that_only_the_others_see(ward: Ward) -> None:
    three = ward.nodes["node-3"]
    three.kill()
    ward.expect([("peers", "warning", "node-3 is not linked, nobody answers at"), ONE_MORE])
    three.start()
    ward.expect_well()
    restart(three)  # forgets that it was killed
    # Cut on one side: it may not come here, and the third member still sees it.
    told("node", "deny", three.fingerprint, node=ward.looked)
    told("node", "deny", ward.looked.fingerprint, node=three)
    until(lambda: "node-3" not in ward.looked.links(), "the cut is made")
    told("node", "allow", three.fingerprint, "--name", "node-3", node=ward.looked)
    new = ward.expect([("peers", "warning", "node-3"), ONE_MORE])
    ward.follow(new[0])
    ward.expect_well()


def test_no_quorum_in_reach(ward: Ward) -> None:
    gone = [ward.nodes["node-2"], ward.nodes["node-3"]]
    for node in gone:
        node.stop()
    away = [("peers", "warning", f"{node.name} is not linked") for node in gone]
    ward.expect([*away, ("quorum", "critical", "1 of 3 members in reach, a write needs 2")])
    for node in gone:
        node.start()
    ward.expect_well()


def test_one_disk_confirms_alone(ward: Ward) -> None:
    for node in ward.nodes.values():
        configure(node, "quorum", "writes", "1")
    (fix,) = ward.expect([("quorum", "warning", "a confirmed write may be lost")])
    for node in [*ward.nodes.values()][1:]:
        configure(node, "quorum", "writes", None)
    ward.follow(fix)
    ward.expect_well()


def test_more_members_are_wanted_than_there_are(ward: Ward) -> None:
    configure(ward.looked, "quorum", "writes", "4")
    fix, _ = ward.expect(
        [
            ("quorum", "critical", "a write needs 4 members and the mesh has 3"),
            ("peers", "warning", "quorum.writes is 4 here and the majority on node-2 and node-3"),
        ]
    )
    ward.follow(fix)
    ward.expect_well()


def test_settings_that_differ(ward: Ward) -> None:
    two = ward.nodes["node-2"]
    configure(two, "quorum", "writes", "1")
    ward.expect([("peers", "warning", "quorum.writes is the majority here and 1 on node-2")])
    configure(two, "quorum", "writes", None)
    ward.expect_well()
    configure(ward.looked, "quorum", "timeout_ms", "2600")
    (fix,) = ward.expect([("peers", "info", "quorum.timeout_ms is 2600 here and 2000 on")])
    ward.follow(fix)
    ward.expect_well()
    config = ward.looked.data_dir / "config.toml"
    restart(ward.looked, lambda: change(config, "limits", "bundle_ops_max", "512"))
    (fix,) = ward.expect([("peers", "warning", "limits.bundle_ops_max is 512 here")])
    ward.follow(fix)
    ward.expect_well()


def test_a_member_that_does_not_enforce(ward: Ward) -> None:
    two = ward.nodes["node-2"]
    configure(two, "permissions", "mode", '"advisory"')
    ward.expect([("governance", "critical", "node-2 does not enforce policies")])
    there = Ward(nodes=ward.nodes, looked=two, folder=ward.folder)
    there.usual = {found for found, _ in there.new() if found[1] == "info"}
    (fix,) = there.expect([("governance", "critical", "permissions.mode is advisory")])
    there.follow(fix)
    there.expect_well()
    ward.expect_well()


def test_another_version(ward: Ward) -> None:
    two = ward.nodes["node-2"]
    usual, two.launch = two.launch, ("-P", "-c", _OTHER_VERSION)
    restart(two)
    ward.expect([("peers", "warning", "node-2 runs version 0.0.9")])
    two.launch = usual
    restart(two)
    ward.expect_well()


def test_clocks_that_differ(ward: Ward, tmp_path: Path) -> None:
    two = ward.nodes["node-2"]
    (tmp_path / "clock").write_text("3500")
    two.environment["MNEMESH_FAULTS"] = str(tmp_path)
    restart(two)
    ward.expect([("peers", "warning", "the clock of node-2 is off by +3.5 s")])
    (tmp_path / "clock").write_text("60000")
    del two.environment["MNEMESH_FAULTS"]
    restart(two)
    ward.expect_well()


def test_a_clock_that_the_mesh_does_not_believe(ward: Ward, tmp_path: Path) -> None:
    one = ward.looked
    (tmp_path / "clock").write_text("20000")
    one.environment["MNEMESH_FAULTS"] = str(tmp_path)
    restart(one)
    ward.expect(
        [
            ("node", "critical", "fails by order"),
            ("time", "critical", "it takes no writes"),
            ("peers", "critical", "the clock of node-2"),
            ("peers", "critical", "the clock of node-3"),
        ]
    )
    del one.environment["MNEMESH_FAULTS"]
    restart(one)
    ward.expect_well()


def test_a_copied_folder_runs_beside_its_original(ward: Ward, tmp_path: Path) -> None:
    three = ward.nodes["node-3"]
    copied = tmp_path / "node-3"
    three.stop()
    shutil.copytree(three.data_dir, copied)
    three.start()
    until_linked([*ward.nodes.values()])
    peer, agent = free_ports(2)
    flags = [*three.flags]
    flags[flags.index("--port") + 1] = str(peer)
    flags[flags.index("--agent-listen") + 1] = f"127.0.0.1:{agent}"
    twin = RealNode(name="twin", data_dir=copied, flags=flags, agent=("127.0.0.1", agent))
    try:
        twin.start()
        ward.expect([("peers", "critical", "another process runs with the identity")])
        twin.stop()
    finally:
        twin.clean_up()
    ward.expect_well(seconds=40.0)


def test_an_address_of_another_member_that_leads_here(tmp_path: Path) -> None:
    one, _ = founded(tmp_path / "mesh", 2)
    at = one.flags.index("--quorum-peers") + 1
    one.flags[at] = one.url.replace("127.0.0.1", "localhost")
    ward = Ward(nodes={}, looked=one, folder=tmp_path)
    try:
        one.start()
        note_backup(one)
        wanted = ("peers", "warning", "an address of another member leads to this very node")
        until(lambda: any(_is(found, wanted) for found, _ in ward.new()), "told", seen=ward.new)
    finally:
        one.clean_up()


def _is(found: tuple[str, str, str], wanted: tuple[str, str, str]) -> bool:
    return found[:2] == wanted[:2] and wanted[2] in found[2]


def test_a_mesh_of_two_tolerates_none(ward: Ward) -> None:
    """The last one: it takes a member away for good."""
    three = ward.nodes["node-3"]
    ran = mnemesh("node", "remove", "node-3", "--yes", node=ward.looked)
    assert ran.code == 0, ran
    three.stop()
    ward.expect(
        [
            ("quorum", "info", "the loss of any one stops writes"),
            ("allowlist", "info", "node-3 may connect and is no member"),
        ]
    )
    fix = next(fix for (section, _, _), fix in ward.new() if section == "allowlist")
    ward.follow(fix)
    ward.expect([("quorum", "info", "the loss of any one stops writes")])
    assert mnemesh("doctor", node=ward.looked).code == 0
