"""`mnemesh doc`: what it sends and prints, and that no text that was typed is lost."""

import base64
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.standin import Mnemesh, StandIn

DURABLE = {"local": True, "acks": 2, "needed": 2, "peers": ["node-b"], "dot": "d", "token": "t"}
H1, H2 = "11" * 32, "22" * 32
PATH = "/api/v1/memories/d-00001/document"
VIEW: dict[str, Any] = {
    "id": "d-00001",
    "title": "Plan",
    "heads": [H1],
    "value": {"text": "one\ntwo\n"},
    "types": {"/text": "text"},
    "conflicts": {},
    "changes": 2,
    "set_aside": [],
    "set_aside_count": 0,
    "version": 3,
}
DONE = {"id": "d-00001", "change": H2, "heads": [H2], "version": 4, "durability": DURABLE}
Edit = Callable[..., Any]


@pytest.fixture
def here(standin: StandIn) -> tuple[object, ...]:
    standin.on("GET", PATH, 200, VIEW)
    standin.on("PATCH", PATH, 200, DONE)
    return ("d-00001", "--data-dir", standin.paths.data_dir)


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """An editor that does something to the text in `path`."""
    script = tmp_path / "editor.py"
    script.write_text(
        f"import sys, pathlib\npath = pathlib.Path(sys.argv[1])\nold = path.read_text()\n{code}\n"
    )
    monkeypatch.setenv("EDITOR", f"{shlex.quote(sys.executable)} {shlex.quote(str(script))}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def typed(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("mnemesh-*.md"))


def applied(text: str, edits: list[dict[str, Any]]) -> str:
    """A text after edits of it, one after the other."""
    for one in edits:
        assert (one["op"], one["path"]) == ("splice", ["text"])
        index = one.get("index", len(text))
        text = text[:index] + one.get("insert", "") + text[index + one.get("delete", 0) :]
    return text


def test_a_text_is_shown_as_it_is_and_the_rest_as_json(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...]
) -> None:
    ran = mnemesh("doc", "show", *here, "--heads", f"{H1},{H2}")
    assert ran.code == 0, ran.err
    assert ran.out.endswith("\n\none\ntwo\n\n")
    assert H1 in ran.out
    assert standin.asked[0][1].endswith(f"?heads={H1}%2C{H2}")
    value = {"text": "t", "n": 1}
    standin.answers[("GET", PATH)] = [
        (200, {**VIEW, "value": value, "set_aside_count": 2, "conflicts": {"/n": {"1@a": 1}}}, {})
    ]
    ran = mnemesh("doc", "show", *here)
    assert json.loads(ran.out[ran.out.index("\n\n") :]) == value
    assert '"1@a": 1' in ran.out
    assert mnemesh("doc", "show", *here, "--json").json["value"] == value


def test_changes_go_into_a_file(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...], tmp_path: Path
) -> None:
    encoded = [base64.b64encode(one).decode() for one in (b"one", b"two")]
    standin.on("GET", f"{PATH}/changes", 200, {"id": "d", "changes": encoded, "heads": [H1]})
    target = tmp_path / "plan.automerge"
    ran = mnemesh("doc", "show", *here, "--raw", target)
    assert ran.out == f"2 changes in {target}\n"
    assert target.read_bytes() == b"onetwo"
    assert mnemesh("doc", "show", *here, "--raw", target, "--heads", H1).code == 2
    assert mnemesh("doc", "show", *here, "--raw", tmp_path / "no" / "file").code == 2


def test_history_is_a_line_for_each_change(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...]
) -> None:
    entry = {
        "hash": H1, "actor": "aa", "seq": 1, "time": None, "message": "why", "deps": [], "ops": 4,
        "bytes": 90, "agent_id": "ai:a", "at": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip
    standin.on("GET", f"{PATH}/history", 200, {"id": "d", "history": [entry], "count": 1})
    ran = mnemesh("doc", "history", *here, "--limit", "5")
    line = ran.out.splitlines()[1].split()
    assert line == ["2026-01-01T00:00:00.000Z", "ai:a", H1[:12], "4", "90", "why"]
    assert standin.asked[0][1].endswith("/history?limit=5")


@pytest.mark.parametrize(("agrees", "code"), [(True, 0), (None, 0), (False, 5)])
def test_a_document_that_reads_otherwise_is_an_error(
    mnemesh: Mnemesh, standin: StandIn, *, agrees: bool | None, code: int
) -> None:
    verified = {"agrees": agrees, "detail": "words"}
    standin.on("GET", PATH, 200, {**VIEW, "verified": verified})
    memories = [{"id": "d-00001", "memory_kind": "document"}, {"id": "x", "memory_kind": "claim"}]
    standin.on("GET", "/api/v1/memories", 200, {"memories": memories, "count": 2})
    at = ("--data-dir", standin.paths.data_dir)
    for which in ("d-00001", None):
        ran = mnemesh("doc", "verify", *([which] if which else []), *at)
        assert ran.code == code, ran.err
        assert "words" in ran.out
    assert [asked[1] for asked in standin.asked] == [
        f"{PATH}?verify=true", "/api/v1/memories?limit=1000", f"{PATH}?verify=true",
    ]  # fmt: skip


def test_changes_are_told_as_they_come(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...]
) -> None:
    said = {"changes": ["YQ==", "Yg=="], "hashes": [H1, H2], "agents": ["ai:a", "ai:a"]}
    stream = (
        f"retry: 2000\n\nid: {H2}\nevent: change\ndata: {json.dumps({**said, 'heads': [H2]})}\n\n"
        ': nothing new\n\nevent: end\ndata: {"id": "d", "reason": "not_found"}\n\n'
    )
    standin.on("GET", f"{PATH}/changes", 200, stream)
    ran = mnemesh("doc", "watch", *here, "--since", H1)
    assert ran.out.splitlines() == [f"2 changes by ai:a, now at {H2[:12]}", "over: not_found"]
    asked = standin.asked[0]
    assert (asked[1], asked[2]["accept"]) == (f"{PATH}/changes?since={H1}", "text/event-stream")
    ran = mnemesh("doc", "watch", *here, "--json", "--count", "1")
    assert [json.loads(line)["cursor"] for line in ran.out.splitlines()] == [H2]


