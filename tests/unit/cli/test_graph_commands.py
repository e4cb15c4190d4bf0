"""`mnemesh entity`, `kg`, `taxonomy`, `auto-tag`: what they send and what they print."""

from tests.unit.cli.standin import Mnemesh, StandIn

DURABLE = {"local": True, "acks": 2, "needed": 2, "peers": ["node-b"], "dot": "d", "token": "t"}
NOTHING_NEW = {**DURABLE, "acks": 0, "needed": 0}
ADA = {
    "entity_id": "e717",
    "canonical_name": "Ada Lovelace",
    "namespace": "people",
    "aliases": ["Ada"],
}


def test_register_sends_name_and_aliases(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    made = {**ADA, "created": True, "durability": DURABLE}
    standin.on("POST", "/api/v1/entities", 201, made)
    standin.on("POST", "/api/v1/entities", 200, {**made, "created": False,
                                                 "durability": NOTHING_NEW})  # fmt: skip
    standin.on("POST", "/api/v1/entities", 202, {"status": "pending", "pending_id": "a:1"})
    words = ("entity", "register", "Ada Lovelace", "-a", "Ada", "--alias", "AAL", "-n", "people")
    assert mnemesh(*words, *here, "--dry-run").code == 0
    assert not standin.asked
    ran = mnemesh(*words, *here, "--agent-id", "ai:me", "--idempotency-key", "k")
    assert ran.out.strip() == "registered e717: Ada Lovelace, Ada (held by 2, needed 2)", ran.err
    _, _, headers, body = standin.asked[0]
    assert body == {
        "canonical_name": "Ada Lovelace",
        "aliases": ["Ada", "AAL"],
        "namespace": "people",
    }
    assert (headers["x-agent-id"], headers["idempotency-key"]) == ("ai:me", "k")
    assert "it was so already" in mnemesh(*words, *here).out
    assert "waits for approval as a:1" in mnemesh(*words, *here).out


def test_find_shows_the_entity_or_that_there_is_none(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    standin.on("GET", "/api/v1/entities/by_alias", 200, {"found": True, **ADA, "others": ["x"]})
    standin.on("GET", "/api/v1/entities/by_alias", 200, {"found": False, "entity_id": None})
    ran = mnemesh("entity", "find", "Ada", "-n", "people", *here)
    assert "Ada Lovelace" in ran.out, ran.err
    assert standin.asked[0][1].partition("?")[2] == "alias=Ada&namespace=people"
    assert "no entity has this name" in mnemesh("entity", "find", "Bob", *here).out
    assert mnemesh("entity", "find", "Bob", *here, "--json").json["found"] is False


def test_a_walk_and_a_timeline_are_tables_or_json(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    one = {"id": "m-2", "depth": 1, "relation": "knows", "title": "Bob", "path": "m-1->m-2"}
    told = {"memories": [one], "paths": ["m-1->m-2"], "edges": [], "count": 1}
    standin.on("POST", "/api/v1/kg/query", 200, told)
    words = ("kg", "query", "m-1", "--max-depth", "3", "--valid-at", "2026-01-01T00:00:00Z")
    ran = mnemesh(*words, "--allowed-agent", "ai:a", "--allowed-agent", "ai:b", *here)
    assert "m-1->m-2" in ran.out, ran.err
    assert standin.asked[0][3] == {
        "source_id": "m-1",
        "max_depth": 3,
        "limit": 200,
        "valid_at": "2026-01-01T00:00:00Z",
        "allowed_agents": ["ai:a", "ai:b"],
    }
    assert mnemesh(*words, *here, "--json").json == told
    assert mnemesh("kg", "query", "m-1", "--max-depth", "6", *here).code == 2
    event = {
        "type": "edge_added", "timestamp": "2026-01-01T00:00:00.000Z", "relation": "knows",
        "target_id": "m-2", "title": "Bob",
    }  # fmt: skip
    standin.on("GET", "/api/v1/kg/timeline", 200, {"events": [event], "count": 1})
    ran = mnemesh("kg", "timeline", "m-1", "--since", "2026-01-01T00:00:00Z", *here)
    assert "edge_added" in ran.out, ran.err
    assert "source_id=m-1&since=2026-01-01T00%3A00%3A00Z&limit=200" in standin.asked[-1][1]


def test_ending_a_link_asks_first(mnemesh: Mnemesh, standin: StandIn) -> None:
    done = {"found": True, "valid_until": "2026-01-01T00:00:00.000Z", "durability": DURABLE}
    standin.on("POST", "/api/v1/kg/invalidate", 200, done)
    words = ("kg", "invalidate", "m-1", "m-2", "-r", "knows", "--data-dir", standin.paths.data_dir)
    assert mnemesh(*words).code == 2
    assert mnemesh(*words, "--dry-run").code == 0
    assert not standin.asked
    ran = mnemesh(*words, "--yes")
    assert ran.out.startswith("m-1 knows m-2 held until 2026-01-01"), ran.err
    assert standin.asked[0][3] == {"source_id": "m-1", "target_id": "m-2", "relation": "knows"}


def test_the_taxonomy_is_an_indented_table(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    leaf = {"namespace": "a/b", "count": 2, "subtree_count": 2, "children": []}
    root = {"namespace": "a", "count": 1, "subtree_count": 3, "children": [leaf]}
    standin.on("GET", "/api/v1/taxonomy", 200, {**root, "tree": [root], "truncated": True})
    ran = mnemesh("taxonomy", "a", "--depth", "2", *here)
    assert "  b " in ran.out, ran.err
    assert "left out" in ran.out
    assert standin.asked[0][1].partition("?")[2] == "prefix=a&depth=2&limit=1000"


def test_a_model_that_is_missing_is_told(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    missing = {"error": "llm_not_configured", "detail": "this node has no language model"}
    standin.on("POST", "/api/v1/auto_tag", 503, missing)
    ran = mnemesh("auto-tag", "m-1", *here)
    assert (ran.code, "llm_not_configured" in ran.err) == (1, True)
    standin.on("POST", "/api/v1/expand_query", 200, {"original": "q", "expanded_terms": ["r"]})
    assert mnemesh("expand-query", "q", *here).out.strip() == "r"
