"""Recall and search on real nodes: what was written shows at once, what is over never.

Law: each test asks over HTTP, as an agent does. Nothing waits for the index: a node has its
own writes in every read at once.
"""

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from node.recall.lexical import Lexical
from node.recall.schema import MARKS
from node.recall.shelf import Shelf
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until
from tests.integration.rig_commands import mnemesh, told
from tests.integration.rig_governance import decide, enrol, held, set_policy

pytestmark = [pytest.mark.integration, pytest.mark.slow]
HOSTILE = (
    "'; DROP TABLE memories; --",
    'title:(foo OR bar)^2 AND NOT "baz qux"~3 +x -y *?[a TO b]',
    "{{7*7}} ${jndi:ldap://h/a} <script>alert(1)</script>",
    "\u202egnp.exe\u202c and zero\u200bwidth",
    "\u6771\u4eac\u306b\u4f4f\u3080",
    "caf\u00e9 na\u00efve \U0001f680 C++ #hash a/b",
    "the of and",
)


def recalled(node: RealNode, context: str, /, **fields: Any) -> list[str]:
    headers = {"x_agent_id": fields.pop("agent")} if "agent" in fields else {}
    answer = node.tell("POST", "/recall", {"context": context, **fields}, **headers)
    assert answer["count"] == len(answer["memories"])
    return [memory["id"] for memory in answer["memories"]]


def searched(node: RealNode, words: str, extra: str = "", **headers: str) -> list[str]:
    answer = node.tell("GET", f"/search?q={quote(words, safe='')}{extra}", **headers)
    assert answer["results"] == answer["memories"]
    assert answer["query"] == words
    return [memory["id"] for memory in answer["memories"]]


def level(node: RealNode) -> dict[str, Any]:
    def there() -> dict[str, Any] | None:
        status: dict[str, Any] = node.tell("GET", "/index")
        ready = status["state"] == "ready" and status["lag_ops"] == 0 and status["waiting"] == 0
        return status if ready else None

    return until(there, "the index is level")


def test_a_node_recalls_at_once_what_it_has_written(found: Found) -> None:
    [node] = found(1)
    for turn in range(20):
        made = node.store(f"turn {turn}", f"the walrus numbered w{turn}x dives")["id"]
        assert searched(node, f"w{turn}x") == [made]
        assert recalled(node, f"which walrus is w{turn}x")[0] == made
        node.tell("PUT", f"/memories/{made}", {"content": f"now z{turn}x instead"})
        assert searched(node, f"w{turn}x") == []
        assert searched(node, f"z{turn}x") == [made]
        if turn % 2:
            node.tell("DELETE", f"/memories/{made}")
            assert searched(node, f"z{turn}x") == []
            assert made not in recalled(node, f"z{turn}x", limit=50)
    status = level(node)
    assert status["documents"] == 10
    assert node.metric("index_lag_ops") == 0


def test_hostile_text_is_found_literally(found: Found) -> None:
    [node] = found(1)
    ids = {text: node.store("t", text)["id"] for text in HOSTILE}
    for _ in range(2):  # from the overlay, then from the index
        for text, ident in ids.items():
            assert searched(node, text) == [ident], text
            assert recalled(node, text)[0] == ident or text == "the of and"
        assert searched(node, "C") == searched(node, "c++") == [ids[HOSTILE[5]]]
        assert searched(node, "C+++") == searched(node, "ha") == []
        assert searched(node, "nothing here") == []
        level(node)


def test_filters_hold_before_the_limit_and_fill_up_with_what_is_new(found: Found) -> None:
    [node] = found(1)
    for number in range(60):
        node.store(f"apple {number}", "apple pie", namespace="much")
    wanted = node.store("pear", "no fruit", namespace="few", tags=["x", "y"])["id"]
    other = node.store("plum", "no fruit either", namespace="few", tags=["x"])["id"]
    for _ in range(2):
        assert recalled(node, "apple pie", namespace="few") == [other, wanted]
        assert recalled(node, "apple pie", tags="x,y") == [wanted]
        assert recalled(node, "apple pie", namespace="few", min_score=0.1) == []
        assert len(recalled(node, "apple", limit=1000)) == 50
        assert recalled(node, "apple pie", namespace="none") == []
        assert len(searched(node, "apple", "&namespace=much&limit=25&offset=50")) == 10
        level(node)


