"""`mnemesh doc` with a real node: what is typed arrives, whatever others do meanwhile."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crdt.document.chunk import split_chunks
from crdt.document.model import DocumentLimits
from tests.integration.rig import RealNode, clean_environment, running
from tests.integration.rig_commands import Ran, mnemesh, newcomer, told

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    with running(newcomer(tmp_path_factory.mktemp("doc"), "a")) as one:
        yield one


def stored(node: RealNode, text: str) -> str:
    made = told("store", "Plan", text, "--kind", "document", "--agent-id", "ai:ann", node=node)
    return str(made["id"])


def content(node: RealNode, ident: str) -> str:
    return str(node.tell("GET", f"/memories/{ident}")["content"])


def edited(
    node: RealNode, ident: str, script: str, folder: Path, *options: str, code: int = 0
) -> Ran:
    """Edit in an editor, which is a script that is given the file in `$1`."""
    editor = folder / "editor.sh"
    editor.write_text(f"#!/bin/sh\nset -e\n{script}\n")
    editor.chmod(0o755)
    command = ["doc", "edit", ident, "--data-dir", str(node.data_dir), *options]
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "node", *command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
        env=clean_environment() | {"EDITOR": str(editor), "TMPDIR": str(folder)},
    )  # fmt: skip
    assert ran.returncode == code, ran.stdout + ran.stderr
    return Ran(code=ran.returncode, out=ran.stdout, err=ran.stderr)


def typing(node: RealNode, ident: str, *words: str) -> str:
    """A command line that edits the same document."""
    line = [sys.executable, "-P", "-m", "node", "doc", "edit", ident, *words]
    return shlex.join([*line, "--data-dir", str(node.data_dir)])


@pytest.mark.thorough
def test_a_document_from_its_first_word_to_its_history(node: RealNode, tmp_path: Path) -> None:
    ident = stored(node, "Bring bread.")
    assert "Bring bread." in mnemesh("doc", "show", ident, node=node).out
    first = told("doc", "show", ident, node=node)
    options = ("--append", " And cheese.", "--put", 'votes={"yes": 1}', "-m", "hungry")
    made = told("doc", "edit", ident, *options, "--agent-id", "ai:ben", node=node)
    told("doc", "edit", ident, "--put", "list=[1]", "--splice", "text=0,5,Take", node=node)
    told("doc", "edit", ident, "--put", "list/-=2", "--put", "votes/yes=5", node=node)
    now = told("doc", "show", ident, node=node)
    assert now["value"] == {
        "list": [1, 2], "text": "Take bread. And cheese.", "votes": {"yes": 5},
    }  # fmt: skip
    past = told("doc", "show", ident, "--heads", first["heads"][0], node=node)
    assert past["value"] == {"text": "Bring bread."}
    history = told("doc", "history", ident, node=node)["history"]
    assert [one["hash"] for one in history][2:] == [made["change"], *first["heads"]]
    assert (history[2]["agent_id"], history[2]["message"]) == ("ai:ben", "hungry")
    raw = tmp_path / "plan.automerge"
    assert told("doc", "show", ident, "--raw", raw, node=node)["changes"] == 4
    assert len(split_chunks(raw.read_bytes(), DocumentLimits())) == 4
    found = told("doc", "verify", node=node)
    assert ident in [one["id"] for one in found["documents"]]
    assert found["differ"] == []


def test_what_others_write_while_an_editor_is_open_stays(node: RealNode, tmp_path: Path) -> None:
    ident = stored(node, "one\ntwo\nthree\n")
    others = typing(node, ident, "--splice", "text=0,0,zero\n", "--append", "four\n")
    ran = edited(node, ident, f"{others}\nsed -i 's/two/2/; s/three/3/' \"$1\"", tmp_path)
    assert ran.out.startswith(f"edited {ident}")
    assert content(node, ident) == "zero\none\n2\n3\nfour\n"
    assert list(tmp_path.glob("mnemesh-*")) == []


def test_nothing_typed_is_nothing_sent(node: RealNode, tmp_path: Path) -> None:
    ident = stored(node, "words")
    assert edited(node, ident, 'echo >> "$1"', tmp_path).out == "nothing was changed\n"
    assert told("doc", "show", ident, node=node)["version"] == 1


@pytest.mark.thorough
def test_a_text_outlives_a_node_that_is_gone_when_the_editor_ends(
    node: RealNode, tmp_path: Path
) -> None:
    ident = stored(node, "one\n")
    stop = shlex.join(
        [sys.executable, "-P", "-m", "node", "stop", "--data-dir", str(node.data_dir)]
    )
    ran = edited(
        node, ident, f'{stop}\necho "mine" >> "$1"', tmp_path, "--agent-id", "ai:ann", code=6
    )
    assert node.process is not None
    node.process.wait(30)
    node.process = None
    node.start()
    (kept,) = tmp_path.glob("mnemesh-*.md")
    assert kept.read_text() == "one\nmine\n"
    told("doc", "edit", ident, "--splice", "text=0,0,zero\n", node=node)
    said = re.search(r"to send it: mnemesh (.*?)\.?$", ran.err, re.MULTILINE)
    assert said is not None, ran.err
    words = shlex.split(said[1])
    for _ in range(2):  # the same edit, however often it is sent
        assert mnemesh(*words, "--agent-id", "ai:ann").code == 0
    assert content(node, ident) == "zero\none\nmine\n"


def test_changes_are_shown_as_they_come(node: RealNode) -> None:
    ident = stored(node, "words")
    command = ["doc", "watch", ident, "--json", "--count", "2", "--data-dir", str(node.data_dir)]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "node", *command],
        stdout=subprocess.PIPE, text=True, env=dict(os.environ),
    ) as watching:  # fmt: skip
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        assert (first["agents"], first["cursor"]) == (["ai:ann"], first["heads"][0])
        made = told("doc", "edit", ident, "--append", "!", "--agent-id", "ai:ben", node=node)
        second: Any = json.loads(watching.stdout.readline())
        assert (second["hashes"], second["agents"]) == ([made["change"]], ["ai:ben"])
        assert watching.wait(30) == 0


def test_a_memory_of_another_kind_says_what_to_do(node: RealNode) -> None:
    made = told("store", "Note", "words", node=node)["id"]
    ran = mnemesh("doc", "show", made, node=node)
    assert ran.code != 0
    assert "memory_kind" in ran.err
    assert mnemesh("update", made, "--kind", "document", node=node).code == 0
    assert "words" in mnemesh("doc", "show", made, node=node).out


def test_an_agent_that_has_bound_a_key_signs_its_edits(node: RealNode) -> None:
    made = told("identity", "generate", "--agent-id", "ai:key", node=node)
    binding = ("--agent-id", "ai:key", "--type", "ai:test", "--pub", made["public_key_file"])
    assert mnemesh("agent", "register", *binding, node=node).code == 0
    stored_as = ("--kind", "document", "--agent-id", "ai:key")
    ident = told("store", "Plan", "words", *stored_as, node=node)["id"]
    path = f"/memories/{ident}/document"
    refused = node.ask("PATCH", path, [{"op": "delete", "path": ["text"]}], X_Agent_Id="ai:key")
    assert (refused.status, refused.body["error"]) == (401, "agent_signature_missing")
    told("doc", "edit", ident, "--append", "!", "--agent-id", "ai:key", node=node)
    assert content(node, ident) == "words!"
