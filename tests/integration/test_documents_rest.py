"""Documents over HTTP, on a real node with keys: its rules are those of memories."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from crdt.document.chunk import split_chunks
from crdt.document.model import DocumentLimits
from tests.integration.rig import RealNode, Reply, running, until
from tests.integration.rig_commands import newcomer, told
from tests.integration.rig_documents import SPLICE, change_of, in_base64

pytestmark = pytest.mark.integration
AUTOMERGE = "application/vnd.automerge"
ANN, BOB = {"X_Agent_Id": "ann"}, {"X_Agent_Id": "bob"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    with running(newcomer(tmp_path_factory.mktemp("documents"), "a")) as one:
        for agent in ("ann", "bob"):
            one.tell("POST", "/agents", {"agent_id": agent, "agent_type": "human"})
        yield one


def with_key(node: RealNode, *options: object) -> RealNode:
    """The same node, asked with a key of less right."""
    key = told("key", "create", *options, node=node)["key"]
    return RealNode(name="a", data_dir=node.data_dir, flags=[], agent=node.agent, api_key=key)


def document(node: RealNode, content: str = "words", **fields: Any) -> str:
    fields = {"memory_kind": "document", "agent_id": "ann", **fields}
    return f"/memories/{node.store('Plan', content, **fields)['id']}"


def wire(
    node: RealNode, method: str, path: str, data: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """A request whose bodies are bytes."""
    sent = {"x-api-key": node.api_key, **{k.replace("_", "-"): v for k, v in headers.items()}}
    connection = http.client.HTTPConnection(*node.agent, timeout=30)
    try:
        connection.request(method, f"/api/v1{path}", body=data, headers=sent)
        answer = connection.getresponse()
        got = {name.lower(): text for name, text in answer.getheaders()}
        return answer.status, got, answer.read()
    finally:
        connection.close()


def said(reply: Reply) -> tuple[int, Any]:
    return reply.status, reply.body.get("error")


def test_what_was_edited_is_found_read_and_exported(node: RealNode) -> None:
    path = document(node, "The ferry leaves at nine.", namespace="town")
    edit = {"op": "splice", "path": ["text"], "index": 20, "delete": 4, "insert": "eleven"}
    body = {"ops": [edit], "message": "new timetable"}
    made = node.tell("PATCH", f"{path}/document", body, **BOB)
    assert made["heads"] == [made["change"]]
    assert made["durability"]["acks"] >= made["durability"]["needed"]
    text = "The ferry leaves at eleven."
    assert node.tell("GET", path)["content"] == text
    for found in (
        node.tell("GET", "/search?q=eleven&namespace=town")["memories"],
        node.tell("POST", "/recall", {"context": "when does the ferry leave, at eleven?"})[
            "memories"
        ],
        [one for one in node.tell("GET", "/export")["memories"] if one["namespace"] == "town"],
    ):
        assert text in [one["content"] for one in found]
    assert node.tell("GET", "/search?q=nine&namespace=town")["count"] == 0
    newest, seed = node.tell("GET", f"{path}/document/history")["history"]
    assert (newest["agent_id"], newest["message"]) == ("bob", "new timetable")
    assert seed["agent_id"] == "ann"


def test_bytes_go_out_and_come_back(node: RealNode) -> None:
    one, two = document(node), document(node, "other")
    node.tell("PATCH", f"{one}/document", SPLICE, **BOB)
    status, headers, whole = wire(node, "GET", f"{one}/document", Accept=AUTOMERGE)
    heads = node.tell("GET", f"{one}/document")["heads"]
    assert (status, headers["content-type"]) == (200, AUTOMERGE)
    assert headers["x-document-heads"] == ",".join(heads)
    assert len(split_chunks(whole, DocumentLimits())) == 2
    raw = {"Content_Type": AUTOMERGE}
    status, _, body = wire(node, "POST", f"{one}/document/changes", whole, **raw)
    assert (status, json.loads(body)["added"], json.loads(body)["known"]) == (200, 0, 2)
    # Two documents become one, as any two states of Automerge do.
    status, _, body = wire(node, "POST", f"{two}/document/changes", whole, **raw)
    assert (status, json.loads(body)["added"]) == (200, 2)
    assert set(heads) < set(node.tell("GET", f"{two}/document")["heads"])


def test_a_client_that_holds_it_is_sent_nothing(node: RealNode) -> None:
    path = document(node)
    tag = wire(node, "GET", f"{path}/document")[1]["etag"]
    status, headers, body = wire(node, "GET", f"{path}/document", If_None_Match=tag)
    assert (status, body, headers["etag"]) == (304, b"", tag)
    assert "content-length" not in headers
    status, headers, body = wire(node, "HEAD", f"{path}/document")
    assert (status, body, headers["etag"]) == (200, b"", tag)
    assert int(headers["content-length"]) > 100
    reply = node.ask("PATCH", f"{path}/document", SPLICE, If_Match='"other"', **ANN)
    assert said(reply) == (412, "precondition_failed")
    assert node.ask("PATCH", f"{path}/document", SPLICE, If_Match=tag, **ANN).status == 200


def test_keys_read_and_write_as_their_roles_say(node: RealNode) -> None:
    mine, path = document(node, agent_id="bob"), document(node)
    reader = with_key(node, "--role", "agent-reader")
    writer = with_key(node, "--role", "agent-writer", "--agent-id", "bob")
    until(lambda: reader.ask("GET", "/stats").status == 200, "the keys count")
    changes = {"changes": in_base64(change_of("k"))}
    for part in ("document", "document/changes", "document/history"):
        assert reader.ask("GET", f"{path}/{part}").status == 200
    assert said(reader.ask("PATCH", f"{path}/document", SPLICE)) == (403, "role_forbids")
    refused = reader.ask("POST", f"{path}/document/changes", changes)
    assert said(refused) == (403, "role_forbids")
    assert writer.ask("PATCH", f"{mine}/document", SPLICE).status == 200
    assert writer.ask("POST", f"{mine}/document/changes", changes).status == 200
    history = node.tell("GET", f"{mine}/document/history")["history"]
    assert [one["agent_id"] for one in history] == ["bob"] * 3
    other = writer.ask("PATCH", f"{mine}/document", {"ops": SPLICE, "agent_id": "ann"})
    assert said(other) == (403, "agent_not_of_key")
    # What is another's is to such a key as any memory of another is.
    plain = said(writer.ask("PUT", path, {"title": "x"}))
    assert said(writer.ask("PATCH", f"{path}/document", SPLICE)) == plain
    assert said(writer.ask("POST", f"{path}/document/changes", changes)) == plain


def test_a_key_of_one_namespace_finds_the_documents_of_no_other(node: RealNode) -> None:
    agent = {"agent_id": "bob"}
    inside = document(node, namespace="mine/a", **agent)
    outside = document(node, namespace="yours", **agent)
    key = with_key(node, "--role", "agent-writer", "--namespace", "mine", "--agent-id", "bob")
    until(lambda: key.ask("GET", inside).status == 200, "the key counts")
    assert key.ask("GET", f"{inside}/document").status == 200
    assert key.ask("PATCH", f"{inside}/document", SPLICE).status == 200
    plain = said(key.ask("GET", outside))
    for part in ("document", "document/changes", "document/history"):
        assert said(key.ask("GET", f"{outside}/{part}")) == plain
    plain = said(key.ask("PUT", outside, {"title": "x"}))
    assert plain[0] in {403, 404}
    assert said(key.ask("PATCH", f"{outside}/document", SPLICE)) == plain
    changes = {"changes": in_base64(change_of("k"))}
    assert said(key.ask("POST", f"{outside}/document/changes", changes)) == plain


def test_what_is_private_is_there_for_those_who_were_let_in(node: RealNode) -> None:
    path = document(node, scope="private")
    for asked in (
        node.ask("GET", f"{path}/document", **BOB),
        node.ask("PATCH", f"{path}/document", SPLICE, **BOB),
        node.ask("GET", f"{path}/document/changes"),
    ):
        assert said(asked) == (404, "not_found")
    node.tell("POST", f"{path}/grant", {"agent_id": "bob"}, **ANN)
    assert node.tell("GET", f"{path}/document", **BOB)["value"] == {"text": "words"}
    plain = said(node.ask("PUT", path, {"title": "x"}, **BOB))
    assert (
        said(node.ask("PATCH", f"{path}/document", SPLICE, **BOB)) == plain == (403, "owner_only")
    )


def test_an_edit_waits_where_writes_are_approved(node: RealNode) -> None:
    path = document(node, namespace="law")
    rules = {"namespace": "law", "governance": {"write": "approve"}}
    node.tell("POST", "/namespaces", rules, **ANN)
    seen = node.tell("GET", f"{path}/document")
    held = node.ask("PATCH", f"{path}/document", {"ops": SPLICE, "agent_id": "cat"})
    changes = {"changes": in_base64(change_of("k")), "agent_id": "cat"}
    second = node.ask("POST", f"{path}/document/changes", changes)
    assert [one.status for one in (held, second)] == [202, 202]
    assert held.body["status"] == "pending"
    assert node.tell("GET", f"{path}/document") == seen
    node.tell("POST", f"/pending/{held.body['pending_id']}/approve", {}, **ANN)
    node.tell("POST", f"/pending/{second.body['pending_id']}/reject", {}, **ANN)
    now = node.tell("GET", f"{path}/document")
    assert now["value"] == {"text": "spliced words"}
    assert now["set_aside"] == []


def test_a_retry_over_the_wire_is_one_edit(node: RealNode) -> None:
    path = document(node)
    first = node.tell("PATCH", f"{path}/document", SPLICE, Idempotency_Key="r-1", **BOB)
    again = node.tell("PATCH", f"{path}/document", SPLICE, Idempotency_Key="r-1", **BOB)
    assert (again["change"], again["heads"]) == (first["change"], first["heads"])
    changes = {"changes": in_base64(change_of("k"))}
    told_once = [
        node.tell("POST", f"{path}/document/changes", changes, Idempotency_Key="r-2", **BOB)
        for _ in range(2)
    ]
    assert [(one["added"], one["known"]) for one in told_once] == [(1, 0)] * 2
    assert node.tell("GET", f"{path}/document")["value"] == {"k": 1, "text": "spliced words"}


def test_what_is_too_large_says_which_bound(node: RealNode) -> None:
    path = document(node)
    long = {"op": "splice", "path": ["text"], "insert": "\u00e4" * 200_000}
    reply = node.ask("PATCH", f"{path}/document", [long], **BOB)
    assert said(reply) == (413, "document_too_large")
    assert reply.body["got"] > reply.body["most"]
    reply = node.ask("PATCH", f"{path}/document", [{**long, "insert": "x" * 2**21}], **BOB)
    assert said(reply) == (413, "body_too_large")
    assert node.tell("GET", f"{path}/document")["changes"] == 1


def test_changes_come_as_they_are_made(node: RealNode) -> None:
    path = document(node)
    connection = http.client.HTTPConnection(*node.agent, timeout=30)
    headers = {"x-api-key": node.api_key, "Accept": "text/event-stream"}
    connection.request("GET", f"/api/v1{path}/document/changes", headers=headers)
    stream = connection.getresponse()
    assert stream.getheader("Content-Type") == "text/event-stream; charset=utf-8"

    def event() -> tuple[str, str, Any]:
        fields: dict[str, str] = {}
        while True:
            line = stream.readline().decode().rstrip("\n")
            if not line and "data" in fields:
                return fields["event"], fields.get("id", ""), json.loads(fields["data"])
            name, _, value = line.partition(": ")
            fields[name] = value

    assert event()[2]["agents"] == ["ann"]
    made = node.tell("PATCH", f"{path}/document", SPLICE, **BOB)
    name, place, data = event()
    assert (name, place, data["agents"]) == ("change", made["change"], ["bob"])
    node.tell("DELETE", path, **ANN)
    name, _, data = event()
    assert (name, data["reason"], stream.read()) == ("end", "not_found", b"")
    connection.close()