def test_what_is_private_or_over_is_not_recalled(found: Found) -> None:
    [node] = found(1)
    secret = node.store("secret", "gryphon", scope="private", agent_id="ai:alice")["id"]
    aside = node.store("aside", "gryphon aside")["id"]
    short = node.store("short", "gryphon soon over", ttl_secs=2)["id"]
    assert set(recalled(node, "gryphon")) == {aside, short}
    node.tell("POST", f"/archive/{aside}", {})
    for _ in range(2):
        assert aside not in recalled(node, "gryphon", limit=50)
        assert recalled(node, "gryphon", agent="ai:alice", as_agent="ai:bob") == recalled(
            node, "gryphon", agent="ai:bob"
        )
        assert secret in recalled(node, "gryphon", agent="ai:alice")
        assert secret in searched(node, "gryphon", x_agent_id="ai:alice")
        assert secret not in searched(node, "gryphon", x_agent_id="ai:bob")
        assert secret not in recalled(node, "gryphon", agent="ai:bob", as_agent="ai:alice")
        status = level(node)
    assert status["documents"] == 1  # the secret is not counted: who asks may be anybody
    until(lambda: recalled(node, "gryphon") == [], "its life is over")
    assert searched(node, "gryphon") == []
    node.tell("POST", f"/memories/{secret}/grant", {"agent_id": "ai:bob"}, x_agent_id="ai:alice")
    assert secret in recalled(node, "gryphon", agent="ai:bob")
    node.tell("POST", f"/archive/{aside}/restore", {})
    assert recalled(node, "gryphon") == [aside]


def test_a_recall_counts_as_a_read_and_changes_nothing(found: Found) -> None:
    [node] = found(1)
    made = node.store("counted", "manticore")["id"]
    before = node.get(made)
    for _ in range(3):
        recalled(node, "manticore")
    after = node.get(made)
    assert after["access_count"] == before["access_count"] + 4
    assert after["version"] == before["version"]
    assert after["updated_at"] == before["updated_at"]


def test_a_budget_of_tokens_is_kept(found: Found) -> None:
    [node] = found(1)
    for number in range(5):
        node.store(f"t{number}", "basilisk " * 40)
    small = node.store("s", "basilisk")["id"]
    answer = node.tell("GET", "/recall?context=basilisk&budget_tokens=100")
    assert answer["budget_tokens"] == 100
    assert 0 < answer["tokens_used"] <= 100
    assert small in [memory["id"] for memory in answer["memories"]]
    assert answer["count"] == 2


def test_a_kill_loses_and_doubles_nothing(found: Found) -> None:
    [node] = found(1)
    ids = []
    for life in range(4):
        ids += [node.store(f"life {life} {n}", f"hydra h{life}n{n}")["id"] for n in range(8)]
        node.kill()
        if life == 2:  # as if the index had flushed and the position was not written
            shelf = Shelf(recall_folder(node))
            progress = shelf.read()
            assert progress is not None
            text = (recall_folder(node) / "CURRENT").read_text()
            behind = text.replace(f'"arrival": {progress.arrival}', '"arrival": 0')
            (recall_folder(node) / "CURRENT").write_text(behind)
        node.start()
        until(node.ready, "the node is ready")
        assert sorted(recalled(node, "hydra", limit=50)) == sorted(ids)
    status = level(node)
    assert status["documents"] == len(ids)
    assert sorted(searched(node, "hydra", "&limit=100")) == sorted(ids)


def test_a_damaged_or_missing_index_is_made_anew(found: Found) -> None:
    [node] = found(1)
    made = node.store("kept", "chimera")["id"]
    level(node)
    for damage in ("lexical/meta.json", "order/data.mdb"):
        node.kill()
        folder = recall_folder(node)
        progress = Shelf(folder).read()
        assert progress is not None
        (folder / progress.generation / damage).write_bytes(b"damaged")
        node.start()
        until(node.ready, "the node is ready")
        assert recalled(node, "chimera") == [made]
        assert level(node)["documents"] == 1
        assert [path.name for path in folder.glob("g-*")] == [level(node)["generation"]]


def test_a_rebuild_leaves_no_byte_of_what_was_deleted(found: Found) -> None:
    [node] = found(1)
    kept = node.store("kept", "sphinx keptword")["id"]
    gone = node.store("gone", "sphinx unutterable", metadata={"speaker": "unutterable"})["id"]
    before = level(node)["generation"]
    node.tell("DELETE", f"/memories/{gone}")
    level(node)
    assert words_on_disk(node, "unutterable", "keptword") == (1, 1)
    node.tell("POST", "/index/rebuild", {})
    until(lambda: node.tell("GET", "/index")["generation"] != before, "another index")
    level(node)
    assert words_on_disk(node, "unutterable", "keptword") == (0, 1)
    assert len(list(recall_folder(node).glob("g-*"))) == 1
    assert recalled(node, "sphinx") == [kept]


