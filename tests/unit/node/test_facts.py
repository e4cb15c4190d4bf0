"""Notes for the command line: whole, private, and forgiving to read."""

import os
from dataclasses import replace
from pathlib import Path

from node.facts import LastExit, ListenerFacts

FACTS = ListenerFacts(
    pid=1,
    node_id="ab",
    name="a",
    cluster="c",
    agent_url="http://127.0.0.1:1",
    peer_url="https://127.0.0.1:2",
    fingerprint="cd",
    api_key_file="/k",
    key_dir="/keys",
    allowlist="/l",
    config="/c",
    argv=("mnemesh", "serve"),
    started_at=5,
)


def test_facts_survive_the_file_and_are_private(tmp_path: Path) -> None:
    FACTS.write(tmp_path / "listener.json")
    assert ListenerFacts.read(tmp_path / "listener.json") == FACTS
    assert (tmp_path / "listener.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["listener.json"]


def test_what_cannot_be_read_is_no_fact(tmp_path: Path) -> None:
    path = tmp_path / "listener.json"
    assert ListenerFacts.read(path) is None
    for text in ("", "[]", "{", '{"pid": 1}'):
        path.write_text(text, encoding="utf-8")
        assert ListenerFacts.read(path) is None
        assert LastExit.read(path) is None


def test_facts_of_a_later_version_are_read_too(tmp_path: Path) -> None:
    FACTS.write(tmp_path / "f")
    text = (tmp_path / "f").read_text(encoding="utf-8")
    (tmp_path / "f").write_text(text.replace("{", '{"new": 1,', 1), encoding="utf-8")
    assert ListenerFacts.read(tmp_path / "f") == FACTS


def test_the_last_exit_survives_the_file(tmp_path: Path) -> None:
    LastExit(code=10, at_ms=3, what="EIO").write(tmp_path / "x")
    assert LastExit.read(tmp_path / "x") == LastExit(code=10, at_ms=3, what="EIO")


def test_the_note_follows_the_certificate_of_its_own_process_alone(tmp_path: Path) -> None:
    path = tmp_path / "listener.json"
    ListenerFacts.show(path, "ef")
    assert not path.exists()
    replace(FACTS, pid=os.getpid()).write(path)
    ListenerFacts.show(path, "ef")
    assert ListenerFacts.read(path) == replace(FACTS, pid=os.getpid(), fingerprint="ef")
    FACTS.write(path)
    ListenerFacts.show(path, "ef")
    assert ListenerFacts.read(path) == FACTS
