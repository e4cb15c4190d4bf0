"""What the demonstration stores: real text, never made up.

Law: the documentation of this repository, and conversations where a folder beside it (or the
one named by `MNEMESH_DEMO_DATA`) holds some. Where neither is, as in an installed wheel, the
words that open each source file take their place. Nothing is copied anywhere but into memories.
"""

import ast
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.importers.documents import document_memories

DATA_VARIABLE: Final = "MNEMESH_DEMO_DATA"
_TURNS_MAX: Final = 20_000
_TITLE_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What there is to store.

    Attributes:
        documents: sections of the documentation, as bodies of the API.
        turns: what is written under load: utterances, or paragraphs where there are none.
        told: in words, what was found.
    """

    documents: Sequence[Mapping[str, Any]]
    turns: Sequence[Mapping[str, Any]]
    told: str


def read_texts(root: Path, environ: Mapping[str, str]) -> Texts:
    """Find everything that can be stored.

    Args:
        root: folder that holds `docs` and the README.
        environ: the process environment.
    """
    files = sorted(path for path in (*root.glob("*.md"), *root.glob("docs/**/*.md")))
    documents = [section for path in files for section in _sections(path, root)]
    told = f"{len(documents)} sections of the documentation"
    if not documents:
        documents = list(_docstrings(root))
        told = f"{len(documents)} explanations out of the source files"
    turns = list(itertools.islice(_conversations(_data_folder(root, environ)), _TURNS_MAX))
    if turns:
        return Texts(documents=documents, turns=turns, told=f"{told}, {len(turns)} utterances")
    return Texts(documents=documents, turns=list(_paragraphs(documents)), told=told)


def around(turns: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The texts again and again; each time round says in its metadata which one it is."""
    for reading in itertools.count(1):
        for turn in turns:
            yield {**turn, "metadata": {**turn.get("metadata", {}), "reading": reading}}


def _data_folder(root: Path, environ: Mapping[str, str]) -> Path:
    named = environ.get(DATA_VARIABLE, "")
    return Path(named) if named else root.parent / "shared" / "data"


def _sections(path: Path, root: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return []
    sections = document_memories(text, path.relative_to(root).as_posix())
    return [{**section, "namespace": "docs"} for section in sections]


def _docstrings(root: Path) -> Iterator[dict[str, Any]]:
    for package in ("crdt", "node", "transport"):
        for path in sorted((root / package).rglob("*.py")):
            words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            if words:
                name = path.relative_to(root).as_posix()
                yield {
                    "title": words.splitlines()[0][:_TITLE_CHARS_MAX],
                    "content": words,
                    "namespace": "docs",
                    "source_uri": name,
                }


def _paragraphs(documents: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for document in documents:
        for part in str(document["content"]).split("\n\n"):
            if part.strip():
                yield {
                    "title": document["title"],
                    "content": part,
                    "namespace": "paragraphs",
                    "metadata": {"source_uri": document.get("source_uri", "")},
                }


def _conversations(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                turn = _turn(line)
                if turn is not None:
                    yield turn


def _turn(line: str) -> dict[str, Any] | None:
    """One utterance; None for lines of another kind."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or row.get("type") != "turn" or not row.get("text"):
        return None
    where = {key: row.get(key) for key in ("conversation", "session", "date", "id")}
    return {
        "title": f"{row.get('speaker', 'somebody')}, {row.get('date', '')}"[:_TITLE_CHARS_MAX],
        "content": str(row["text"]),
        "namespace": f"conversations/{row.get('conversation', 'unnamed')}",
        "memory_kind": "conversation",
        "metadata": where,
    }
