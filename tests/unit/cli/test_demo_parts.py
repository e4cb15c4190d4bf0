"""The parts of the demonstration that need no node."""

import itertools
import json
from pathlib import Path

import pytest

from node.cli import demo
from node.cli.demo_acts import Story
from node.cli.demo_agents import Agents
from node.cli.demo_ledger import Ledger, Verdict
from node.cli.demo_mesh import DemoMesh, free_ports
from node.cli.demo_stage import Row, Stage
from node.cli.demo_text import Texts, around, read_texts
from node.errors import UsageError

TURN = {
    "type": "turn",
    "conversation": "c-1",
    "id": "D1:1",
    "session": 1,
    "date": "a day",
    "speaker": "Ann",
    "text": "Hello there.",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    repository = tmp_path / "repository"
    (repository / "docs").mkdir(parents=True)
    (repository / "README.md").write_text("# Title\n\nwords\n\nmore words\n")
    (repository / "docs" / "a.md").write_text("# A\n\ntext of a\n\n## B\n\ntext of b\n")
    return repository


def test_documents_come_from_the_repository(root: Path) -> None:
    texts = read_texts(root, {})
    assert {document["title"] for document in texts.documents} == {"Title", "A", "B"}
    # Without conversations the paragraphs are what is written under load.
    assert [turn["content"] for turn in texts.turns] == [
        "words", "more words", "text of a", "text of b",
    ]  # fmt: skip


def test_conversations_beside_the_repository_are_read(root: Path, tmp_path: Path) -> None:
    for folder, environ in (
        (root.parent / "shared" / "data", {}),
        (tmp_path / "named", {"MNEMESH_DEMO_DATA": str(tmp_path / "named")}),
    ):
        folder.mkdir(parents=True)
        lines = [json.dumps(TURN), "broken", json.dumps({"type": "question"}), "[]"]
        (folder / "talk.jsonl").write_text("\n".join(lines))
        (turn,) = read_texts(root, environ).turns
        assert (turn["content"], turn["namespace"]) == ("Hello there.", "conversations/c-1")


def test_an_installed_wheel_has_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "a.py").write_text('"""What it is.\n\nAnd its law.\n"""\n')
    texts = read_texts(tmp_path, {})
    assert [document["title"] for document in texts.documents] == ["What it is."]
    assert len(texts.turns) == 2


def test_texts_go_round_and_say_which_time_it_is() -> None:
    first, again = itertools.islice(around([{"content": "x", "metadata": {"k": 1}}]), 2)
    assert (first["metadata"], again["metadata"]) == (
        {"k": 1, "reading": 1}, {"k": 1, "reading": 2},
    )  # fmt: skip


def test_ports_are_free_and_in_a_row() -> None:
    assert 20_000 <= free_ports(9) < 32_000


@pytest.mark.parametrize(
    ("acknowledged", "lost", "differing", "ok"),
    [(1, (), (), True), (0, (), (), False), (1, ("1",), (), False), (1, (), ("2",), False)],
)
def test_only_promises_that_were_kept_are_ok(
    acknowledged: int, lost: tuple[str, ...], differing: tuple[str, ...], *, ok: bool
) -> None:
    ledger = Ledger(acknowledged={str(n): "hash" for n in range(acknowledged)})
    texts = Texts(documents=[], turns=[], told="")
    story = Story(DemoMesh(), Agents(ledger), Stage(as_json=True), texts, iter(()))
    verdict = Verdict(lost=lost, differing=differing, strangers=(), memories=(1, 1, 1))
    assert (demo._result(story, verdict)["demo"] == "ok") is ok


def test_a_folder_with_something_in_it_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep me")
    with pytest.raises(UsageError, match="not an empty folder"):
        demo.run(directory=tmp_path, as_json=True)
    assert (tmp_path / "mine").read_text() == "keep me"


def test_off_a_terminal_the_state_is_told_in_plain_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stage = Stage(as_json=False)
    stage.show([Row(name="node-1", state="up", links="2", memories="7", digest="abc")])
    with stage.open():
        stage.act("A title")
        stage.picture()
    said = capsys.readouterr().out
    assert "1. A title" in said
    assert "node-1: up, 2 links, 7 memories, digest abc" in said
    assert "\x1b[" not in said