def test_edits_stand_on_the_heads_that_were_read(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...]
) -> None:
    value = {"text": "t", "list": ["a"], "a/b": {"0": 1}}
    standin.answers[("GET", PATH)] = [(200, {**VIEW, "value": value}, {})]
    ran = mnemesh(
        "doc", "edit", *here, "--put", 'list/0="b"', "--put", "/list/-=[1]", "--put", "a~1b/0=2",
        "--splice", "text=1,0,a,b", "--splice", "list=0,1,[2]", "--append", "!", "-m", "why",
        "--if-match", '"e"', "--idempotency-key", "k",
    )  # fmt: skip
    assert ran.out == "edited d-00001 (held by 2, needed 2, also on node-b)\n", ran.err
    method, _, headers, body = standin.asked[-1]
    assert (method, headers["if-match"], headers["idempotency-key"]) == ("PATCH", '"e"', "k")
    assert body == {
        "heads": [H1],
        "message": "why",
        "ops": [
            {"op": "put", "path": ["list", 0], "value": "b"},
            {"op": "insert", "path": ["list", 1], "value": [1]},
            {"op": "put", "path": ["a/b", "0"], "value": 2},
            {"op": "splice", "path": ["text"], "index": 1, "delete": 0, "insert": "a,b"},
            {"op": "splice", "path": ["list"], "index": 0, "delete": 1, "insert": [2]},
            {"op": "splice", "path": ["text"], "insert": "!"},
        ],
    }


@pytest.mark.parametrize(
    "options",
    [
        ("--put", "done"),
        ("--put", "=1"),
        ("--put", "done=yes"),
        ("--put", "text/0=1"),
        ("--put", "list/x=1"),
        ("--splice", "text=1,2"),
        ("--splice", "text=a,b,c"),
        ("--splice", "list=0,0,a"),
        ("--text", "/no/such/file"),
        ("--text", "-", "--append", "x"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...], options: tuple[str, ...]
) -> None:
    standin.answers[("GET", PATH)] = [(200, {**VIEW, "value": {"text": "t", "list": []}}, {})]
    ran = mnemesh("doc", "edit", *here, *options)
    assert ran.code == 2
    assert "do:" in ran.err or "why:" in ran.err or "list" in ran.err
    assert [asked[0] for asked in standin.asked if asked[0] == "PATCH"] == []


def test_a_dry_run_sends_nothing(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...]
) -> None:
    ran = mnemesh("doc", "edit", *here, "--append", "x", "--dry-run", "--json")
    assert ran.json["body"]["heads"] == [H1]
    assert [asked[0] for asked in standin.asked] == ["GET"]


def test_a_new_text_is_sent_as_what_differs(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...], tmp_path: Path
) -> None:
    new = tmp_path / "new"
    new.write_bytes(b"one and\r\ntwo\nthree\n")
    assert mnemesh("doc", "edit", *here, "--text", new).code == 0
    assert applied("one\ntwo\n", standin.asked[-1][3]["ops"]) == new.read_bytes().decode()
    assert sum(one.get("delete", 0) for one in standin.asked[-1][3]["ops"]) == 0
    new.write_text("one\ntwo\n")
    assert mnemesh("doc", "edit", *here, "--text", new).out == "nothing was changed\n"


