"""Attempts to reach further than a key, a name or a signature does, on a real node."""

import base64
import hashlib
import http.client
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from node.auth.keys import KeyRing, KeyWish, format_keys, make_key, parse_keys, revoke
from tests.integration.rig import RealNode, Reply, until
from tests.integration.rig_governance import decide, held, set_policy
from tests.integration.rig_mesh import founded

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

NEW: dict[str, Any] = {"title": "t", "content": "c"}
NONCES = itertools.count()


class Keys:
    """The file of keys of a node, as `mnemesh key` would write it."""

    def __init__(self, node: RealNode) -> None:
        self.node = node
        self.path = node.data_dir / "keys" / "api_keys.json"

    def give(self, **wish: Any) -> RealNode:
        """The node, asked with a new key."""
        ring = parse_keys(self.path.read_bytes()) if self.path.exists() else KeyRing()
        text, grant = make_key(
            ring, KeyWish(**wish), now_ms=time.time_ns() // 1_000_000, entropy=os.urandom
        )
        self.write(ring.with_key(grant))
        node = self.node
        return RealNode(node.name, node.data_dir, [], node.agent, api_key=text)

    def write(self, ring: KeyRing) -> None:
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.touch(0o600)
        draft.write_bytes(format_keys(ring))
        draft.replace(self.path)

    def revoke(self, name: str) -> None:
        self.write(revoke(parse_keys(self.path.read_bytes()), name, 1)[0])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    folder: Path = tmp_path_factory.mktemp("keys")
    config = {"admin": {"agent_ids": ["root"]}}
    (node,) = founded(folder, 1, config=config)
    made = Keys(node)
    admin = made.give(role="system-admin", name="admin")
    node.api_key = admin.api_key
    try:
        node.start()
        until(node.ready, "ready", seen=node.tail)
        yield made
    finally:
        node.clean_up()


@pytest.fixture(scope="module")
def admin(keys: Keys) -> RealNode:
    return keys.node


def test_a_key_of_one_subtree_reads_and_writes_nothing_outside(keys: Keys, admin: RealNode) -> None:
    team = keys.give(role="team-admin", namespaces=("team",), name="team")
    out = admin.store("outside", "hidden-words", namespace="other", agent_id="zoe")["id"]
    own = admin.store("inside", namespace="team/a", agent_id="zoe")["id"]
    set_policy(admin, "other", "root", write="any", delete="any")
    until(lambda: team.ask("GET", f"/memories/{own}").status == 200, "the key counts")
    for method, path, body in (
        ("GET", f"/memories/{out}", None),
        ("GET", f"/memories/{out}/history", None),
        ("PUT", f"/memories/{out}", {"content": "c"}),
        ("PUT", f"/memories/{out}", {"namespace": "team"}),
        ("DELETE", f"/memories/{out}", None),
        ("POST", f"/memories/{out}/promote", {"to_namespace": "team"}),
        ("POST", "/links", {"source_id": own, "target_id": out}),
    ):
        assert team.ask(method, path, body, x_agent_id="zoe").status == 404, path
    outward: list[tuple[str, str, Any]] = [
        ("POST", "/memories", {**NEW, "namespace": "other"}),
        ("POST", "/memories", {**NEW, "namespace": "team2"}),
        ("POST", "/memories", {**NEW, "namespace": "*"}),
        ("PUT", f"/memories/{own}", {"namespace": "other"}),
        ("POST", f"/memories/{own}/promote", {"to_namespace": "other"}),
        ("POST", "/namespaces", {"namespace": "other", "governance": {"write": "any"}}),
        ("POST", "/namespaces", {"namespace": "*", "governance": {"write": "any"}}),
        ("DELETE", "/namespaces?namespace=other", None),
        ("GET", "/namespaces/other/standard", None),
        ("GET", "/namespaces?namespace=*", None),
    ]
    for method, path, body in outward:
        reply = team.ask(method, path, body, x_agent_id="root")
        assert (reply.status, reply.body["error"]) == (403, "namespace_not_of_key"), path
    for path in ("/export", "/memories?limit=1000", "/namespaces", "/stats", "/pending"):
        assert "other" not in str(team.ask("GET", path, x_agent_id="root").body), path
    assert admin.get(own)["namespace"] == "team/a"


