"""Every lane that changes anything passes the one gate.

A real node is started by a launcher that shuts its gate as soon as a file exists. Then every
route of the table that changes something is asked, with a request that it would otherwise
take; each must be refused by that gate, and nothing may have changed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.http.routes import API, Needs, Route, Touches
from node.http.table import TABLE
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until, until_level
from tests.integration.rig_ingest import ingested
from tests.integration.rig_push import Pusher

LAUNCHER = """
import os, sys
from node import errors
from node.gate import Gate
passes = Gate.check
def check(self, caller, wish):
    if os.path.exists(os.environ["GATE_IS_SHUT"]):
        raise errors.Denied("the gate is shut", code="gate_is_shut")
    passes(self, caller, wish)
Gate.check = check
from node.cli import main
sys.exit(main())
"""
MEMBERSHIP = {("POST", f"{API}/mesh/join"), ("POST", f"{API}/mesh/remove")}
NEW: dict[str, Any] = {"title": "t", "content": "c"}
Sample = tuple[str, Any]
Known = dict[str, str]


def _samples(known: Known) -> dict[tuple[str, str], Sample]:
    """A request for every lane that the node would take if the gate were open."""
    one, two, held = known["one"], known["two"], known["held"]
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


def _lanes() -> list[Route]:
    return [
        route
        for route in TABLE
        if route.touches is Touches.WRITES or (route.method, route.path) in MEMBERSHIP
    ]


def _furnished(node: RealNode) -> Known:
    """What the requests are about, made while the gate is open."""
    node.tell("POST", "/agents", {"agent_id": "bob", "agent_type": "human"})
    node.tell(
        "POST",
        "/namespaces",
        {"namespace": "kept", "governance": {"write": "approve"}},
        X_Agent_Id="ann",
    )
    one, two = node.store("one", agent_id="ann")["id"], node.store("two")["id"]
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
    return {**known, "subscription": heard}


@pytest.fixture
def shut(found: Found, tmp_path: Path) -> Callable[[], tuple[RealNode, RealNode]]:
    def start() -> tuple[RealNode, RealNode]:
        nodes = found(2, start=False)
        for node in nodes:
            node.launch = ("-P", "-c", LAUNCHER)
            node.environment["GATE_IS_SHUT"] = str(tmp_path / "shut")
            node.start()
        return nodes[0], nodes[1]

    return start


def test_every_lane_passes_the_one_gate(
    shut: Callable[[], tuple[RealNode, RealNode]], tmp_path: Path
) -> None:
    node, other = shut()
    until_level([node, other])
    known = _furnished(node)
    pusher = Pusher.enrolled(node, tmp_path / "peer")
    until_level([node, other])
    before = node.mesh()["clock"]
    (tmp_path / "shut").touch()
    samples = _samples(known)
    untried = []
    for route in _lanes():
        name = (route.method, route.path.removeprefix(API))
        agent = "bob" if route.path.startswith(f"{API}/pending") else "ann"
        if name in samples:
            path, body = samples[name]
            reply = node.ask(route.method, path, body, X_Agent_Id=agent)
            said = (reply.status, reply.body.get("error"))
        elif name == ("GET", "/ingest"):
            answer = ingested(node, [{"memory": NEW}])[1]
            said = (answer["status"], answer["error"])
        elif name == ("POST", "/sync/push"):
            answer = pusher.push({"memories": [{**NEW, "id": "pushed-1"}]})
            said = (403, answer["results"][0]["error"].partition(":")[0])
            assert answer["results"][0]["status"] == "refused"
        elif name == ("POST", "/mesh/join"):
            status, told = pusher.join()
            said = (status, told.get("error"))
        else:
            untried.append(name)
            continue
        assert said == (403, "gate_is_shut"), f"{name} goes round the gate: {said}"
    assert not untried, f"lanes without a sample here: {untried}"
    assert node.mesh()["clock"] == before, "something was minted behind the gate"


def test_lanes_that_change_nothing_are_no_lanes() -> None:
    """What says that it touches nothing must be a read, or be named here."""
    quiet = {
        (route.method, route.path.removeprefix(API))
        for route in TABLE
        if route.method != "GET" and route.touches is not Touches.WRITES
    }
    assert quiet == {
        ("POST", "/federation/peers"),  # whom this node bridges to: its operator's, not shared
        ("DELETE", "/federation/peers"),
        ("POST", "/integrity/scrub"),  # this node looks at its own disk
        ("POST", "/session/start"),  # draws a name and stores nothing
        ("POST", "/kg/query"),  # questions whose words do not fit an address
        ("POST", "/recall"),
        ("POST", "/index/rebuild"),  # this node's own files: the same memory in another order
        ("POST", "/compact"),
        ("POST", "/mcp"),  # each tool asks the routes of this table, and so their gate
        ("DELETE", "/mcp"),
        ("POST", "/auto_tag"),  # a model suggests; what is written comes with a request of its own
        ("POST", "/expand_query"),
        ("POST", "/check_duplicate"),
        ("POST", "/cluster"),
        ("POST", "/mesh/introduce"),
        ("POST", "/mesh/join"),
        ("POST", "/mesh/remove"),
    }
    assert all(route.needs is not Needs.OPEN for route in _lanes())
