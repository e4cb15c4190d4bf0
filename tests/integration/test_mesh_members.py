"""Who may connect and who belongs: strangers, allowlists, removal and return."""

import http.client
import ssl
import time
from pathlib import Path

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, until, until_level, until_linked
from tests.integration.rig_mesh import Authority, Pair, list_of, self_signed
from transport import allowlist

pytestmark = [pytest.mark.integration, pytest.mark.thorough]


def knock(node: RealNode, pair: Pair | None, path: str = "/api/v1/health") -> int | None:
    """One request over mTLS; the status, or None when the door stays shut.

    A client of TLS 1.3 learns of its refusal at the first read, so that is where to look.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    host, _, port = node.url.removeprefix("https://").rpartition(":")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def own_pair(node: RealNode) -> Pair:
    flags = node.flags
    return Pair(
        certificate=Path(flags[flags.index("--tls-cert") + 1]),
        key=Path(flags[flags.index("--tls-key") + 1]),
    )


def test_a_stranger_is_refused_before_anything_is_read(
    shared_mesh: list[RealNode], tmp_path: Path
) -> None:
    one, two, _ = nodes = shared_mesh
    stranger = self_signed(tmp_path / "stranger", "stranger")
    before = one.metric("mnemesh_handshake_failures_total")
    # The control first: a member's certificate opens the door.
    assert knock(one, own_pair(two)) == 200
    assert knock(one, stranger) is None
    assert knock(one, None) is None
    until(
        lambda: one.metric("mnemesh_handshake_failures_total") >= before + 2,
        "refusals are counted",
    )
    assert one.store("undisturbed")["quorum_acks"] >= 2
    check_equal(nodes)


def test_a_certificate_of_the_right_authority_is_not_enough(found: Found, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    one, two = found(2, authority=authority)
    outsider = authority.issue("outsider")
    assert knock(one, own_pair(two)) == 200
    assert knock(one, outsider) is None
    allowlist.add(list_of(one), outsider.fingerprint)
    until(lambda: knock(one, outsider) == 200, "once it is on the list it may connect")
    # Whoever may connect is no member by that.
    assert one.mesh()["quorum"]["n"] == 2


def test_taking_a_peer_off_the_list_cuts_it_within_a_second(
    shared_mesh: list[RealNode],
) -> None:
    one, two, three = nodes = shared_mesh
    until_level(nodes)
    allowlist.remove(list_of(one), three.fingerprint)
    began = time.monotonic()
    until(lambda: one.links() == {"node-2"}, "the link ends although nobody sent a signal", 1.0)
    assert time.monotonic() - began < 1.0
    assert knock(one, own_pair(three)) is None
    # One side is enough, and only that pair is cut.
    assert two.links() == {"node-1", "node-3"}
    assert one.store("still a quorum")["quorum_acks"] == 2
    allowlist.add(list_of(one), three.fingerprint, "node-3")
    until_linked(nodes)
    check_equal(nodes)


def test_a_pair_that_cannot_talk_is_served_by_the_third(shared_mesh: list[RealNode]) -> None:
    one, _, three = nodes = shared_mesh
    allowlist.remove(list_of(one), three.fingerprint)
    allowlist.remove(list_of(three), one.fingerprint)
    until(lambda: one.links() == {"node-2"} and three.links() == {"node-2"}, "the pair is cut")
    ids = [one.store(f"relayed {n}")["id"] for n in range(20)]
    until(lambda: three.held().keys() >= set(ids), "node-3 has them through node-2")
    until_level(nodes)
    allowlist.add(list_of(one), three.fingerprint)
    allowlist.add(list_of(three), one.fingerprint)
    until_linked(nodes)
    check_equal(nodes)


def test_an_allowlist_that_cannot_be_read_leaves_the_old_one_in_force(
    shared_mesh: list[RealNode],
) -> None:
    one, two, _ = nodes = shared_mesh
    good = list_of(one).read_text()
    list_of(one).write_text(good + "this is no fingerprint\n")
    until(lambda: one.events("allowlist_refused"), "the mistake is told")
    assert f"line {good.count(chr(10)) + 1}" in one.events("allowlist_refused")[0]["error"]
    assert one.store("goes on")["quorum_acks"] >= 2
    assert two.links() == {"node-1", "node-3"}
    list_of(one).write_text(good)
    check_equal(nodes)


def test_a_removed_member_counts_no_more_and_cannot_link(found: Found) -> None:
    one, two, three = found(3)
    kept = three.store("from the one that leaves")["id"]
    until_level([one, two, three])
    gone = one.tell("POST", "/mesh/remove", {"node_id": "node-3"})
    assert gone["removed"] is True
    until(lambda: one.mesh()["quorum"] == {"n": 2, "w": 2}, "N is two")
    until(lambda: two.mesh()["quorum"] == {"n": 2, "w": 2}, "N is two on the other as well")
    until(lambda: not one.links() & {"node-3"} and not two.links() & {"node-3"}, "links end")
    for node in (one, two):
        until(
            lambda node=node: 'peer="node-3"' not in node.tell("GET", "/metrics"),
            f"no figure of {node.name} is about it any more",
            seen=lambda node=node: [
                x for x in node.tell("GET", "/metrics").splitlines() if "node-3" in x
            ],
        )
    # It is told so, and confirms nothing any more.
    three.kill()
    three.start()
    refused = three.ask("POST", "/memories", {"title": "too late", "content": "text"})
    # 403 once it has learned of its removal, 503 while it only finds nobody.
    assert refused.status in {403, 503}
    assert one.store("of the two")["durability"]["peers"] == ["node-2"]
    check_equal([one, two])
    assert two.get(kept)["title"] == "from the one that leaves"


def test_a_removal_needs_a_quorum_unless_it_is_forced(found: Found) -> None:
    one, two, three = found(3, flags=("--quorum-timeout-ms", "300"))
    two.kill()
    three.kill()
    until(lambda: not one.links(), "node-1 is alone")
    refused = one.ask("POST", "/mesh/remove", {"node_id": "node-3"})
    assert (refused.status, refused.body["error"]) == (503, "quorum_not_met")
    assert one.mesh()["quorum"]["n"] == 3
    one.tell("POST", "/mesh/remove", {"node_id": "node-3", "force": True})
    one.tell("POST", "/mesh/remove", {"node_id": "node-2", "force": True})
    assert one.mesh()["quorum"] == {"n": 1, "w": 1}
    assert one.store("alone by decision")["quorum_acks"] == 1
    unknown = one.ask("POST", "/mesh/remove", {"node_id": "node-9"})
    assert unknown.status == 404
