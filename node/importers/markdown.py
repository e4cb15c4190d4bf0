"""Where a document falls into pieces: at its headings, and where a piece is too long.

Law: pure, and linear in the text. Every character of the text is in one piece, but for the
blank lines at its edges.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# The API allows 1 MiB; a section above this is cut between paragraphs.
SECTION_BYTES_MAX: Final = 512 * 1024
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
