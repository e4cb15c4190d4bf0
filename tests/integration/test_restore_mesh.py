"""Members that come back from a backup: they pull before they write, and forget nothing said."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import SHARED_TIMEOUT_MS
from tests.integration.rig import (
    RealNode,
    check_equal,
    cleaned_up,
    content_hash,
    until,
    until_level,
    until_linked,
)
from tests.integration.rig_commands import mnemesh, newcomer, told
from tests.integration.rig_mesh import cut, founded, heal, start_all

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def _mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    flags = ("--quorum-timeout-ms", str(SHARED_TIMEOUT_MS))
    nodes = founded(tmp_path_factory.mktemp("restored"), 3, flags=flags)
    with cleaned_up(nodes):
        start_all(nodes)
        yield nodes


@pytest.fixture
def nodes(_mesh: list[RealNode]) -> Iterator[list[RealNode]]:
    """Three linked members; whatever a test stops runs again after it."""
    yield _mesh
    for node in _mesh:
        if node.process is None:
            node.start()
        heal(node, [other for other in _mesh if other is not node])
    until_linked(_mesh)
    until(lambda: all(writes(node) for node in _mesh), "all take writes")


def writes(node: RealNode) -> bool:
    return node.ask("POST", "/memories", {"title": "probe", "content": "probe"}).status == 201


def refusal(node: RealNode, method: str = "POST", path: str = "/memories", body: Any = None) -> str:
    """Why a change is refused; its status must be that of a node that is not ready for it."""
    reply = node.ask(method, path, body or {"title": "too early", "content": "text"})
    assert reply.status == 503, reply.body
    return str(reply.body["error"])


def stored(node: RealNode, count: int) -> dict[str, str]:
    made = {}
    for number in range(count):
        answer = node.store(f"by {node.name} {number}")
        memory = node.get(answer["id"])
        made[answer["id"]] = content_hash(memory)
    return made


def backup(node: RealNode, folder: Path) -> Any:
    return told("backup", "--to", folder, node=node)


def restore(node: RealNode, folder: Path, *options: str) -> Any:
    return told("restore", "--from", folder, "--yes", *options, node=node)


def actors(node: RealNode) -> set[str]:
    return set(node.mesh()["clock"])


def test_a_restored_member_pulls_before_it_writes(nodes: list[RealNode], tmp_path: Path) -> None:
    one, _, three = nodes
    gone = stored(one, 3)
    kept = stored(three, 3)
    until_level(nodes)
    made = backup(three, tmp_path)
    for ident in gone:
        one.tell("DELETE", f"/memories/{ident}")
    kept |= stored(three, 4) | stored(one, 2)
    until_level(nodes)
    before = actors(three)
    refused = mnemesh("restore", "--from", tmp_path, "--yes", node=three)
    assert refused.code == 4, "it runs"
    three.stop()
    done = restore(three, tmp_path)
    assert (done["backup"], done["verified"]) == (made["id"], True)
    cut(three, nodes[:2])
    three.start()
    # Alone it shows what it had, says what it is, and mints nothing for anybody.
    assert set(three.held()) >= set(gone)
    assert not set(kept) <= set(three.held())
    assert refusal(three) == "recovering"
    agent = {"agent_id": "ai:new", "agent_type": "system"}
    assert refusal(three, "POST", "/agents", agent) == "recovering"
    assert three.ask("GET", "/readyz").status == 200
    assert done["backup"] in str(told("status", node=three)["recovering"])
    three.kill()
    three.start()
    assert refusal(three) == "recovering", "a restart changes nothing"
    assert actors(three) <= before
    heal(three, nodes[:2])
    until_linked(nodes)
    until(lambda: writes(three), "it has pulled", seen=three.tail)
    fresh = three.store("after the restore")
    assert str(fresh["durability"]["dot"]).rpartition(":")[0] not in before, "an actor was reused"
    check_equal(nodes, kept)
    for node in nodes:
        assert not set(gone) & set(node.held()), f"{node.name} shows what was deleted"
    assert not (three.data_dir / "recovering.json").exists()
    assert [event["how"] for event in three.events("store_recovered")] == ["pulled"]
    chain = mnemesh("audit", "tail", "--json", node=three).out.splitlines()
    entries = [entry for entry in map(json.loads, chain) if entry["event"] == "restored"]
    assert [entry["facts"]["backup"] for entry in entries] == [made["id"]]


def test_all_members_restored_at_once_join_their_states(
    nodes: list[RealNode], tmp_path: Path
) -> None:
    promised = stored(nodes[0], 5)
    until_level(nodes)
    for node in nodes:
        backup(node, tmp_path / node.name)
        promised |= stored(node, 2)  # the later the backup, the more is in it
        until_level(nodes)
    backup(nodes[2], tmp_path / "node-3")
    lost = stored(nodes[1], 2)
    for node in nodes:
        node.stop()
        restore(node, tmp_path / node.name)
    nodes[0].start()
    nodes[1].start()
    until(lambda: nodes[1].name in nodes[0].links(), "two are linked")
    assert refusal(nodes[0]) == refusal(nodes[1]) == "recovering", "the third may know more"
    nodes[2].start()
    until_linked(nodes)
    until(lambda: all(writes(node) for node in nodes), "they come up", seen=nodes[0].tail)
    check_equal(nodes, promised)
    assert not set(lost) & set(nodes[0].held())
    ways = [node.events("store_recovered")[-1]["how"] for node in nodes]
    assert "joined" in ways


def test_an_operator_may_say_that_there_is_nobody_to_pull_from(
    nodes: list[RealNode], tmp_path: Path
) -> None:
    promised = stored(nodes[0], 2)
    until_level(nodes)
    backup(nodes[0], tmp_path)
    for node in nodes:
        node.stop()
    restore(nodes[0], tmp_path, "--as-founder")
    nodes[0].start()
    assert refusal(nodes[0]) == "quorum_not_met", "it minted, and W is what it was"
    nodes[0].stop()
    restore(nodes[0], tmp_path)
    nodes[0].start()
    assert refusal(nodes[0]) == "recovering"
    nodes[0].stop()
    assert told("restore", "--as-founder", node=nodes[0])["was_recovering"]
    nodes[0].start()
    assert refusal(nodes[0]) == "quorum_not_met"
    for node in nodes[1:]:
        node.start()
    until_linked(nodes)
    check_equal(nodes, promised)


def test_a_store_under_another_key_is_read_and_comes_back_as_a_new_member(tmp_path: Path) -> None:
    """Without the key of its node a backup writes nothing, until its mesh took that node in."""
    first, second = newcomer(tmp_path, "a"), newcomer(tmp_path, "b")
    replacement, alien = newcomer(tmp_path, "c"), newcomer(tmp_path, "d")
    with cleaned_up((first, second, replacement, alien)):
        first.start()
        until(first.ready, "a serves")
        join(first, second)
        kept, gone = stored(second, 3), stored(second, 2)
        backup(second, tmp_path / "kept")
        until_level([first, second])
        for ident in gone:
            first.tell("DELETE", f"/memories/{ident}")
        second.kill()
        told("node", "remove", "b", "--force", "--yes", node=first)
        kept |= stored(first, 2)
        refused = mnemesh("restore", "--from", tmp_path / "kept", "--yes", node=replacement)
        assert refused.code == 4, "it is a backup of another node"
        done = restore(replacement, tmp_path / "kept", "--of-another-node")
        assert any("mnemesh node join" in line for line in done["to_do"])
        replacement.start()
        assert set(gone) < set(replacement.held())
        assert refusal(replacement) == "recovering"
        before = actors(replacement)
        replacement.stop()
        # Another mesh does not take it, and has nobody more in it.
        alien.start()
        until(alien.ready, "d serves")
        alien.store("of another mesh")
        told("node", "allow", replacement.fingerprint, "--name", "c", node=alien)
        told("node", "allow", alien.fingerprint, "--name", "d", node=replacement)
        target = ("node", "join", alien.url, "--fingerprint", alien.fingerprint)
        ran = mnemesh(*target, node=replacement)
        assert (ran.code, "another mesh" in ran.err) == (4, True), ran
        assert [member["name"] for member in alien.mesh()["members"]] == ["d"]
        join(first, replacement)
        until(lambda: writes(replacement), "it has pulled", seen=replacement.tail)
        assert [event["how"] for event in replacement.events("store_recovered")] == ["pulled"]
        fresh = replacement.store("as a new member")
        assert str(fresh["durability"]["dot"]).rpartition(":")[0] not in before
        check_equal([first, replacement], kept)
        for node in (first, replacement):
            assert not set(gone) & set(node.held()), "what was deleted came back"
            assert told("verify", node=node)["chain_holds"]
        states = {"a": "self", "c": "ready"}
        until(lambda: standing(first) == states, "c counts", seen=lambda: standing(first))


def standing(node: RealNode) -> dict[str, str]:
    """Members by name, as a node sees them."""
    return {member["name"]: member["state"] for member in node.mesh()["members"]}


def join(sponsor: RealNode, newcomer: RealNode) -> None:
    """As an operator does, who starts the newcomer when it was admitted."""
    told("node", "allow", newcomer.fingerprint, "--name", newcomer.name, node=sponsor)
    told("node", "allow", sponsor.fingerprint, "--name", sponsor.name, node=newcomer)
    told("node", "join", sponsor.url, "--fingerprint", sponsor.fingerprint, node=newcomer)
    newcomer.start()
    until(lambda: newcomer.name in sponsor.links(), "they are linked", seen=newcomer.tail)
    until(newcomer.ready, f"{newcomer.name} serves")
