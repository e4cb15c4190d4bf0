"""What nodes do by themselves about what is over: archive it, end it, and who does so."""

from typing import Final

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until, until_level, until_linked

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ALICE, BOB = "ai:alice", "ai:bob"
_SECONDS_PER_DAY: Final = 86_400


def often(**more: object) -> dict[str, dict[str, object]]:
    return {"storage": {"maintenance_interval_secs": 0.05, "archive_on_gc": True, **more}}


def archived(node: RealNode) -> dict[str, str]:
    rows = node.tell("GET", "/archive?limit=1000")["memories"]
    return {row["id"]: row["archive_reason"] for row in rows}


def shows(node: RealNode, ident: str) -> bool:
    return node.ask("GET", f"/memories/{ident}").status == 200


def brief(node: RealNode, title: str = "brief", secs: int = 1, **fields: object) -> str:
    body = {"title": title, "content": "words", "ttl_secs": secs, **fields}
    reply = node.ask("POST", "/memories", body, X_Agent_Id=ALICE)
    assert reply.status in {201, 503}
    return str(reply.body["id"])


def test_what_has_expired_goes_into_the_archive_by_itself(found: Found) -> None:
    (node,) = found(1, config=often())
    kept = node.store("kept", agent_id=ALICE)["id"]
    one, hidden = brief(node), brief(node, "hidden", scope="private")
    until(lambda: one in archived(node), "it is archived")
    assert archived(node)[one] == "expired"
    rows = node.tell("GET", "/archive", X_Agent_Id=ALICE)["memories"]
    until(
        lambda: (
            {r["id"] for r in node.tell("GET", "/archive", X_Agent_Id=ALICE)["memories"]}
            == {one, hidden}
        ),
        "the private one too",
        seen=lambda: rows,
    )
    assert hidden not in archived(node)
    assert shows(node, kept)
    # It gets the life of its tier anew when it is restored.
    back = node.tell("POST", f"/archive/{one}/restore", X_Agent_Id=ALICE)["memory"]
    assert (back["id"], back["tier"]) == (one, "mid")
    assert shows(node, one)


def test_what_was_archived_for_too_long_is_deleted_by_itself(found: Found) -> None:
    days = 1.5 / _SECONDS_PER_DAY
    (node,) = found(1, config=often(archive_on_gc=False, archive_max_days=days))
    one = node.store("one", agent_id=ALICE)["id"]
    kept = node.store("kept", agent_id=ALICE)["id"]
    node.tell("POST", f"/archive/{one}", {}, X_Agent_Id=ALICE)
    assert set(archived(node)) == {one}
    until(lambda: not archived(node), "it is gone")
    assert node.ask("POST", f"/archive/{one}/restore").status == 404
    assert shows(node, kept)


def test_without_a_wish_to_archive_the_expired_are_deleted(found: Found) -> None:
    (node,) = found(1, config=often(archive_on_gc=False))
    one = brief(node)
    until(lambda: not shows(node, one), "it is over")
    assert node.tell("POST", "/gc", X_Agent_Id=ALICE)["expired_deleted"] in {0, 1}
    assert archived(node) == {}


def test_the_expired_wait_for_the_node_that_made_them(found: Found) -> None:
    nodes = found(2, config=often(), flags=("--quorum-writes", "1"))
    owner, other = nodes
    one = brief(owner, secs=2)
    theirs = brief(other, secs=2)
    until_level(nodes)
    owner.kill()
    # Hidden at once on the other node, which ends its own alone.
    until(lambda: not shows(other, one), "it is over")
    until(lambda: theirs in archived(other), "its own is archived")
    rounds = other.metric("mnemesh_store_commits_total")
    second = brief(other, secs=1)
    until(lambda: second in archived(other), "further rounds were made", seen=lambda: rounds)
    assert one not in archived(other)
    owner.start()
    until_linked(nodes)
    until(lambda: one in archived(other), "its maker is back")
    until_level(nodes)
    assert archived(owner) == archived(other)


def test_another_node_ends_what_a_removed_member_made(found: Found) -> None:
    nodes = found(3, config=often())
    owner, *others = nodes
    one = brief(owner, secs=3)
    until_level(nodes)
    owner.kill()
    until(lambda: not shows(others[0], one), "it is over")
    others[0].tell("POST", "/mesh/remove", {"name": owner.name, "force": True})
    for node in others:
        until(lambda node=node: one in archived(node), "another one acts", seen=node.tail)
    until_level(others)
