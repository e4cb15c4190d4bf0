"""What an import makes of files: pure, repeatable, and never silent."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import UsageError
from node.importers.documents import document_memories
from node.importers.markdown import split_long, split_sections
from node.importers.reading import read_source
from node.importers.values import Source, batches, stable_id

DOCUMENT = """\
Before any heading.

# Guide

Welcome.

## Install ##

Run it.

```sh
# not a heading
```

~~~
## neither
~~~

### Empty

#### Deep

Text.

## Use

Underlined
==========

Below.

- item
---
"""


def shape(text: str) -> list[tuple[tuple[str, ...], str]]:
    return [(section.path, section.text) for section in split_sections(text)]


def test_a_document_is_split_at_its_headings() -> None:
    found = shape(DOCUMENT)
    assert [path for path, _ in found] == [
        (),
        ("Guide",),
        ("Guide", "Install"),
        ("Guide", "Install", "Empty", "Deep"),
        ("Guide", "Use"),
        ("Underlined",),
    ]
    assert found[0][1] == "Before any heading."
    assert "# not a heading" in found[2][1]
    assert "## neither" in found[2][1]
    assert found[5][1] == "Below.\n\n- item\n---"


def test_sections_know_their_line() -> None:
    assert [section.line for section in split_sections("a\n\n# B\nb\n")] == [1, 3]


@pytest.mark.parametrize(
    "text",
    ["#hashtag\n", "    # code\n", "####### seven\n", "#\n", "a\n\n---\n\nb", "| a |\n---\n"],
)
def test_what_only_looks_like_a_heading_is_text(text: str) -> None:
    assert [path for path, _ in shape("x\n\n" + text)] == [()]


def test_a_heading_with_nothing_below_is_its_own_text() -> None:
    assert shape("# A\n## B\n# C\n") == [(("A", "B"), "B"), (("C",), "C")]


def test_an_open_fence_reaches_to_the_end() -> None:
    assert len(split_sections("# A\n```\n# B\n")) == 1


def test_windows_line_ends_are_understood() -> None:
    assert shape("# A\r\n\r\nb\r\n") == [(("A",), "b")]


@given(st.lists(st.sampled_from(["", "# ", "## ", "### ", "> ", "- ", "    "]), max_size=12))
def test_no_word_is_lost(beginnings: list[str]) -> None:
    lines = [f"{beginning}w{number}." for number, beginning in enumerate(beginnings)]
    kept = " ".join(" ".join([*path, text]) for path, text in shape("\n".join(lines)))
    assert [number for number in range(len(lines)) if f"w{number}." not in kept] == []


@given(st.text(min_size=1, max_size=300), st.integers(min_value=8, max_value=64))
def test_long_text_is_cut_without_losing_a_word(text: str, bytes_max: int) -> None:
    parts = split_long(text, bytes_max=bytes_max)
    assert all(len(part.encode("utf-8", "surrogatepass")) <= bytes_max for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_a_section_becomes_a_memory_with_where_it_comes_from() -> None:
    memory = document_memories("# Guide\n## Install\nRun it.\n", "docs/guide.md")[0]
    assert memory["title"] == "Install"
    assert memory["content"] == "Run it."
    assert memory["source_uri"] == "docs/guide.md"
    assert memory["metadata"] == {
        "source_file": "docs/guide.md",
        "heading_path": ["Guide", "Install"],
        "line": 2,
    }


def test_ids_are_the_same_every_time_and_differ_between_sections() -> None:
    text = "# A\nsame\n# A\nsame\n# B\nsame\n"
    once, twice = document_memories(text, "x.md"), document_memories(text, "x.md")
    assert once == twice
    assert len({memory["id"] for memory in once}) == 3
    assert {m["id"] for m in once}.isdisjoint(m["id"] for m in document_memories(text, "y.md"))


def test_ids_depend_on_where_one_text_ends_and_the_next_begins() -> None:
    assert stable_id("ab", "c") != stable_id("a", "bc")


def test_a_folder_is_read_in_order_without_hidden_files_and_links(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out.md"
    (folder / "sub").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "b.md").write_text("b", encoding="utf-8")
    (folder / "sub" / "a.txt").write_text("plain text", encoding="utf-8")
    (folder / ".git" / "c.md").write_text("hidden", encoding="utf-8")
    (folder / "image.png").write_bytes(b"\x89")
    outside.write_text("outside", encoding="utf-8")
    (folder / "link.md").symlink_to(outside)
    found = read_source(folder).memories
    assert [memory["source_uri"] for memory in found] == ["b.md", "sub/a.txt"]
    assert found[1]["title"] == "a"


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to import"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '{"title": "a", "content": "b"}\n\n{"title": "c", "content": "d"}\n',
        '[{"title": "a", "content": "b"}, {"title": "c", "content": "d"}]',
        json.dumps({"memories": [{"title": "a", "content": "b"}, {"title": "c", "content": "d"}]}),
    ],
)
def test_lines_arrays_and_exports_are_understood(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("\ufeff" + text, encoding="utf-8")
    assert [memory["title"] for memory in read_source(tmp_path / "x.json").memories] == ["a", "c"]


def read_text(folder: Path, text: str) -> Source:
    (folder / "x.json").write_text(text, encoding="utf-8")
    return read_source(folder / "x.json")


def test_an_export_brings_its_links(tmp_path: Path) -> None:
    link = {"source_id": "a", "target_id": "b"}
    source = read_text(tmp_path, json.dumps({"memories": [], "links": [link]}))
    assert (source.memories, source.links) == ([], [link])


def test_one_object_is_one_memory(tmp_path: Path) -> None:
    (memory,) = read_text(tmp_path, '{"title": "a"}').memories
    assert {**memory, "id": ""} == {"title": "a", "id": ""}


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x.json, line 2 is not JSON"):
        read_text(tmp_path, '{"a": 1}\n{"a": \n')


@pytest.mark.parametrize("text", ["", "  \n", "[1]", '{"memories": [3]}', "3"])
def test_what_holds_no_memories_is_an_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_text(tmp_path, text)


def test_binary_and_absent_files_are_errors_in_words(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_source(tmp_path / "x.json")
    with pytest.raises(UsageError, match="No such file"):
        read_source(tmp_path / "none.md")


def test_a_namespace_is_given_to_those_without_one(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('[{"namespace": "own"}, {}]', encoding="utf-8")
    found = read_source(tmp_path / "x.json", namespace="given").memories
    assert [memory["namespace"] for memory in found] == ["own", "given"]


def test_batches_respect_both_bounds_and_keep_the_order() -> None:
    memories = [{"n": number, "text": "x" * 50} for number in range(20)]
    made = list(batches(memories, items_max=7, bytes_max=400))
    assert [memory for batch in made for memory in batch] == memories
    assert all(len(batch) <= 7 and len(json.dumps(batch)) <= 400 + 2 for batch in made)
    assert [len(batch) for batch in batches(memories, items_max=7)] == [7, 7, 6]
    assert [len(batch) for batch in batches(memories, bytes_max=1)] == [1] * 20


def test_lines_without_ids_get_ids_of_what_they_say(tmp_path: Path) -> None:
    row = json.dumps({"title": "t", "content": "c"})
    path = tmp_path / "x.jsonl"
    path.write_text(f'{row}\n{row}\n{{"id": "own", "title": "t", "content": "c"}}\n')
    first, second, own = (one["id"] for one in read_source(path).memories)
    assert (first != second, own) == (True, "own")
    assert [one["id"] for one in read_source(path).memories] == [first, second, "own"]
    assert read_source(path, namespace="other").memories[0]["id"] != first
