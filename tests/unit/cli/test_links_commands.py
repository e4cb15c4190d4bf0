"""`mnemesh link`, `links`, `lineage`: what they send and what they print."""

from tests.unit.cli.standin import Mnemesh, StandIn

DURABLE = {"local": True, "acks": 2, "needed": 2, "peers": ["node-b"], "dot": "d", "token": "t"}
LINK = {
    "source_id": "m-1",
    "target_id": "m-2",
    "relation": "derived_from",
    "created_at": "2026-01-01T00:00:00.000Z",
    "observed_by": "ai:me",
}


def test_link_sends_what_was_given(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.on("POST", "/api/v1/links", 201, {**LINK, "durability": DURABLE})
    ran = mnemesh(
        "link", "m-1", "m-2", "--relation", "derived_from", "--valid-from",
        "2026-01-01T00:00:00Z", "--agent-id", "ai:me", "--idempotency-key", "k",
        "--data-dir", standin.paths.data_dir,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.out.strip() == "linked m-1 derived_from m-2 (held by 2, needed 2)"
    _, _, headers, body = standin.asked[0]
    assert body == {
        "source_id": "m-1",
        "target_id": "m-2",
        "relation": "derived_from",
        "valid_from": "2026-01-01T00:00:00Z",
    }
    assert (headers["x-agent-id"], headers["idempotency-key"]) == ("ai:me", "k")


def test_a_link_that_was_there_or_waits_is_told_so(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    standin.on("POST", "/api/v1/links", 200, {**LINK, "durability": {**DURABLE, "needed": 0}})
    assert "was there already" in mnemesh("link", "m-1", "m-2", *here).out
    standin.answers.clear()
    standin.on("POST", "/api/v1/links", 202, {"status": "pending", "pending_id": "a:1"})
    assert "waits for approval as a:1" in mnemesh("link", "m-1", "m-2", *here).out


def test_taking_a_link_back_asks_first(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--remove", "--data-dir", standin.paths.data_dir)
    standin.on("DELETE", "/api/v1/links", 200, {**LINK, "deleted": True, "durability": DURABLE})
    assert mnemesh("link", "m-1", "m-2", *here).code == 2
    assert mnemesh("link", "m-1", "m-2", *here, "--dry-run").code == 0
    assert not standin.asked
    ran = mnemesh("link", "m-1", "m-2", *here, "--yes")
    assert (ran.code, ran.out.split()[0]) == (0, "unlinked")
    assert standin.asked[0][3] == {"source_id": "m-1", "target_id": "m-2", "relation": "related_to"}


def test_links_and_lineage_are_tables_or_json(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    standin.on("GET", "/api/v1/links/m-1", 200, {"links": [LINK], "count": 1})
    assert "derived_from" in mnemesh("links", "m-1", *here).out
    assert mnemesh("links", "m-1", *here, "--json").json["links"] == [LINK]
    node = {"id": "m-2", "cid": "c1d", "relation": "derived_from", "depth": 1}
    told = {"id": "m-1", "direction": "descendants", "nodes": [node], "count": 1}
    standin.on("GET", "/api/v1/memories/m-1/lineage", 200, told)
    ran = mnemesh("lineage", "m-1", "--descendants", "--max-depth", "2", *here)
    assert "c1d" in ran.out, ran.err
    assert standin.asked[-1][1].partition("?")[2] == "max_depth=2&direction=descendants"
    ran = mnemesh("lineage", "m-1", "--json", *here)
    assert ran.json == told
    assert standin.asked[-1][1].partition("?")[2] == "max_depth=5&direction=ancestors"
