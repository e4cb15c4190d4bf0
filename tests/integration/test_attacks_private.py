"""Attempts to get at what is private to somebody else, on real nodes."""

import base64
import hashlib
from collections.abc import Iterator

import pytest
from nacl.signing import SigningKey

from tests.integration.rig import RealNode, Reply, cleaned_up, until_level
from tests.integration.rig_governance import set_policy
from tests.integration.rig_mesh import founded, start_all

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

SECRET = "a-word-that-is-nobody-elses"  # noqa: S105 - a text to look for
ALICE, MALLORY, FRIEND = {"X_Agent_Id": "alice"}, {"X_Agent_Id": "mallory"}, {"X_Agent_Id": "fay"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    """Two nodes that keep private memories to themselves."""
    nodes = founded(tmp_path_factory.mktemp("attacks"), 2)
    with cleaned_up(nodes):
        start_all(nodes)
        yield nodes


def send(node: RealNode, key: SigningKey, nonce: str, body: bytes) -> Reply:
    """A write of the agent sig, signed by hand."""
    digest = hashlib.sha256(body).hexdigest()
    text = f"POST\n/api/v1/memories\n\n{digest}\n{nonce}"
    signature = base64.b64encode(key.sign(text.encode()).signature).decode()
    headers = {"x_agent_id": "sig", "x_agent_nonce": nonce, "x_agent_sig": f"ed25519={signature}"}
    return node.ask("POST", "/memories", body, **headers)


def keep(node: RealNode, ident: str, **fields: object) -> str:
    """A private memory of alice, opened to fay."""
    body = {"scope": "private", "agent_id": "alice", "id": ident, **fields}
    node.store(f"title {SECRET}", SECRET, **body)
    node.tell("POST", f"/memories/{ident}/grant", {"agent_id": "fay"}, **ALICE)
    return ident


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "", {"scope": "collective"}),
        ("PUT", "", {"scope": None}),
        ("PUT", "", {"content": "other words"}),
        ("PUT", "", {"namespace": "elsewhere"}),
        ("PUT", "", {"tier": "long"}),
        ("POST", "/promote", {"to_namespace": "elsewhere"}),
        ("POST", "/promote", {}),
        ("POST", "/grant", {"agent_id": "mallory"}),
        ("POST", "/revoke", {"agent_id": "fay"}),
        ("DELETE", "", None),
    ],
)
def test_who_was_let_in_sees_and_does_nothing_else(
    pair: list[RealNode], method: str, path: str, body: object
) -> None:
    node = pair[0]
    ident = "let-in"
    if node.ask("GET", f"/memories/{ident}", **ALICE).status == 404:
        keep(node, ident)
    before = node.tell("GET", f"/memories/{ident}", **FRIEND)["memory"]
    reply = node.ask(method, f"/memories/{ident}{path}", body, **FRIEND)
    assert (reply.status, reply.body["error"]) == (403, "owner_only"), reply.body
    after = node.tell("GET", f"/memories/{ident}", **FRIEND)["memory"]
    assert {**after, "access_count": 0, "last_accessed_at": 0} == {
        **before,
        "access_count": 0,
        "last_accessed_at": 0,
    }
    assert node.ask("GET", f"/memories/{ident}", **MALLORY).status == 404


def test_who_was_let_in_writes_over_nothing_by_its_title(pair: list[RealNode]) -> None:
    node = pair[0]
    ident = keep(node, "by-title")
    item = {"title": f"title {SECRET}", "content": "over it", "on_conflict": "update"}
    node.tell("DELETE", "/memories/let-in", **ALICE)  # the newest of that title is the other one
    reply = node.ask("POST", "/memories", {**item, "scope": "collective"}, **FRIEND)
    assert (reply.status, reply.body["error"]) == (403, "owner_only")
    many = node.ask("POST", "/memories/bulk", {"memories": [item]}, **FRIEND)
    assert many.status == 400, many.body
    assert node.tell("GET", f"/memories/{ident}", **ALICE)["memory"]["content"] == SECRET


