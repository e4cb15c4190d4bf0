"""Markdown and text: one memory for each section, with what the front matter says of all.

Law: pure. What a front matter says in a form that a memory has a field for goes there; all of
it stays in the metadata too, as it was said.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from node.importers.front_matter import split_front_matter
from node.importers.markdown import split_long, split_sections
from node.importers.values import clean, stable_id, titled

TEXT_SUFFIXES: Final = frozenset({".md", ".markdown", ".mdown", ".txt", ".text", ".rst"})
_TAGS_MAX: Final = 50
_TAG_CHARS_MAX: Final = 128
_TIERS: Final = frozenset({"short", "mid", "long"})
_PRIORITIES: Final = range(1, 11)
_DATES: Final = ("created_at", "created", "date")
_TAG_NAMES: Final = ("tags", "tag", "keywords")
_COMMAS: Final = re.compile(r"[,\n]")


def document_memories(text: str, name: str) -> list[dict[str, Any]]:
    """One memory per section of a document.

    Args:
        text: the document.
        name: its path below the imported folder, with `/`.
    """
    front = split_front_matter(text)
    said = _said(front.fields)
    memories = []
    seen: dict[tuple[tuple[str, ...], str], int] = {}
    for section in split_sections(front.text):
        for part, piece in enumerate(split_long(section.text)):
            content = clean(piece)
            # Equal sections of one document are told apart by their count.
            key = (section.path, content)
            seen[key] = seen.get(key, 0) + 1
            title = section.path[-1] if section.path else _title_of(front.fields, name)
            metadata: dict[str, Any] = {
                "source_file": name,
                "heading_path": [clean(heading) for heading in section.path],
                "line": section.line + front.lines,
            }
            if front.fields:
                metadata["front_matter"] = _kept(front.fields)
            memories.append(
                {
                    "id": stable_id(name, *section.path, piece, str(seen[key])),
                    "title": titled(title, part),
                    "content": content,
                    "tier": "long",
                    "source": "import",
                    "source_uri": name,
                    **said,
                    "metadata": metadata,
                }
            )
    return memories


def _title_of(fields: dict[str, Any], name: str) -> str:
    title = fields.get("title")
    return title if isinstance(title, str) and title else Path(name).stem


def _kept(fields: dict[str, Any]) -> dict[str, Any]:
    """As it was said, in what a node may store."""
    return {
        clean(name): clean(value)
        if isinstance(value, str)
        else [clean(item) if isinstance(item, str) else item for item in value]
        if isinstance(value, list)
        else value
        for name, value in fields.items()
    }


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    """What a front matter says that a memory has a field for."""
    out: dict[str, Any] = {}
    tags = _tags(next((fields[name] for name in _TAG_NAMES if fields.get(name)), None))
    if tags:
        out["tags"] = tags
    made = next((at for name in _DATES if (at := _moment(fields.get(name)))), None)
    if made:
        out["created_at"] = made
    if fields.get("tier") in _TIERS:
        out["tier"] = fields["tier"]
    priority = fields.get("priority")
    if type(priority) is int and priority in _PRIORITIES:
        out["priority"] = priority
    space = fields.get("namespace")
    if isinstance(space, str) and space:
        out["namespace"] = clean(space)
    return out


def _tags(value: Any) -> list[str]:
    items = _COMMAS.split(value) if isinstance(value, str) else value
    if not isinstance(items, list):
        return []
    tags = [clean(str(item)).strip().removeprefix("#") for item in items if item is not None]
    short = [tag for tag in tags if tag and len(tag) <= _TAG_CHARS_MAX]
    return list(dict.fromkeys(short))[:_TAGS_MAX]


def _moment(value: Any) -> str | None:
    """RFC 3339 text of a date or a time; one without a zone is taken as UTC."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value.strip())
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if at.timestamp() < 0:
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
