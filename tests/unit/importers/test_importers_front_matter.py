"""What stands before a Markdown document."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.importers.documents import document_memories
from node.importers.front_matter import split_front_matter
from node.importers.values import clean, moment_of

NOTE = """\
---
title: "Trip: to Faro"
tags: [travel, 'far, away', "#sea"]
date: 2024-03-05
priority: 8
draft: false
rating: 4.5
url: https://example.org/a#b   # where
aliases:
  - Faro
  - The trip
nested:
  deep: 1
empty:
---

Before.

# Day one

Boats.
"""


def test_fields_are_read_and_nothing_is_lost() -> None:
    front = split_front_matter(NOTE)
    assert front.fields == {
        "title": "Trip: to Faro",
        "tags": ["travel", "far, away", "#sea"],
        "date": "2024-03-05",
        "priority": 8,
        "draft": False,
        "rating": 4.5,
        "url": "https://example.org/a#b",
        "aliases": ["Faro", "The trip"],
        "nested": "  deep: 1",
        "empty": None,
    }
    assert front.text.startswith("\nBefore.")


def test_every_section_gets_what_is_said_of_all() -> None:
    before, day = document_memories(NOTE, "trips/faro.md")
    assert before["title"] == "Trip: to Faro"
    assert day["title"] == "Day one"
    for memory in (before, day):
        assert memory["tags"] == ["travel", "far, away", "sea"]
        assert memory["created_at"] == "2024-03-05T00:00:00.000Z"
        assert memory["priority"] == 8
        assert memory["metadata"]["front_matter"]["nested"] == "  deep: 1"
    lines = NOTE.split("\n")
    assert lines[day["metadata"]["line"] - 1] == "# Day one"


@pytest.mark.parametrize(
    "text", ["no front", "---\nprose between rules\n---\n", "---\nopen: end\n", "--- \n", "", "---"]
)
def test_what_is_none_stays_text(text: str) -> None:
    front = split_front_matter(text)
    assert front.fields == {}
    assert front.text == text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("tags: a, b", {"tags": ["a", "b"]}),
        ("tags:\n- a\n- b", {"tags": ["a", "b"]}),
        ("tier: short", {"tier": "short"}),
        ("tier: eternal", {}),
        ("priority: 11", {}),
        ("priority: true", {}),
        ("date: someday", {}),
        ("date: 2024-03-05T10:00:00+02:00", {"created_at": "2024-03-05T08:00:00.000Z"}),
        ("namespace: team/notes", {"namespace": "team/notes"}),
    ],
)
def test_fields_of_a_memory_are_set_where_they_fit(line: str, told: dict[str, Any]) -> None:
    (memory,) = document_memories(f"---\n{line}\n---\ntext", "a.md")
    for name in ("tags", "priority", "created_at", "namespace"):
        assert memory.get(name) == told.get(name)
    assert memory["tier"] == told.get("tier", "long")


@given(st.text(max_size=200))
def test_any_text_is_split_and_kept(text: str) -> None:
    front = split_front_matter(text)
    assert text.endswith(front.text)
    framed = split_front_matter(f"---\na: 1\n---\n{text}")
    assert (framed.fields, framed.text, framed.lines) == ({"a": 1}, text, 3)


def test_text_that_no_node_takes_is_made_fit() -> None:
    assert clean("a\0b") == "ab"
    assert clean("\ud83d\ude00 \ud83d") == "\U0001f600 \ufffd"
    for seconds in (None, "x", True, 1e30, float("nan")):
        assert moment_of(seconds) is None
