"""A request for every route that takes a body, each of which the node would take as it is.

Law: the table of routes says which there are; a route without a sample fails the tests that
use these.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.http.routes import API, Needs, Touches
from node.http.table import TABLE
from tests.integration.rig import RealNode, free_ports
from tests.integration.rig_documents import SPLICE, change_of, in_base64

Name = tuple[str, str]
NEW: dict[str, Any] = {"title": "t", "content": "c"}
ASKS = {
    ("POST", "/recall"),
    ("POST", "/kg/query"),
    ("POST", "/check_duplicate"),
    ("POST", "/session/start"),
}
"""Routes with a body that change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request: where to, with what, and by whom."""

    path: str
    body: Any = None
    agent: str = "ann"


def lone(folder: Path, *flags: str) -> RealNode:
    """A node alone, not started."""
    (port,) = free_ports(1)
    return RealNode(
        name="lone",
        data_dir=folder / "data",
        flags=["--port", str(port), *flags],
        agent=("127.0.0.1", port),
    )


def writing() -> list[Name]:
    """Every writing route of the table that agents use with one request; a stream is no such."""
    return [
        (route.method, route.path.removeprefix(API))
        for route in TABLE
        if route.touches is Touches.WRITES
        and route.needs is not Needs.PEER
        and route.path != f"{API}/ingest"
    ]


def furnished(node: RealNode) -> dict[str, str]:
    """What the samples are about."""
    node.tell("POST", "/agents", {"agent_id": "bob", "agent_type": "human"})
    rules = {"governance": {"write": "approve"}}
    node.tell("POST", "/namespaces", {"namespace": "kept", **rules}, X_Agent_Id="ann")
    one = node.store("one", agent_id="ann")["id"]
    two = node.store("two", agent_id="ann")["id"]
    text = node.store("text", agent_id="ann", memory_kind="document")["id"]
    aside = node.store("aside", agent_id="ann")["id"]
    node.tell("POST", f"/archive/{aside}", X_Agent_Id="ann")
    own = node.store("own", scope="private", agent_id="ann")["id"]
    node.tell("POST", "/links", {"source_id": one, "target_id": two})
    held = node.tell("POST", "/memories", {**NEW, "namespace": "kept", "agent_id": "cat"})
    node.tell("POST", "/notify", {"to": "ann", "subject": "s", "body": "b", "agent_id": "bob"})
    heard = node.tell("POST", "/subscriptions", {"agent_id": "ann"})["id"]
    return {
        "one": one,
        "two": two,
        "aside": aside,
        "own": own,
        "held": held["pending_id"],
        "heard": heard,
        "text": text,
    }


def samples(known: dict[str, str]) -> dict[Name, Sample]:
    """A request for each of them."""
    one, two, aside, held = (known[name] for name in ("one", "two", "aside", "held"))
    rules = {"governance": {"write": "deny"}}
    link = {"source_id": one, "target_id": two}
    heard = f"/subscriptions/{known['heard']}"
    text = f"/memories/{known['text']}/document"
    return {
        ("POST", "/memories"): Sample(path="/memories", body=NEW),
        ("POST", "/memories/bulk"): Sample(path="/memories/bulk", body={"memories": [NEW]}),
        ("PUT", "/memories/{id}"): Sample(path=f"/memories/{one}", body={"title": "other"}),
        ("DELETE", "/memories/{id}"): Sample(path=f"/memories/{one}"),
        ("POST", "/memories/{id}/promote"): Sample(path=f"/memories/{one}/promote"),
        ("POST", "/memories/{id}/grant"): Sample(
            path=f"/memories/{known['own']}/grant", body={"agent_id": "bob"}
        ),
        ("POST", "/memories/{id}/revoke"): Sample(
            path=f"/memories/{known['own']}/revoke", body={"agent_id": "bob"}
        ),
        ("PATCH", "/memories/{id}/document"): Sample(path=text, body={"ops": SPLICE}),
        ("POST", "/memories/{id}/document/changes"): Sample(
            path=f"{text}/changes", body={"changes": in_base64(change_of("route"))}
        ),
        ("POST", "/memories/{id}/forget"): Sample(path=f"/memories/{one}/forget"),
        ("POST", "/forget"): Sample(path="/forget", body={"ids": [one]}),
        ("POST", "/archive"): Sample(path="/archive", body={"ids": [one]}),
        ("POST", "/archive/{id}"): Sample(path=f"/archive/{one}"),
        ("POST", "/archive/{id}/restore"): Sample(path=f"/archive/{aside}/restore"),
        ("DELETE", "/archive/{id}"): Sample(path=f"/archive/{aside}"),
        ("DELETE", "/archive"): Sample(path="/archive"),
        ("POST", "/consolidate"): Sample(path="/consolidate", body={"ids": [one, two]}),
        ("POST", "/gc"): Sample(path="/gc"),
        ("POST", "/links"): Sample(path="/links", body={**link, "relation": "supersedes"}),
        ("DELETE", "/links"): Sample(path="/links", body=link),
        ("POST", "/entities"): Sample(path="/entities", body={"canonical_name": "Ada"}),
        ("POST", "/kg/invalidate"): Sample(path="/kg/invalidate", body=link),
        ("POST", "/import"): Sample(path="/import", body={"memories": [{**NEW, "id": "i-1"}]}),
        ("POST", "/subscriptions"): Sample(path="/subscriptions", body={"events": "*"}),
        ("DELETE", "/subscriptions"): Sample(path=f"/subscriptions?id={known['heard']}"),
        ("DELETE", "/subscriptions/{id}"): Sample(path=heard),
        ("POST", "/notify"): Sample(
            path="/notify", body={"to": "bob", "subject": "s", "body": "b"}
        ),
        ("POST", "/inbox/read"): Sample(path="/inbox/read"),
        ("POST", "/namespaces"): Sample(path="/namespaces", body={"namespace": "n", **rules}),
        ("DELETE", "/namespaces"): Sample(path="/namespaces?namespace=kept"),
        ("POST", "/namespaces/{ns}/standard"): Sample(path="/namespaces/n/standard", body=rules),
        ("DELETE", "/namespaces/{ns}/standard"): Sample(path="/namespaces/kept/standard"),
        ("POST", "/agents"): Sample(
            path="/agents", body={"agent_id": "dan", "agent_type": "human"}
        ),
        ("POST", "/agents/{id}/role"): Sample(
            path="/agents/eve/role", body={"role": "agent-reader"}
        ),
        ("POST", "/pending/{id}/approve"): Sample(path=f"/pending/{held}/approve", agent="bob"),
        ("POST", "/pending/{id}/reject"): Sample(path=f"/pending/{held}/reject", agent="bob"),
        ("POST", "/recall"): Sample(path="/recall", body={"context": "one"}),
        ("POST", "/kg/query"): Sample(path="/kg/query", body={"source_id": one}),
        ("POST", "/check_duplicate"): Sample(path="/check_duplicate", body={"content": "c"}),
        ("POST", "/session/start"): Sample(path="/session/start"),
    }
