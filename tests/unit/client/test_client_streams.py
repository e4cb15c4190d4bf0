"""Long answers, cut anywhere."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.client.errors import BrokenAnswer
from node.client.streams import Event, EventReader, ExportReader

RECORDS = st.lists(
    st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(), max_size=3),
    max_size=5,
)


def export(memories: list[dict[str, Any]], links: list[dict[str, Any]], count: int) -> bytes:
    head = {"exported_at": "2026-01-01T00:00:00.000Z", "memories": memories, "links": links}
    return json.dumps({**head, "count": count}, ensure_ascii=False).encode()


def read(data: bytes, cuts: list[int]) -> list[tuple[str, dict[str, Any]]]:
    reader = ExportReader()
    out: list[tuple[str, dict[str, Any]]] = []
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        out.extend(reader.feed(data[start:end]))
    reader.close()
    return out


@given(RECORDS, RECORDS, st.lists(st.integers(0, 2000), max_size=30))
def test_an_export_reads_the_same_however_it_arrives(
    memories: list[dict[str, Any]], links: list[dict[str, Any]], cuts: list[int]
) -> None:
    wanted = [("memory", m) for m in memories] + [("link", one) for one in links]
    assert read(export(memories, links, len(memories)), cuts) == wanted


@given(RECORDS.filter(bool), st.integers(1, 400))
def test_an_export_that_ends_early_is_an_error(memories: list[dict[str, Any]], short: int) -> None:
    data = export(memories, [], len(memories))
    with pytest.raises(BrokenAnswer):
        read(data[: max(0, len(data) - short)], [])


def test_an_export_that_miscounts_is_an_error() -> None:
    with pytest.raises(BrokenAnswer, match="names 3"):
        read(export([{"id": "a"}], [], 3), [])


@pytest.mark.parametrize("data", [b"[]", b"hello", b"\xff\xfe"])
def test_what_is_no_export_is_refused(data: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        read(data, [])


STREAM = (
    "retry: 2000\n\n"
    ": nothing new\n\n"
    'id: s-1\nevent: memory_store\ndata: {"id": "ä"}\n\n'
    'id: s-2\r\nevent: reset\r\ndata: {"a":\r\ndata: 1}\r\n\r\n'
    "data: [1]\n\n"
    'id: s-9\nevent: cut\ndata: {"never'
).encode()


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_events_read_the_same_however_they_arrive(cuts: list[int]) -> None:
    reader = EventReader()
    edges = sorted({0, len(STREAM), *cuts})
    found: list[Event] = []
    for start, end in itertools.pairwise(edges):
        found.extend(reader.feed(STREAM[start:end]))
    assert found == [
        Event(name="memory_store", data={"id": "ä"}, cursor="s-1"),
        Event(name="reset", data={"a": 1}, cursor="s-2"),
        Event(name="message", data={"value": [1]}, cursor="s-2"),
    ]


def test_an_event_that_is_no_json_is_an_error() -> None:
    with pytest.raises(BrokenAnswer):
        list(EventReader().feed(b"data: {\n\n"))
