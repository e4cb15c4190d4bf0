"""Every lane that changes anything: a request for each, and one walk through all of them.

A lane without a sample fails whoever walks, so that a new route is tried or named.
"""

from collections.abc import Iterator
from typing import Any

from node.http.routes import API, Route, Touches
from node.http.table import TABLE
from tests.integration.rig import RealNode, until
from tests.integration.rig_documents import SPLICE, change_of, in_base64
from tests.integration.rig_ingest import ingested
from tests.integration.rig_push import Pusher

MEMBERSHIP = {("POST", f"{API}/mesh/join"), ("POST", f"{API}/mesh/remove")}
NEW: dict[str, Any] = {"title": "t", "content": "c"}
OTHERWISE_ASKED = {("GET", "/ingest"), ("POST", "/sync/push"), ("POST", "/mesh/join")}
"""Lanes that are no request of an agent with an answer of its own."""
Sample = tuple[str, Any]
Known = dict[str, str]


def samples_of(known: Known) -> dict[tuple[str, str], Sample]:
    """A request for every lane that the node would take if the gate were open."""
    one, two, held, text = (known[name] for name in ("one", "two", "held", "text"))
    rules = {"governance": {"write": "deny"}}
    link = {"source_id": one, "target_id": two, "relation": "supersedes"}
    return {
        ("POST", "/memories"): ("/memories", NEW),
        ("POST", "/memories/bulk"): ("/memories/bulk", [NEW]),
        ("PUT", "/memories/{id}"): (f"/memories/{one}", {"title": "other"}),
        ("DELETE", "/memories/{id}"): (f"/memories/{one}", None),
        ("POST", "/memories/{id}/promote"): (f"/memories/{one}/promote", {}),
        ("POST", "/memories/{id}/grant"): (f"/memories/{known['own']}/grant", {"agent_id": "bob"}),
        ("POST", "/memories/{id}/revoke"): (
            f"/memories/{known['own']}/revoke",
            {"agent_id": "cat"},
        ),
        ("PATCH", "/memories/{id}/document"): (f"/memories/{text}/document", SPLICE),
        ("POST", "/memories/{id}/document/changes"): (
            f"/memories/{text}/document/changes",
            {"changes": in_base64(change_of("lane"))},
        ),
        ("POST", "/memories/{id}/forget"): (f"/memories/{one}/forget", {}),
        ("POST", "/forget"): ("/forget", {"ids": [one]}),
        ("POST", "/archive"): ("/archive", {"ids": [one]}),
        ("POST", "/archive/{id}"): (f"/archive/{one}", {}),
        ("POST", "/archive/{id}/restore"): (f"/archive/{known['aside']}/restore", {}),
        ("DELETE", "/archive/{id}"): (f"/archive/{known['aside']}", None),
        ("DELETE", "/archive"): ("/archive", None),
        ("POST", "/consolidate"): ("/consolidate", {"ids": [one, two]}),
        ("POST", "/gc"): ("/gc", {}),
        ("POST", "/links"): ("/links", link),
        ("DELETE", "/links"): ("/links", {**link, "relation": "related_to"}),
        ("POST", "/entities"): ("/entities", {"canonical_name": "Ada", "aliases": ["A"]}),
        ("POST", "/kg/invalidate"): ("/kg/invalidate", {**link, "relation": "related_to"}),
        ("POST", "/import"): ("/import", {"memories": [{**NEW, "id": "imported-1"}]}),
        ("POST", "/subscriptions"): ("/subscriptions", {"events": ["memory_store"]}),
        ("DELETE", "/subscriptions"): (f"/subscriptions?id={known['subscription']}", None),
        ("DELETE", "/subscriptions/{id}"): (f"/subscriptions/{known['subscription']}", None),
        ("POST", "/notify"): ("/notify", {"to": "bob", "subject": "s", "body": "b"}),
        ("POST", "/inbox/read"): ("/inbox/read", {}),
        ("POST", "/namespaces"): ("/namespaces", {"namespace": "n", **rules}),
        ("DELETE", "/namespaces"): ("/namespaces?namespace=kept", None),
        ("POST", "/namespaces/{ns}/standard"): ("/namespaces/n/standard", rules),
        ("DELETE", "/namespaces/{ns}/standard"): ("/namespaces/kept/standard", None),
        ("POST", "/agents"): ("/agents", {"agent_id": "dan", "agent_type": "human"}),
        ("POST", "/agents/{id}/role"): ("/agents/bob/role", {"role": "agent-reader"}),
        ("POST", "/pending/{id}/approve"): (f"/pending/{held}/approve", {}),
        ("POST", "/pending/{id}/reject"): (f"/pending/{held}/reject", {}),
        ("POST", "/mesh/remove"): ("/mesh/remove", {"node_id": "node-2"}),
    }


