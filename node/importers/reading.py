"""From a path to what an import sends: finds out what is there, and reads it.

Law: reads files and nothing else; a symbolic link never leads out of the folder that was named,
and an archive is never unpacked, only looked into, within bounds.
"""

import json
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from node.errors import UsageError
from node.importers.chats import CHATGPT, CLAUDE, kind_of, read_chats
from node.importers.documents import TEXT_SUFFIXES, document_memories
from node.importers.values import Source, stable_id

MARKDOWN: Final = "markdown"
JSON: Final = "json"
KINDS: Final = (MARKDOWN, JSON, CHATGPT, CLAUDE)
_CONVERSATIONS: Final = "conversations.json"
_ARCHIVED_BYTES_MAX: Final = 2 * 1024**3


def read_source(path: Path, *, namespace: str | None = None, kind: str | None = None) -> Source:
    """Read everything below a path.

    Args:
        path: a file, a folder, or the archive that an assistant sent.
        namespace: for memories that name none.
        kind: one of `KINDS`; found out when it is left out.

    Raises:
        UsageError: nothing there, not readable, or not in that form.
    """
    if kind is not None and kind not in KINDS:
        raise UsageError(f"--from {kind} is unknown", fix=f"Use one of {', '.join(KINDS)}")
    source = _read(path, kind)
    memories = list(source.memories)
    if namespace is not None:
        memories = [{"namespace": namespace} | memory for memory in memories]
    return Source(
        kind=source.kind,
        memories=_with_ids(memories),
        links=source.links,
        left_out=source.left_out,
    )


def _with_ids(memories: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same; those without an id get one of what they say and how often it was said before."""
    seen: Counter[str] = Counter()
    found = []
    for memory in memories:
        if memory.get("id") is None:
            said = json.dumps(memory, sort_keys=True)
            memory = memory | {"id": stable_id(JSON, said, str(seen[said]))}  # noqa: PLW2901 - the same memory, named
            seen[said] += 1
        found.append(memory)
    return found


def _read(path: Path, kind: str | None) -> Source:
    chats = kind in {CHATGPT, CLAUDE}
    if path.is_dir():
        inside = path / _CONVERSATIONS
        if chats or (kind is None and inside.is_file() and not inside.is_symlink()):
            return _json_source(_text(inside), str(inside), kind)
        if kind == JSON:
            raise UsageError(f"{path} is a folder", fix="Name the JSON file in it")
        return _folder(path)
    if path.suffix.lower() == ".zip":
        return _json_source(_archived(path), f"{path}: {_CONVERSATIONS}", kind)
    if kind == MARKDOWN or (kind is None and path.suffix.lower() in TEXT_SUFFIXES):
        return Source(kind=MARKDOWN, memories=document_memories(_text(path), path.name))
    return _json_source(_text(path), str(path), kind)


def _folder(folder: Path) -> Source:
    memories: list[dict[str, Any]] = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        # A symbolic link could lead out of the folder that was named.
        if hidden or path.is_symlink() or not path.is_file():
            continue
        if path.suffix.lower() in TEXT_SUFFIXES:
            memories.extend(document_memories(_text(path), inside.as_posix()))
    if not memories:
        raise UsageError(
            f"nothing to import in {folder}",
            why="there is no text below it in files ending in .md or .txt",
        )
    return Source(kind=MARKDOWN, memories=memories)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}", why="it is not UTF-8 text") from error


def _archived(path: Path) -> str:
    """The conversations in an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.rpartition("/")[2] == _CONVERSATIONS]
            if not names:
                raise UsageError(f"{path} holds no {_CONVERSATIONS}")
            # The size that is declared is checked against what comes out, by the reader itself.
            info = archive.getinfo(min(names, key=len))
            if info.file_size > _ARCHIVED_BYTES_MAX:
                raise UsageError(f"{path}: {info.filename} is larger than 2 GiB")
            return archive.read(info).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}", why=str(error)) from error


def _json_source(text: str, name: str, kind: str | None) -> Source:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        if kind in {CHATGPT, CLAUDE}:
            raise UsageError(f"{name} is not JSON", why=str(error)) from error
        # Also the way one file of several lines fails, so lines are tried before giving up.
        return Source(kind=JSON, memories=_json_lines(text, name, str(error)))
    found = kind_of(data)
    if kind in {CHATGPT, CLAUDE} and found != kind:
        raise UsageError(f"{name} is no export of {kind}", why=_is_rather(found))
    if found is not None and kind != JSON:
        source = read_chats(data, found)
        if not source.memories:
            raise UsageError(f"nothing to import in {name}", why="no message in it has text")
        return source
    memories, links = _records(data, name)
    return Source(kind=JSON, memories=memories, links=links)


def _is_rather(found: str | None) -> str:
    return f"it looks like one of {found}" if found else "it holds no conversations"


def _records(data: Any, name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if isinstance(data, dict) and isinstance(data.get("memories"), list):
        links = data.get("links", [])
        if not isinstance(links, list):
            raise UsageError(f"{name}: links is no list")
        return _objects(data["memories"], name, "memory"), _objects(links, name, "link")
    return _objects(data if isinstance(data, list) else [data], name, "memory"), []


def _json_lines(text: str, name: str, whole: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    # Only at line feeds: other ends of lines may stand inside a JSON text.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except (ValueError, RecursionError) as error:
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
