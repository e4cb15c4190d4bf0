"""Exports of the two assistants: what becomes a memory, and what is counted instead."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import UsageError
from node.importers.chats import CHATGPT, CLAUDE, kind_of, read_chats
from node.importers.reading import read_source


def message(role: str, text: str, at: float = 1_700_000_000.5) -> dict[str, Any]:
    return {
        "id": f"m-{text}",
        "author": {"role": role},
        "create_time": at,
        "content": {"content_type": "text", "parts": [text]},
    }


def node(parent: str | None, said: dict[str, Any] | None, *children: str) -> dict[str, Any]:
    return {"message": said, "parent": parent, "children": list(children)}


CHAT: list[dict[str, Any]] = [
    {
        "conversation_id": "c1",
        "title": "Boats",
        "current_node": "n4",
        "mapping": {
            "root": node(None, None, "n1"),
            "n1": node("root", message("system", "be kind"), "n2"),
            "n2": node("n1", message("user", "Which boat?"), "n3", "n4"),
            "n3": node("n2", message("assistant", "An old answer")),
            "n4": node("n2", message("assistant", "A sloop.")),
        },
    }
]
TALK: list[dict[str, Any]] = [
    {
        "uuid": "u1",
        "name": "Figures",
        "chat_messages": [
            {
                "uuid": "m1",
                "sender": "human",
                "text": "old form",
                "created_at": "2025-05-01T10:00:00.000000Z",
                "content": [{"type": "text", "text": "Sum this."}, {"type": "voice"}],
                "attachments": [{"file_name": "a.csv", "extracted_content": "1,2"}],
                "files": [{"file_name": "b.png"}],
            },
            {"uuid": "m2", "sender": "assistant", "text": "Three.", "content": []},
            {"uuid": "m3", "sender": "robot", "text": "?"},
        ],
    }
]


def test_the_branch_that_is_shown_is_imported_and_the_rest_is_counted() -> None:
    source = read_chats(CHAT, CHATGPT)
    assert [m["content"] for m in source.memories] == ["Which boat?", "A sloop."]
    first = source.memories[0]
    assert first["title"] == "Boats"
    assert first["created_at"] == "2023-11-14T22:13:20.500Z"
    assert first["metadata"]["speaker"] == "user"
    assert first["metadata"]["session_id"] == "chatgpt:c1"
    assert source.left_out == {
        "message of a branch that is not shown": 1,
        "message of the system role": 1,
    }


def test_without_a_mark_the_newest_leaf_is_shown() -> None:
    chat = json.loads(json.dumps(CHAT))
    del chat[0]["current_node"]
    chat[0]["mapping"]["n3"]["message"]["create_time"] = 1_800_000_000
    contents = [m["content"] for m in read_chats(chat, CHATGPT).memories]
    assert contents == ["Which boat?", "An old answer"]


def test_a_circle_of_messages_ends() -> None:
    chat = json.loads(json.dumps(CHAT))
    chat[0]["mapping"]["root"]["parent"] = "n4"
    assert len(read_chats(chat, CHATGPT).memories) == 2


def test_images_and_code_are_counted_not_guessed_at() -> None:
    chat = json.loads(json.dumps(CHAT))
    mapping = chat[0]["mapping"]
    mapping["n2"]["message"]["content"] = {
        "content_type": "multimodal_text",
        "parts": [{"asset_pointer": "x"}, "What is this?"],
    }
    mapping["n4"]["message"]["content"] = {"content_type": "code", "text": "1 + 1"}
    source = read_chats(chat, CHATGPT)
    assert [m["content"] for m in source.memories] == ["What is this?"]
    assert source.left_out["image or file"] == 1
    assert source.left_out["content of the kind code"] == 1


def test_messages_and_attached_text_of_the_other_one() -> None:
    source = read_chats(TALK, CLAUDE)
    said = [(m["title"], m["content"], m["metadata"]["speaker"]) for m in source.memories]
    assert said == [
        ("Figures", "Sum this.", "user"),
        ("a.csv", "1,2", "user"),
        ("Figures", "Three.", "assistant"),
    ]
    assert source.memories[0]["created_at"].startswith("2025-05-01T10:00:00")
    assert "created_at" not in source.memories[2]
    assert source.left_out == {
        "content of the kind voice": 1,
        "image or file": 1,
        "message of an unknown sender": 1,
    }


@pytest.mark.parametrize(("data", "kind"), [(CHAT, CHATGPT), (TALK, CLAUDE)])
def test_importing_twice_gives_the_same_ids(data: list[Any], kind: str) -> None:
    assert kind_of(data) == kind
    ids = [m["id"] for m in read_chats(data, kind).memories]
    assert ids == [m["id"] for m in read_chats(data, kind).memories]
    assert len(set(ids)) == len(ids)


def test_a_folder_an_archive_and_the_file_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps(CHAT))
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(file, "export/conversations.json")
    sources = [read_source(path, namespace="chats") for path in (file, tmp_path, archive)]
    assert sources[0].memories == sources[1].memories == sources[2].memories
    assert {source.kind for source in sources} == {CHATGPT}
    assert sources[0].memories[0]["namespace"] == "chats"


def test_what_is_no_such_export_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps(CHAT))
    with pytest.raises(UsageError, match="no export of claude"):
        read_source(file, kind=CLAUDE)
    with pytest.raises(UsageError, match="unknown"):
        read_source(file, kind="word")
    broken = tmp_path / "x.zip"
    broken.write_bytes(b"PK nonsense")
    with pytest.raises(UsageError, match="cannot read"):
        read_source(broken)
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as packed:
        packed.writestr("other.json", "[]")
    with pytest.raises(UsageError, match=r"holds no conversations\.json"):
        read_source(tmp_path / "y.zip")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "mapping",
                    "message",
                    "author",
                    "role",
                    "content",
                    "parts",
                    "parent",
                    "chat_messages",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, min_size=1, max_size=3), st.sampled_from([CHATGPT, CLAUDE]))
def test_any_json_is_read_without_a_crash(data: list[Any], kind: str) -> None:
    for memory in read_chats(data, kind).memories:
        assert memory["content"]
        json.dumps(memory, ensure_ascii=False).encode()