def lanes() -> list[Route]:
    return [
        route
        for route in TABLE
        if route.touches is Touches.WRITES or (route.method, route.path) in MEMBERSHIP
    ]


def furnished(node: RealNode) -> Known:
    """What the requests are about, made while the gate is open."""
    node.tell("POST", "/agents", {"agent_id": "bob", "agent_type": "human"})
    node.tell(
        "POST",
        "/namespaces",
        {"namespace": "kept", "governance": {"write": "approve"}},
        X_Agent_Id="ann",
    )
    one, two = node.store("one", agent_id="ann")["id"], node.store("two")["id"]
    text = node.store("text", agent_id="ann", memory_kind="document")["id"]
    aside = node.store("aside", agent_id="ann")["id"]
    node.tell("POST", f"/archive/{aside}", X_Agent_Id="ann")
    ending = node.store("ending", ttl_secs=1, agent_id="ann")["id"]
    until(lambda: node.ask("GET", f"/memories/{ending}").status == 404, "it has expired")
    own = node.store("own", scope="private", agent_id="ann")["id"]
    node.tell("POST", f"/memories/{own}/grant", {"agent_id": "cat"}, X_Agent_Id="ann")
    node.tell("POST", "/links", {"source_id": one, "target_id": two, "relation": "related_to"})
    held = node.tell(
        "POST", "/memories", {**NEW, "namespace": "kept", "agent_id": "cat"}, X_Agent_Id="cat"
    )
    node.tell("POST", "/notify", {"to": "ann", "subject": "s", "body": "b", "agent_id": "bob"})
    heard = node.tell("POST", "/subscriptions", {"agent_id": "ann"})["id"]
    known = {"one": one, "two": two, "own": own, "aside": aside, "held": held["pending_id"]}
    return {**known, "subscription": heard, "text": text}


def asked_by_every_lane(
    node: RealNode, pusher: Pusher, known: Known
) -> Iterator[tuple[tuple[str, str], int, dict[str, Any]]]:
    """Ask for a change by each lane of a node that refuses all: the route, status and body."""
    samples = samples_of(known)
    untried = []
    for route in lanes():
        name = (route.method, route.path.removeprefix(API))
        agent = "bob" if route.path.startswith(f"{API}/pending") else "ann"
        if name in samples:
            path, body = samples[name]
            reply = node.ask(route.method, path, body, X_Agent_Id=agent)
            yield name, reply.status, {"error": None, **reply.body}
        elif name == ("GET", "/ingest"):
            answer = ingested(node, [{"memory": NEW}])[1]
            yield name, answer["status"], answer
        elif name == ("POST", "/sync/push"):
            row = pusher.push({"memories": [{**NEW, "id": "pushed-1"}]})["results"][0]
            assert row["status"] == "refused"
            yield name, 403, {"error": row["error"].partition(":")[0]}
        elif name == ("POST", "/mesh/join"):
            status, told = pusher.join()
            yield name, status, {"error": None, **told}
        else:
            untried.append(name)
    assert not untried, f"lanes without a sample here: {untried}"
