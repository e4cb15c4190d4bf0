"""The documents of this project, and the code blocks in them.

Law: a block of shell commands, or of Python, says in its info string how it is run, or the
tests refuse it:

    sh here          in one folder with one home, after the other blocks of its document
    sh on=a          on machine a, which has a home and a port of its own
    sh make          `make` targets of the repository; looked up, not run
    sh install       installs the wheel; a slow test runs it
    sh systemd       for an administrator; its unit files are checked, its commands only parsed
    python here      a program of its own, in the folder of `sh here`

    until="text"     run again until the output holds the text (a state that comes about)
    shows="text"     the output holds the text at once
    needs=program    left out where the machine has no such program
"""

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
GENERATED: Final = "docs/reference/"
SHELLS: Final = frozenset({"sh", "shell", "bash", "console"})
PYTHON: Final = "python"
WAYS: Final = frozenset({"here", "on", "make", "install", "systemd"})
_FENCE: Final = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block.

    Attributes:
        document: path of its document, from the root of the repository.
        line: where it begins.
        language: first word of the info string.
        tags: the other words; `name=value` or a bare name with an empty value.
        text: what stands in it.
    """

    document: str
    line: int
    language: str
    tags: dict[str, str]
    text: str

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.document}:{self.line}"


@cache
def documents() -> tuple[str, ...]:
    """Every document that people read, from the root of the repository."""
    paths = [ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")]
    paths += (ROOT / "docs").rglob("*.md")
    paths += (ROOT / "deploy").rglob("*.md")
    return tuple(sorted(str(path.relative_to(ROOT)) for path in paths))


@cache
def text_of(document: str) -> str:
    """The whole text of a document."""
    return (ROOT / document).read_text(encoding="utf-8")


def prose_of(document: str) -> str:
    """A document without its fenced blocks."""
    return _FENCE.sub("", text_of(document))


@cache
def blocks_of(document: str) -> tuple[Block, ...]:
    """The fenced blocks of a document, in order."""
    text = text_of(document)
    out = []
    for match in _FENCE.finditer(text):
        language, *words = shlex.split(match["info"].strip()) or [""]
        tags = dict(word.partition("=")[::2] for word in words)
        line = text.count("\n", 0, match.start()) + 1
        out.append(
            Block(document=document, line=line, language=language, tags=tags, text=match["body"])
        )
    return tuple(out)


def all_blocks() -> list[Block]:
    """Of all documents that are written by hand."""
    return [b for d in documents() if not d.startswith(GENERATED) for b in blocks_of(d)]


def shell_blocks(*ways: str) -> list[Block]:
    """Blocks of commands that are run in one of these ways."""
    return [b for b in all_blocks() if b.language in SHELLS and b.tags.keys() & set(ways)]


def story_of(document: str) -> list[Block]:
    """What a reader runs of a document, in order: commands and Python."""
    run = SHELLS | {PYTHON}
    return [b for b in blocks_of(document) if b.language in run and b.tags.keys() & {"here", "on"}]
