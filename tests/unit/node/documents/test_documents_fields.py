"""Chunks of a document among the fields that are told, shown and counted."""

import orjson

from crdt.document.model import Stored
from crdt.dot import Dot, new_actor
from crdt.op import Kind, Op
from node.events.telling import changed_fields
from node.memory.record import operation_of
from node.quota.quotas import size_of

DOT = Dot(new_actor(b"d", 0, bytes(8), bytes(32)), 1)
NAME = "chunk/" + "ab" * 32


def edit(**fields: object) -> Op:
    return Op(dot=DOT, kind=Kind.EDIT, collection="memory", id="m", agent="ann", set=fields)


def test_the_history_of_a_memory_shows_a_chunk_by_its_length() -> None:
    shown = operation_of(edit(**{NAME: bytes(113), "rev": 2}))
    assert shown["fields"] == {NAME: "113 bytes", "rev": 2}
    orjson.dumps(shown)


def test_who_follows_events_is_told_that_the_content_changed() -> None:
    op = edit(**{NAME: b"x", "rev": 2})._replace(removed=frozenset({"chunk/00", "content"}))
    assert changed_fields(op) == ["content"]


def stored(name: str, size: int) -> Stored:
    return Stored(name, bytes(size), "ann", 1, DOT)


def test_chunks_count_in_place_of_the_text_that_they_make() -> None:
    plain = {"title": "abc", "content": "text", "memory_kind": "document"}
    assert size_of(plain) == 7
    begun = {**plain, "chunk": (stored("chunk/a", 50), stored("chunk/b", 20))}
    assert size_of(begun) == 73
    edited = {**begun, "chunk/c": bytes(5), "chunk/a": None}
    assert size_of(edited) == 28
    over = {**begun, "memory_kind": "observation", "chunk/a": None, "chunk/b": None}
    assert size_of(over) == 7
    assert size_of({"title": "abc", "memory_kind": "document", "chunk/c": bytes(9)}) == 12
