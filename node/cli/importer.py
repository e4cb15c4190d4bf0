"""Reading what is to be imported: JSON lines, an export, or a folder of Markdown and text.

Law: pure functions over text. One input gives the same memories with the same ids every time,
so importing twice stores once. Nothing is dropped silently: what cannot be read is an error
with file and line. Batches respect the limits of the API.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.errors import UsageError

BATCH_ITEMS_MAX: Final = 500
BATCH_BYTES_MAX: Final = 1_500_000
# The API allows 1 MiB; a section above this is cut between paragraphs.
SECTION_BYTES_MAX: Final = 512 * 1024
_TITLE_CHARS_MAX: Final = 512
_TEXT_SUFFIXES: Final = frozenset({".md", ".markdown", ".mdown", ".txt", ".text", ".rst"})
_HEADING: Final = re.compile(r"^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_UNDERLINE: Final = re.compile(r"^ {0,3}(=+|-{2,})[ \t]*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A piece of a document under one heading.

    Attributes:
        path: headings from the outermost to its own; empty before the first heading.
        text: what stands under it, without the heading, without blank edges.
        line: line of the heading, from 1.
    """

    path: tuple[str, ...]
    text: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What an import will send.

    Attributes:
        memories: bodies as the API takes them.
        links: links of an export, sent with the last batch.
    """

    memories: list[dict[str, Any]]
    links: list[dict[str, Any]]


def read_source(path: Path, *, namespace: str | None = None) -> Source:
    """Read everything below a path.

    Args:
        path: a file or a folder.
        namespace: for memories that name none.

    Raises:
        UsageError: nothing there, not readable, or not in a known form.
    """
    if path.is_dir():
        memories = _read_folder(path)
        links: list[dict[str, Any]] = []
        if not memories:
            raise UsageError(
                f"nothing to import in {path}",
                why="there is no text below it in files ending in .md or .txt",
            )
    elif path.suffix.lower() in _TEXT_SUFFIXES:
        memories, links = document_memories(_text(path), path.name), []
    else:
        memories, links = parse_json(_text(path), str(path))
    if namespace is not None:
        memories = [{"namespace": namespace} | memory for memory in memories]
    return Source(memories=memories, links=links)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}", why="it is not UTF-8 text") from error


def _read_folder(folder: Path) -> list[dict[str, Any]]:
    memories: list[dict[str, Any]] = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        # A symbolic link could lead out of the folder that was named.
        if hidden or path.is_symlink() or not path.is_file():
            continue
        if path.suffix.lower() in _TEXT_SUFFIXES:
            memories.extend(document_memories(_text(path), inside.as_posix()))
    return memories


def parse_json(text: str, name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Memories and links of an export, an array, one object, or JSON lines.

    Raises:
        UsageError: with the line at which it stops being any of these.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        # Also the way one file of several lines fails, so lines are tried before giving up.
        return _json_lines(text, name, str(error)), []
    if isinstance(data, dict) and isinstance(data.get("memories"), list):
        links = data.get("links", [])
        if not isinstance(links, list):
            raise UsageError(f"{name}: links is no list")
        return _objects(data["memories"], name, "memory"), _objects(links, name, "link")
    return _objects(data if isinstance(data, list) else [data], name, "memory"), []


def _json_lines(text: str, name: str, whole: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except ValueError as error:
            words = f"as lines: {error}" if found else f"as one document: {whole}"
            raise UsageError(
                f"{name}, line {number} is not JSON",
                why=words,
                fix="Expected an export, an array of memories, or one memory per line",
            ) from error
        found.extend(_objects([data], f"{name}, line {number}", "memory"))
    if not found:
        raise UsageError(f"nothing to import in {name}", why="it is empty")
    return found


def _objects(items: Iterable[Any], name: str, noun: str) -> list[dict[str, Any]]:
    found = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise UsageError(f"{name}: {noun} {index} is no JSON object")
        found.append(item)
    return found


def document_memories(text: str, name: str) -> list[dict[str, Any]]:
    """One memory per section of a document.

    Args:
        text: the document.
        name: its path below the imported folder, with `/`.
    """
    memories = []
    seen: dict[tuple[tuple[str, ...], str], int] = {}
    for section in split_sections(text):
        for part, content in enumerate(split_long(section.text)):
            # Equal sections of one document are told apart by their count.
            key = (section.path, content)
            seen[key] = seen.get(key, 0) + 1
            title = section.path[-1] if section.path else Path(name).stem
            memories.append(
                {
                    "id": stable_id(name, *section.path, content, str(seen[key])),
                    "title": _titled(title, part),
                    "content": content,
                    "tier": "long",
                    "source": "import",
                    "source_uri": name,
                    "metadata": {
                        "source_file": name,
                        "heading_path": list(section.path),
                        "line": section.line,
                    },
                }
            )
    return memories


def _titled(title: str, part: int) -> str:
    suffix = f" (part {part + 1})" if part else ""
    return title.replace("\0", "")[: _TITLE_CHARS_MAX - len(suffix)] + suffix


def stable_id(*parts: str) -> str:
    """An id, shaped like a UUID, that depends on these texts only."""
    digest = hashlib.sha256(b"".join(_framed(part) for part in parts)).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def _framed(part: str) -> bytes:
    # With its length in front, so that ("ab", "c") and ("a", "bc") differ.
    raw = part.encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(8) + raw


def split_sections(text: str) -> list[Section]:
    """Split Markdown at its headings (CommonMark 0.31, sections 4.2 and 4.3).

    Headings inside fenced code are text. A heading with only other headings under it
    names them; one with nothing at all is its own text. Text without headings is one section.
    """
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    body: list[str] = []
    start = 1
    for number, line, heading in _classified(text.splitlines()):
        if heading is None:
            body.append(line)
            continue
        level, title = heading
        leaf = not path or level <= path[-1][0]
        _close(sections, path, body, start, leaf=leaf)
        path = [(depth, name) for depth, name in path if depth < level]
        path.append((level, title))
        body, start = [], number
    _close(sections, path, body, start, leaf=True)
    return sections


def _close(
    sections: list[Section], path: list[tuple[int, str]], body: list[str], start: int, *, leaf: bool
) -> None:
    text = "\n".join(body).strip("\n").rstrip()
    names = tuple(name for _, name in path)
    if not text.strip() and leaf and names:
        # Nothing below says it, so the heading is the text.
        text = names[-1]
    if text.strip():
        sections.append(Section(path=names, text=text, line=start))


def _classified(lines: list[str]) -> Iterator[tuple[int, str, tuple[int, str] | None]]:
    """Each line with its number, and level and title if it is a heading."""
    fence = ""
    skip = False
    for index, line in enumerate(lines):
        if skip:
            skip = False
            continue
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            yield index + 1, line, None
        elif mark:
            fence = mark[1]
            yield index + 1, line, None
        elif (found := _HEADING.match(line)) and found[2]:
            yield index + 1, line, (len(found[1]), found[2].strip())
        elif underlined := _underlined(lines, index):
            skip = True
            yield index + 1, line, (underlined, line.strip())
        else:
            yield index + 1, line, None


def _underlined(lines: list[str], index: int) -> int:
    """Level of a heading of one line that the next one underlines; 0 if it is none."""
    line = lines[index]
    before = lines[index - 1].strip() if index else ""
    if before or not line.strip() or line.startswith("    ") or index + 1 == len(lines):
        return 0
    mark = _UNDERLINE.match(lines[index + 1])
    # Lists, quotes and tables may stand over a rule without being headings.
    if mark is None or line.lstrip()[0] in "-*+>|#=":
        return 0
    return 1 if mark[1][0] == "=" else 2


def split_long(text: str, *, bytes_max: int = SECTION_BYTES_MAX) -> list[str]:
    """Cut a text into parts of at most `bytes_max`, at paragraphs, else lines, else anywhere."""
    if len(text.encode("utf-8", "surrogatepass")) <= bytes_max:
        return [text]
    for separator in ("\n\n", "\n"):
        pieces = text.split(separator)
        if len(pieces) > 1:
            return _packed(pieces, separator, bytes_max)
    # A character takes at most 4 bytes.
    step = max(1, bytes_max // 4)
    return [text[at : at + step] for at in range(0, len(text), step)]


def _packed(pieces: list[str], separator: str, bytes_max: int) -> list[str]:
    parts: list[str] = []
    current: list[str] = []
    size = 0
    for piece in pieces:
        length = len(piece.encode("utf-8", "surrogatepass")) + len(separator)
        if current and size + length > bytes_max:
            parts.append(separator.join(current))
            current, size = [], 0
        current.append(piece)
        size += length
    parts.append(separator.join(current))
    return [cut for part in parts if part.strip() for cut in split_long(part, bytes_max=bytes_max)]


def batches(
    memories: Iterable[Mapping[str, Any]],
    *,
    items_max: int = BATCH_ITEMS_MAX,
    bytes_max: int = BATCH_BYTES_MAX,
) -> Iterator[list[Mapping[str, Any]]]:
    """Group memories so that each group fits into one request."""
    batch: list[Mapping[str, Any]] = []
    size = 0
    for memory in memories:
        length = len(json.dumps(memory, ensure_ascii=False).encode("utf-8", "surrogatepass")) + 2
        if batch and (len(batch) >= items_max or size + length > bytes_max):
            yield batch
            batch, size = [], 0
        batch.append(memory)
        size += length
    if batch:
        yield batch