@pytest.mark.parametrize(
    ("value", "types"),
    [
        ({}, {}),
        ({"text": "old"}, {}),
    ],
)
def test_what_is_no_text_to_edit_is_put(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...], tmp_path: Path,
    value: Any, types: Any,
) -> None:  # fmt: skip
    standin.answers[("GET", PATH)] = [(200, {**VIEW, "value": value, "types": types}, {})]
    (tmp_path / "new").write_text("new")
    assert mnemesh("doc", "edit", *here, "--text", tmp_path / "new").code == 0
    put = {"op": "put", "path": ["text"], "value": "new", "type": "text"}
    assert standin.asked[-1][3]["ops"] == [put]


def test_an_editor_is_given_the_text_and_what_it_leaves_is_sent(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    editor(tmp_path, monkeypatch, "assert path.stat().st_mode & 0o777 == 0o600")
    assert mnemesh("doc", "edit", *here).out == "nothing was changed\n"
    editor(tmp_path, monkeypatch, "path.write_text(old.replace('two', 'three'))")
    ran = mnemesh("doc", "edit", *here, "--message", "why")
    assert ran.code == 0, ran.err
    body = standin.asked[-1][3]
    assert applied("one\ntwo\n", body["ops"]) == "one\nthree\n"
    assert (body["heads"], body["message"]) == ([H1], "why")
    assert typed(tmp_path) == []


def test_the_line_break_at_the_end_of_a_file_is_the_editors(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    standin.answers[("GET", PATH)] = [(200, {**VIEW, "value": {"text": "one"}}, {})]
    editor(tmp_path, monkeypatch, "path.write_text(old + '\\n')")
    assert mnemesh("doc", "edit", *here).out == "nothing was changed\n"


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        ((503, {"error": "overloaded", "detail": "later"}, {}), 1),
        ((409, {"error": "heads_unknown", "detail": "no"}, {}), 1),
        ((413, {"error": "document_too_large", "detail": "no"}, {}), 2),
        ((503, {"error": "quorum_not_met", "got": 1, "needed": 2, "reason": "timeout"}, {}), 3),
    ],
)
def test_a_text_that_was_not_taken_is_kept_and_can_be_sent_again(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, refusal: Any, code: int,
) -> None:  # fmt: skip
    standin.answers[("GET", PATH)] = [(200, {**VIEW, "value": {"text": "one"}}, {})]
    standin.answers[("PATCH", PATH)] = [refusal]
    editor(tmp_path, monkeypatch, "path.write_text(old + ' and mine\\n')")
    who = ("--agent-id", "ai:ann", "--if-match", '"of 3"')
    ran = mnemesh("doc", "edit", *here, "-m", "for us", *who)
    assert ran.code == code
    (kept,) = typed(tmp_path)
    assert kept.read_text() == "one and mine"
    assert f"Your text is in {kept}" in ran.err
    _, _, headers, body = standin.asked[-1]
    # What it says to type is the very same request, so nothing can be done twice by it.
    said = ran.err.replace("\n", " ").partition("to send it: mnemesh ")[2].strip().rstrip(".")
    standin.answers[("PATCH", PATH)] = [(200, DONE, {})]
    again = mnemesh(*shlex.split(said))
    assert again.code == 0, again.err
    assert standin.asked[-1][3] == body
    for name in ("idempotency-key", "x-agent-id", "if-match"):
        assert standin.asked[-1][2][name] == headers[name]
    assert standin.asked[-2][1] == f"{PATH}?heads={H1}"


def test_what_is_no_text_is_kept_as_it_was_typed(
    mnemesh: Mnemesh, here: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, "path.write_bytes(b'\\xff')")
    ran = mnemesh("doc", "edit", *here)
    assert (ran.code, "not UTF-8" in ran.err) == (2, True)
    assert [kept.read_bytes() for kept in typed(tmp_path)] == [b"\xff"]
    assert str(typed(tmp_path)[0]) in ran.err


@pytest.mark.parametrize(
    "command", ["/no/such/editor", f"{shlex.quote(sys.executable)} -c exit(3)"]
)
def test_an_editor_that_fails_changes_nothing(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, command: str,
) -> None:  # fmt: skip
    editor(tmp_path, monkeypatch, "")
    monkeypatch.setenv("VISUAL", command)
    ran = mnemesh("doc", "edit", *here)
    assert ran.code == 2
    assert "Your text is in" in ran.err
    assert [asked[0] for asked in standin.asked] == ["GET"]


def test_without_an_editor_nobody_is_asked(
    mnemesh: Mnemesh, here: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    ran = mnemesh("doc", "edit", *here)
    assert (ran.code, "Set EDITOR" in ran.err) == (2, True)


def test_what_waits_for_approval_says_so(
    mnemesh: Mnemesh, standin: StandIn, here: tuple[object, ...]
) -> None:
    held = {"status": "pending", "pending_id": "p-1", "id": "d-00001", "durability": DURABLE}
    standin.answers[("PATCH", PATH)] = [(202, held, {})]
    assert mnemesh("doc", "edit", *here, "--append", "x").out == "waits for approval as p-1\n"