def test_roles_of_keys_open_no_more_than_their_own(keys: Keys, admin: RealNode) -> None:
    reader = keys.give(role="agent-reader", name="reader")
    writer = keys.give(role="agent-writer", agent_id="wes", name="writer")
    figures = keys.give(role="metrics", name="figures")
    until(lambda: figures.ask("GET", "/metrics").status == 200, "the keys count")
    other = admin.store("of zoe", agent_id="zoe", scope="private")["id"]
    wes = {"x_agent_id": "wes"}
    assert figures.ask("GET", "/memories").status == 403
    assert reader.ask("POST", "/memories", NEW).status == 403
    assert reader.ask("POST", "/memories", NEW, idempotency_key="k").status == 403
    tried: list[tuple[str, str, Any, dict[str, str]]] = [
        ("POST", "/memories", {**NEW, "agent_id": "zoe"}, {}),
        ("POST", "/memories", {**NEW, "metadata": {"agent_id": "zoe"}}, {}),
        ("POST", "/memories", NEW, {"x_agent_id": "zoe"}),
        ("GET", f"/memories/{other}", None, {"x_agent_id": "zoe"}),
        ("POST", "/agents", {"agent_id": "other", "agent_type": "human"}, wes),
        ("POST", "/agents/wes/role", {"role": "system-admin"}, wes),
        ("POST", "/import", {"memories": [NEW], "trust_source": True}, wes),
        ("POST", "/mesh/remove", {"node_id": "node-1"}, wes),
        ("POST", "/federation/peers", {"peers": ["https://127.0.0.1:1"]}, wes),
        ("GET", "/doctor", None, wes),
        ("GET", "/verify", None, wes),
    ]
    for method, path, body, names in tried:
        assert writer.ask(method, path, body, **names).status == 403, (path, body)
    mixed = {"memories": [NEW, {**NEW, "agent_id": "zoe"}]}
    reply = writer.ask("POST", "/memories/bulk", mixed, **wes)
    assert (reply.status, reply.body["created"]) == (207, 1)
    assert writer.ask("GET", f"/memories/{other}").status == 404


def test_a_role_of_the_mesh_is_not_widened_by_the_key_of_an_administrator(
    admin: RealNode,
) -> None:
    root, rick = {"x_agent_id": "root"}, {"x_agent_id": "rick"}
    admin.tell("POST", "/agents/rick/role", {"role": "agent-reader"}, **root)
    for method, path, body in (
        ("POST", "/memories", NEW),
        ("POST", "/memories", {**NEW, "scope": "private"}),
        ("POST", "/agents/rick/role", {"role": "system-admin"}),
        ("POST", "/namespaces", {"namespace": "n", "governance": {}}),
        ("POST", "/mesh/remove", {"node_id": "node-1"}),
    ):
        assert admin.ask(method, path, body, **rick).status == 403, path
    assert admin.tell("POST", "/memories/bulk", [NEW], **root)["created"] == 1


def test_a_stream_ends_with_the_key_that_opened_it(keys: Keys, admin: RealNode) -> None:
    spy = keys.give(role="agent-reader", name="spy")
    until(lambda: spy.ask("GET", "/memories").status == 200, "the key counts")
    set_policy(admin, "watched", "root", write="approve")
    connection = http.client.HTTPConnection(*admin.agent, timeout=10)
    connection.request("GET", "/api/v1/pending/stream", headers={"x-api-key": spy.api_key})
    stream = connection.getresponse()
    assert stream.status == 200
    keys.revoke("spy")
    until(lambda: spy.ask("GET", "/memories").status == 401, "the key is over")
    held(admin, "watched", "bob", content="said-after-the-end")
    assert b"said-after-the-end" not in stream.read()
    connection.close()