def test_a_shared_memory_with_the_id_of_a_private_one_catches_no_words(
    pair: list[RealNode],
) -> None:
    """An id that somebody else takes on another node must not draw its author's writes to it."""
    one, two = pair
    ident = keep(one, "diary-of-alice")
    two.store("bait", "bait", id=ident, agent_id="mallory")
    until_level(pair)
    assert one.tell("GET", f"/memories/{ident}", **ALICE)["memory"]["content"] == SECRET
    assert one.tell("GET", f"/memories/{ident[:8]}", **ALICE)["memory"]["content"] == SECRET
    answer = one.tell("PUT", f"/memories/{ident}", {"content": f"more {SECRET}"}, **ALICE)
    assert answer["memory"]["content"] == f"more {SECRET}"
    one.tell("POST", f"/memories/{ident}/promote", {}, **ALICE)
    until_level(pair)
    for node in pair:
        seen = node.tell("GET", f"/memories/{ident}", **MALLORY)["memory"]
        assert (seen["content"], seen["tier"]) == ("bait", "mid")
        assert SECRET not in str(node.tell("GET", f"/memories/{ident}/history", **MALLORY))
    one.tell("DELETE", f"/memories/{ident}", **ALICE)
    assert one.tell("GET", f"/memories/{ident}", **ALICE)["memory"]["content"] == "bait"


def test_a_private_scope_is_no_way_round_a_policy_or_a_role(pair: list[RealNode]) -> None:
    node = pair[0]
    keep(node, "retained", namespace="closed")
    set_policy(node, "closed", write="deny", delete="deny")
    item = {"title": "t", "content": "c", "scope": "private", "namespace": "closed"}
    assert node.ask("POST", "/memories", item, **MALLORY).status == 403
    reply = node.ask("POST", "/memories/bulk", [item, {"title": "t", "content": "c"}], **MALLORY)
    assert (reply.status, [one["index"] for one in reply.body["errors"]]) == (207, [0])
    assert node.ask("PUT", "/memories/retained", {"content": "c"}, **ALICE).status == 403
    assert node.ask("DELETE", "/memories/retained", **ALICE).status == 403
    set_policy(node, "asks", write="approve")
    # Nobody could look at it, let alone vote; but it is not shared without a vote.
    made = node.tell("POST", "/memories", {**item, "namespace": "asks"}, **MALLORY)["id"]
    shared = node.ask("PUT", f"/memories/{made}", {"scope": "collective"}, **MALLORY)
    assert shared.status in {202, 403}, shared.body
    assert node.ask("GET", f"/memories/{made}", **FRIEND).status == 404


def test_nothing_about_a_private_memory_is_told_to_others(pair: list[RealNode]) -> None:
    node = pair[0]
    ident = keep(node, f"hidden-{SECRET}")
    public = node.store("public", agent_id="alice")["id"]
    link = {"source_id": public, "target_id": ident, "relation": "derived_from"}
    node.tell("POST", "/links", link, **ALICE)
    asked = (
        *(f"/memories/{ident}{tail}" for tail in ("", "/history", "/conflicts", "/lineage")),
        *(f"/memories/{public}{tail}" for tail in ("", "/history", "/lineage")),
        *(f"/links/{public}", f"/links/{ident}", "/memories/hidden-", "/memories?limit=1000"),
        *("/memories?agent_id=alice&limit=1000", "/export", "/pending", "/namespaces", "/agents"),
        *("/mesh", "/metrics", "/capabilities", "/quota", "/stats"),
    )
    for path in asked:
        for agent in ({}, MALLORY):
            reply = node.ask("GET", path, **agent)
            told = str(reply.body).replace(ident, "") if ident in path else str(reply.body)
            assert SECRET not in told, path
    for method, path, body in (
        ("PUT", f"/memories/{ident}", {"content": "c"}),
        ("DELETE", f"/memories/{ident}", None),
        ("POST", f"/memories/{ident}/promote", {}),
        ("POST", f"/memories/{ident}/grant", {"agent_id": "mallory"}),
        ("POST", "/links", {"source_id": public, "target_id": ident}),
        ("DELETE", "/links", link),
    ):
        reply = node.ask(method, path, body, **MALLORY)
        assert reply.status == 404, (method, path, reply.body)
        assert f"title {SECRET}" not in str(reply.body)


def test_a_signed_request_that_was_overheard_is_over_on_every_node(pair: list[RealNode]) -> None:
    key = SigningKey.generate()
    public = bytes(key.verify_key).hex()
    body = {"agent_id": "sig", "agent_type": "system", "public_key": public}
    pair[0].tell("POST", "/agents", body, x_agent_id="sig")
    until_level(pair)
    for first, second in (pair, pair[::-1]):
        for number in range(20):
            nonce, said = f"{first.name}-{number}", b'{"title":"once","content":"c"}'
            assert send(first, key, nonce, said).status == 201
            reply = send(second, key, nonce, said)
            assert (reply.status, reply.body["error"]) == (401, "agent_nonce_replay")
    assert send(pair[0], key, "fresh", b'{"title":"once","content":"c"}').status == 201