def test_a_store_that_is_replaced_is_indexed_from_the_beginning(found: Found) -> None:
    nodes = found(2)
    made = nodes[0].store("early", "wyvern early")["id"]
    until(lambda: recalled(nodes[1], "wyvern") == [made], "it has arrived")
    nodes[1].kill()
    text = (recall_folder(nodes[1]) / "CURRENT").read_text()
    progress = Shelf(recall_folder(nodes[1])).read()
    assert progress is not None
    (recall_folder(nodes[1]) / "CURRENT").write_text(text.replace(progress.store_id, "another"))
    nodes[1].start()
    until(nodes[1].ready, "the node is ready")
    until(lambda: recalled(nodes[1], "wyvern") == [made], "it has arrived")
    assert nodes[1].tell("GET", "/index")["generation"] != progress.generation


def recall_folder(node: RealNode) -> Path:
    return node.data_dir / "recall"


def words_on_disk(node: RealNode, *words: str) -> tuple[int, ...]:
    """How many documents hold each word in the files, removed ones too."""
    progress = Shelf(recall_folder(node)).read()
    assert progress is not None
    lexical = Lexical(recall_folder(node) / progress.generation / "lexical")
    return tuple(lexical.found_in(MARKS, word) for word in words)


def test_recall_stays_quick_while_it_is_written_to(found: Found) -> None:
    [node] = found(1)
    memories = [{"title": f"b{n}", "content": f"kraken number{n} deep"} for n in range(1000)]
    node.tell("POST", "/memories/bulk", memories)
    began = time.monotonic()
    assert len(searched(node, "number999")) == 1
    assert time.monotonic() - began < 2


def test_commands_recall_search_and_rebuild(found: Found) -> None:
    [node] = found(1)
    made = node.store("a title", "the roc carries elephants")["id"]
    assert [
        one["id"] for one in told("recall", "who carries elephants", node=node)["memories"]
    ] == [made]
    assert told("search", "roc elephants", "--tags", "none", node=node)["count"] == 0
    assert "the roc carries" in mnemesh("search", "roc", node=node).out
    before = level(node)["generation"]
    planned = told("index", "rebuild", "--dry-run", node=node)
    assert (planned["dry_run"], level(node)["generation"]) == (True, before)
    rebuilt = told("index", "rebuild", node=node)
    assert rebuilt["documents"] == 1
    assert rebuilt["generation"] != before
    assert told("index", "status", node=node)["state"] == "ready"
    assert mnemesh("recall", " ", node=node).code == 2


def test_forgetting_and_compacting_clears_the_index_too(found: Found) -> None:
    [node] = found(1)
    kept = node.store("kept", "griffin keptword")["id"]
    gone = node.store("gone", "griffin unspeakable")["id"]
    before = level(node)["generation"]
    node.tell("POST", f"/memories/{gone}/forget", {"erase": True})
    assert recalled(node, "griffin") == [kept]
    level(node)
    node.tell("POST", "/compact", {})
    until(lambda: level(node)["generation"] != before, "the index was made anew")
    assert words_on_disk(node, "unspeakable", "keptword") == (0, 1)


def test_members_index_what_arrives_from_others(found: Found) -> None:
    nodes = found(3)
    made = nodes[0].store("shared", "a phoenix from elsewhere")["id"]
    hidden = nodes[0].store("own", "a phoenix of mine", scope="private", agent_id="ai:a")["id"]
    for node in nodes[1:]:
        until(lambda one=node: recalled(one, "phoenix") == [made], "it has arrived")
        assert hidden not in recalled(node, "phoenix", agent="ai:a")
    assert sorted(recalled(nodes[0], "phoenix", agent="ai:a")) == sorted([made, hidden])
    nodes[1].tell("PUT", f"/memories/{made}", {"content": "a simurgh instead"})
    until(lambda: searched(nodes[0], "simurgh") == [made], "the change has arrived")
    assert searched(nodes[0], "elsewhere") == []


def test_what_waits_for_approval_is_recalled_when_it_is_approved(found: Found) -> None:
    [node] = found(1)
    enrol([node])
    set_policy(node, "team", write="approve", approver="human")
    action, ident = held(node, "team", title="held", content="a cockatrice")
    assert recalled(node, "cockatrice") == []
    level(node)
    assert decide(node, action, "hana").status == 200
    assert searched(node, "cockatrice") == [ident]
    level(node)
    assert searched(node, "cockatrice") == [ident]