def test_nobody_decides_about_a_request_of_their_own(admin: RealNode) -> None:
    root = {"x_agent_id": "root"}
    for agent, kind in (("una", "human"), ("ai:prog", "ai:model"), ("carl", "human")):
        admin.tell("POST", "/agents", {"agent_id": agent, "agent_type": kind}, **root)
    set_policy(admin, "two", "root", write="approve", approver={"consensus": 2})
    set_policy(admin, "one", "root", write="approve", delete="approve")
    mine, ident = held(admin, "one", "una")
    for action in (mine, ident):
        assert decide(admin, action, "una").body["error"] == "self_approval"
        spelled = admin.ask(
            "POST", f"/pending/{action}/approve", {"agent_id": "una"}, x_agent_id="carl"
        )
        assert spelled.body["error"] == "self_approval"
    assert decide(admin, mine, "ai:prog").body["error"] == "not_an_approver"
    assert decide(admin, mine, "nobody").body["error"] == "agent_not_registered"
    assert admin.ask("POST", f"/pending/{mine}/approve", {}).status == 403
    both, _ = held(admin, "two", "una")
    assert decide(admin, both, "carl").status == 202
    for spelling in ("carl", "carl ", " carl"):
        assert decide(admin, both, spelling).status == 409, spelling
    assert decide(admin, both, "Carl").status == 403
    set_policy(admin, "one", "root", write="deny", delete="deny")
    # Who asked while it was allowed to ask is judged by what held then.
    assert decide(admin, mine, "carl").status == 200
    assert decide(admin, mine, "carl").body["error"] == "already_decided"


def signed(
    node: RealNode, key: SigningKey, agent: str, method: str, path: str, **extra: Any
) -> Reply:
    """A request signed by hand; `extra` changes what is sent after that."""
    body = extra.get("body", b'{"title":"t","content":"c"}')
    nonce = extra.get("nonce", f"n-{next(NONCES)}")
    digest = hashlib.sha256(extra.get("signed_body", body)).hexdigest()
    where, _, query = f"/api/v1{extra.get('signed_path', path)}".partition("?")
    text = f"{extra.get('signed_method', method)}\n{where}\n{query}\n{digest}\n{nonce}"
    signature = base64.b64encode(key.sign(text.encode()).signature).decode()
    sent = extra.get("header", f"ed25519={signature}")
    return node.ask(
        method,
        path,
        body,
        x_agent_id=extra.get("name", agent),
        x_agent_sig=sent,
        x_agent_nonce=nonce,
    )


def test_a_signature_is_for_one_request_of_one_agent(admin: RealNode) -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    for agent, own in (("sig", key), ("oth", other)):
        admin.tell(
            "POST",
            "/agents",
            {"agent_id": agent, "agent_type": "system", "public_key": bytes(own.verify_key).hex()},
            x_agent_id=agent,
        )
    assert signed(admin, key, "sig", "POST", "/memories", nonce="once").status == 201
    body = b'{"title":"t","content":"c"}'
    for code, changes in (
        ("agent_nonce_replay", {"nonce": "once"}),
        ("agent_signature_bad", {"name": "oth"}),
        ("agent_signature_bad", {"signed_body": body.replace(b":", b": ")}),
        ("agent_signature_bad", {"signed_path": "/memories?a=1"}),
        ("agent_signature_bad", {"signed_path": "/memories/bulk"}),
        ("agent_signature_bad", {"signed_method": "PUT"}),
        ("agent_signature_bad", {"signed_method": "post"}),
        ("agent_signature_bad", {"header": "ed25519=" + "A" * 86 + "=="}),
        ("agent_signature_bad", {"header": "ED25519=" + "A" * 86 + "=="}),
    ):
        reply = signed(admin, key, "sig", "POST", "/memories", **changes)
        assert (reply.status, reply.body["error"]) == (401, code), changes
    for named in (
        b'{"title":"t","content":"c","agent_id":"oth"}',
        b'{"title":"t","content":"c","metadata":{"agent_id":"oth"}}',
    ):
        reply = signed(admin, key, "sig", "POST", "/memories", body=named)
        assert (reply.status, reply.body["error"]) == (401, "agent_signature_missing")
    items = (
        b'{"memories":[{"title":"t","content":"c","agent_id":"oth"},{"title":"t","content":"c"}]}'
    )
    reply = signed(admin, key, "sig", "POST", "/memories/bulk", body=items)
    assert (reply.status, reply.body["created"]) == (207, 1)
