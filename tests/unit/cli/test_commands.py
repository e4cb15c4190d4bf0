"""Commands against a node: what they send, what they print, how they end."""

import json
import os
import sys
from io import StringIO
from pathlib import Path

import pytest

from node import __version__
from node.facts import LastExit
from node.lock import DirectoryLock
from tests.unit.cli.standin import Mnemesh, StandIn, facts_of

DURABLE = {"local": True, "acks": 2, "needed": 2, "peers": ["node-b"], "dot": "d", "token": "t"}
STORED = {"id": "m-1", "tier": "mid", "quorum_acks": 2, "durability": DURABLE}


def test_store_sends_what_was_given_and_nothing_else(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.on("POST", "/api/v1/memories", 201, STORED)
    ran = mnemesh(
        "store", "a title", "some content", "-n", "team/x", "--tags", "a, b", "--agent-id",
        "ai:me", "--idempotency-key", "k", "--data-dir", standin.paths.data_dir,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "stored m-1 (held by 2, needed 2, also on node-b)" in ran.out
    method, path, headers, body = standin.asked[0]
    assert (method, path) == ("POST", "/api/v1/memories")
    assert body == {
        "title": "a title",
        "content": "some content",
        "namespace": "team/x",
        "tags": ["a", "b"],
    }
    assert headers["x-api-key"] == "the-key"
    assert headers["x-agent-id"] == "ai:me"
    assert headers["idempotency-key"] == "k"


def test_json_is_the_answer_of_the_node_and_nothing_else(
    mnemesh: Mnemesh, standin: StandIn
) -> None:
    standin.on("POST", "/api/v1/memories", 201, STORED)
    ran = mnemesh("store", "t", "c", "--json", "--data-dir", standin.paths.data_dir)
    assert ran.json == STORED
    assert ran.err == ""


def test_content_comes_from_stdin_or_a_file_too(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.on("POST", "/api/v1/memories", 201, STORED)
    monkeypatch.setattr(sys, "stdin", StringIO("from stdin"))
    here = ("--data-dir", standin.paths.data_dir)
    mnemesh("store", "-T", "t", "-c", "-", *here)
    (tmp_path / "f").write_text("from file", encoding="utf-8")
    mnemesh("store", "t", "--file", tmp_path / "f", *here)
    assert [body["content"] for *_, body in standin.asked] == ["from stdin", "from file"]
    assert mnemesh("store", "t", "c", "--file", tmp_path / "f", *here).code == 2
    assert mnemesh("store", "t", *here).code == 2


def test_a_quorum_shortfall_is_exit_code_3_and_says_what_holds(
    mnemesh: Mnemesh, standin: StandIn
) -> None:
    body = {
        "error": "quorum_not_met", "got": 1, "needed": 2, "reason": "timeout", "id": "m-1",
        "durability": {"local": True},
    }  # fmt: skip
    standin.on("POST", "/api/v1/memories", 503, body)
    ran = mnemesh("store", "t", "c", "--json", "--data-dir", standin.paths.data_dir)
    assert ran.code == 3
    assert ran.json["error"] == "quorum_not_met"
    assert ran.json["id"] == "m-1"
    assert ran.json["durability"] == {"local": True}
    assert "1 of 2" in ran.err
    assert "spreads later" in ran.err


@pytest.mark.parametrize(
    ("status", "code"), [(400, 2), (401, 4), (403, 4), (404, 1), (412, 1), (503, 1), (507, 1)]
)
def test_an_error_of_the_node_becomes_an_exit_code(
    mnemesh: Mnemesh, standin: StandIn, status: int, code: int
) -> None:
    standin.on("GET", "/api/v1/memories/abcdef", status, {"error": "some_code", "detail": "d"})
    ran = mnemesh("get", "abcdef", "--data-dir", standin.paths.data_dir)
    assert ran.code == code
    assert "some_code" in ran.err
    assert ran.out == ""


def test_get_shows_fields_and_content_without_control_characters(
    mnemesh: Mnemesh, standin: StandIn
) -> None:
    memory = {"id": "m/1", "title": "t", "content": "line\n\x1b[2Jend", "tags": ["x"]}
    standin.on("GET", "/api/v1/memories/m%2F1", 200, {"memory": memory, "links": []})
    ran = mnemesh("get", "m/1", "--data-dir", standin.paths.data_dir)
    assert "\x1b" not in ran.out
    assert "end" in ran.out
    as_json = mnemesh("get", "m/1", "--json", "--data-dir", standin.paths.data_dir)
    assert as_json.json["memory"]["content"] == "line\n\x1b[2Jend"


def test_list_passes_its_filters(mnemesh: Mnemesh, standin: StandIn) -> None:
    memory = {"id": "m-1", "tier": "mid", "namespace": "n", "title": "t", "created_at": "x"}
    standin.on("GET", "/api/v1/memories", 200, {"memories": [memory], "count": 1})
    ran = mnemesh("list", "-n", "a b", "--limit", 5, "--data-dir", standin.paths.data_dir)
    assert "m-1" in ran.out
    assert standin.asked[0][1] == "/api/v1/memories?namespace=a+b&limit=5"


def test_update_sends_only_changes_and_the_precondition(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.on("PUT", "/api/v1/memories/m-1", 200, {"memory": {"id": "m-1"}, "id": "m-1"})
    here = ("--data-dir", standin.paths.data_dir)
    ran = mnemesh("update", "m-1", "--title", "new", "--tags", "", "--if-match", '"e"', *here)
    assert ran.code == 0, ran.err
    assert standin.asked[0][3] == {"title": "new", "tags": []}
    assert standin.asked[0][2]["if-match"] == '"e"'
    assert mnemesh("update", "m-1", *here).code == 2


def test_delete_asks_and_off_a_terminal_wants_yes(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.on("DELETE", "/api/v1/memories/m-1", 200, {"deleted": True})
    here = ("--data-dir", standin.paths.data_dir)
    refused = mnemesh("delete", "m-1", "--json", *here)
    assert refused.code == 2
    assert standin.asked == []
    assert mnemesh("delete", "m-1", "--dry-run", *here).code == 0
    assert standin.asked == []
    assert mnemesh("delete", "m-1", "--yes", "--json", *here).json == {"deleted": True}


def test_without_a_node_every_command_says_how_to_start_one(
    mnemesh: Mnemesh, tmp_path: Path
) -> None:
    home = tmp_path / "none"
    for command in (["get", "abcdef"], ["list"], ["store", "a", "b"], ["node", "list"]):
        ran = mnemesh(*command, "--data-dir", home, "--json")
        assert ran.code == 6, command
        assert ran.json["error"] == "unreachable"
        assert f"mnemesh serve --data-dir {home}" in ran.err


def test_a_node_that_does_not_answer_is_unreachable(mnemesh: Mnemesh, standin: StandIn) -> None:
    facts_of(standin, agent_url="http://127.0.0.1:1").write(standin.paths.facts)
    assert mnemesh("list", "--data-dir", standin.paths.data_dir).code == 6


def test_facts_of_another_process_are_not_believed(mnemesh: Mnemesh, standin: StandIn) -> None:
    facts_of(standin, pid=1).write(standin.paths.facts)
    ran = mnemesh("list", "--data-dir", standin.paths.data_dir)
    assert ran.code == 6
    assert "is starting" in ran.err
    assert standin.asked == []


def test_a_key_that_others_can_read_is_refused(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.paths.api_key.chmod(0o644)
    ran = mnemesh("list", "--data-dir", standin.paths.data_dir)
    assert ran.code == 4
    assert "chmod 600" in ran.err


def test_status_of_a_ready_node(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.on("GET", "/livez", 200, "ok")
    standin.on("GET", "/readyz", 200, "ok")
    ran = mnemesh("status", "--ready", "--json", "--data-dir", standin.paths.data_dir)
    assert ran.code == 0
    assert ran.json["running"]
    assert ran.json["pid"] == os.getpid()
    assert ran.json["agent_url"] == standin.url


def test_status_of_a_node_that_is_not_ready_says_why(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.on("GET", "/livez", 200, "ok")
    standin.on("GET", "/readyz", 503, "joining")
    here = ("--data-dir", standin.paths.data_dir)
    assert mnemesh("status", *here).code == 0
    assert mnemesh("status", "--live", *here).code == 0
    ran = mnemesh("status", "--ready", "--json", *here)
    assert ran.code == 6
    assert ran.json["why"] == "joining"


def test_status_says_how_the_last_process_ended(mnemesh: Mnemesh, standin: StandIn) -> None:
    paths = standin.paths
    other = paths.data_dir.parent / "other"
    home = ("--data-dir", other)
    assert "does not exist" in mnemesh("status", *home).out
    with DirectoryLock(other / "lock"):
        pass
    assert mnemesh("status", *home).code == 6
    assert "never started" in mnemesh("status", *home).out
    facts_of(standin, started_at=2_000).write(other / "listener.json")
    LastExit(code=0, at_ms=1_000).write(other / "last_exit.json")
    assert "without a word" in mnemesh("status", *home).out
    LastExit(code=10, at_ms=3_000, what="the disk failed").write(other / "last_exit.json")
    words = mnemesh("status", *home).out
    assert "exit code 10" in words
    assert "the disk failed" in words
    LastExit(code=0, at_ms=3_000).write(other / "last_exit.json")
    assert "was stopped at" in mnemesh("status", *home).out


def test_stopping_what_does_not_run_is_fine(mnemesh: Mnemesh, tmp_path: Path) -> None:
    ran = mnemesh("stop", "--data-dir", tmp_path, "--json")
    assert (ran.code, ran.json) == (0, {"stopped": False, "pid": None})


MEMBERS = [
    {"node_id": "aa" * 32, "name": "node-a", "state": "ready", "digest_agree": None},
    {"node_id": "ab" * 32, "name": "node-b", "state": "ready", "digest_agree": True},
    {"node_id": "ac" * 32, "name": "node-b", "state": "ready", "digest_agree": False},
]
MESH = {"cluster": "home", "quorum": {"n": 3, "w": 2}, "members": MEMBERS}


def test_node_list_shows_members_and_quorum(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.on("GET", "/api/v1/mesh", 200, MESH)
    ran = mnemesh("node", "list", "--data-dir", standin.paths.data_dir)
    assert "home: 3 members, a write needs 2" in ran.out
    assert "DIFFERS" in ran.out
    assert mnemesh("node", "list", "--json", "--data-dir", standin.paths.data_dir).json == MESH


def test_node_remove_needs_one_member_and_yes(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.on("GET", "/api/v1/mesh", 200, MESH)
    standin.on("POST", "/api/v1/mesh/remove", 200, {"removed": True})
    here = ("--data-dir", standin.paths.data_dir)
    for which in ("node-c", "node-b", "a"):
        assert mnemesh("node", "remove", which, "--yes", *here).code == 2
    assert mnemesh("node", "remove", "node-a", *here).code == 2
    assert [method for method, *_ in standin.asked] == ["GET"] * 4
    assert mnemesh("node", "remove", "acacac", "--yes", "--force", *here).code == 0
    assert standin.asked[-1][3] == {"node_id": "ac" * 32, "force": True}


def test_import_sends_batches_with_stable_ids_and_keys_of_its_own(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path
) -> None:
    lines = [json.dumps({"title": f"t{n}", "content": "c"}) for n in range(600)]
    (tmp_path / "x.jsonl").write_text("\n".join(lines), encoding="utf-8")
    counts = {"imported": 299, "skipped": 0, "errors": [{"index": 1, "error": "bad"}]}
    standin.on("POST", "/api/v1/import", 200, counts)
    arguments = ("import", tmp_path / "x.jsonl", "--json", "--data-dir", standin.paths.data_dir)
    ran = mnemesh(*arguments)
    assert ran.code == 1
    assert ran.json["imported"] == 598
    assert [error["index"] for error in ran.json["errors"]] == [1, 501]
    assert [len(body["memories"]) for *_, body in standin.asked] == [500, 100]
    keys = [headers["idempotency-key"] for _, _, headers, _ in standin.asked]
    assert len(set(keys)) == 2
    mnemesh(*arguments)
    # A second import is asked anew, so that it is told what was there already; ids are the same.
    again = [headers["idempotency-key"] for _, _, headers, _ in standin.asked[2:]]
    assert not set(again) & set(keys)
    assert [body for *_, body in standin.asked[2:]] == [body for *_, body in standin.asked[:2]]
    assert len({one["id"] for *_, body in standin.asked[:2] for one in body["memories"]}) == 600


def test_import_is_patient_with_a_busy_node(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path
) -> None:
    (tmp_path / "x.md").write_text("# A\nb\n", encoding="utf-8")
    standin.on("POST", "/api/v1/import", 503, {"error": "overloaded"}, retry_after="0")
    standin.on("POST", "/api/v1/import", 200, {"imported": 1, "skipped": 0, "errors": []})
    ran = mnemesh("import", tmp_path / "x.md", "--data-dir", standin.paths.data_dir)
    assert ran.code == 0, ran.err
    assert len(standin.asked) == 2
    assert standin.asked[0][2]["idempotency-key"] == standin.asked[1][2]["idempotency-key"]


def test_an_import_without_quorum_goes_on_and_ends_with_3(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path
) -> None:
    (tmp_path / "x.md").write_text("# A\nb\n", encoding="utf-8")
    short = {"error": "quorum_not_met", "got": 1, "needed": 2, "reason": "timeout"}
    standin.on("POST", "/api/v1/import", 503, short, retry_after="0")
    ran = mnemesh("import", tmp_path / "x.md", "--data-dir", standin.paths.data_dir, "--json")
    assert ran.code == 3
    assert ran.json["quorum_shortfalls"] == 1


def test_a_dry_import_needs_no_node(mnemesh: Mnemesh, tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("# A\nb\n# C\nd\n", encoding="utf-8")
    ran = mnemesh("import", tmp_path, "--dry-run", "--json", "--data-dir", tmp_path / "none")
    assert (ran.code, ran.json["memories"]) == (0, 2)


def test_export_appears_whole_or_not_at_all(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path
) -> None:
    data = {"memories": [{"id": "é"}], "links": [], "count": 1}
    standin.on("GET", "/api/v1/export", 200, data)
    standin.on("GET", "/api/v1/export", 200, '{"memories": [')
    file = tmp_path / "out.json"
    arguments = ("export", file, "--json", "--data-dir", standin.paths.data_dir)
    assert mnemesh(*arguments).json["memories"] == 1
    assert json.loads(file.read_text(encoding="utf-8")) == data
    assert file.stat().st_mode & 0o777 == 0o600
    assert mnemesh(*arguments).code == 1
    assert json.loads(file.read_text(encoding="utf-8")) == data
    assert sorted(path.name for path in tmp_path.glob("*.new")) == []


def test_export_to_a_place_that_cannot_be_written(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path
) -> None:
    standin.on("GET", "/api/v1/export", 200, {"memories": []})
    ran = mnemesh("export", tmp_path / "no" / "x", "--data-dir", standin.paths.data_dir)
    assert ran.code == 4
    assert "cannot write" in ran.err


def test_version(mnemesh: Mnemesh) -> None:
    assert mnemesh("version").out == f"mnemesh {__version__}\n"
    assert mnemesh("version", "--json").json["version"] == __version__


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["get"], ["list", "--limit", "x"], ["serve", "--nope"]]
)
def test_usage_errors_are_exit_code_2_in_words(mnemesh: Mnemesh, arguments: list[str]) -> None:
    ran = mnemesh(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err
    assert mnemesh(*arguments, "--json").json["exit_code"] == 2
