"""What stands before a Markdown document between two lines of `---`.

Law: pure; reads the plain part of YAML that notes are written with: names, quoted and bare
values, lists in brackets or below each other. What goes deeper is kept as the text it is.
Nothing is executed, nothing is lost.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

_NAME: Final = re.compile(r"([A-Za-z_][\w .\-]*?)[ \t]*:(?:[ \t]+(.*)|[ \t]*)$")
_INT: Final = re.compile(r"[-+]?\d{1,15}")
_FLOAT: Final = re.compile(r"[-+]?\d{1,15}\.\d{1,15}")
_WORDS: Final = {"true": True, "false": False, "null": None, "~": None, "": None}
_LINES_MAX: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter:
    """The facts before a document, and the document.

    Attributes:
        fields: name -> text, number, truth value, None, or a list of these.
        text: what follows.
        lines: how many lines stood before it.
    """

    fields: dict[str, Any]
    text: str
    lines: int


def split_front_matter(text: str) -> FrontMatter:
    """Take the facts off a document; one without them comes back as it is."""
    whole = FrontMatter(fields={}, text=text, lines=0)
    lines = text.split("\n", _LINES_MAX)
    if lines[0].rstrip() != "---":
        return whole
    end = next(
        (n for n, line in enumerate(lines[1:], start=1) if line.rstrip() in {"---", "..."}), None
    )
    if end is None:
        return whole
    fields = _fields([line.rstrip("\r") for line in lines[1:end]])
    if fields is None:
        return whole  # two rules with prose between them
    rest = text.split("\n", end + 1)
    return FrontMatter(fields=fields, text=rest[-1] if len(rest) > end + 1 else "", lines=end + 1)


def _fields(lines: list[str]) -> dict[str, Any] | None:
    fields: dict[str, Any] = {}
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _NAME.fullmatch(line.rstrip())
        if found is None:
            return None
        below: list[str] = []
        while at < len(lines) and (not lines[at].strip() or lines[at][0] in " \t-"):
            below.append(lines[at])
            at += 1
        fields[found[1].strip()] = _value(found[2] or "", below)
    return fields


def _value(beside: str, below: list[str]) -> Any:
    """What a name stands for, by what is beside and below it."""
    deeper = [line for line in below if line.strip()]
    if not deeper:
        return _one(beside.strip())
    stripped = [line.strip() for line in deeper]
    simple = not beside.strip() and all(line.startswith("- ") for line in stripped)
    if simple and not any(_NAME.fullmatch(line[2:].strip()) for line in stripped):
        return [_scalar(line[2:].strip()) for line in stripped]
    return "\n".join([beside, *below]).strip("\n")


def _one(text: str) -> Any:
    if text.startswith("[") and text.endswith("]"):
        return [_scalar(part) for part in _parts(text[1:-1]) if part]
    return _scalar(text)


def _parts(text: str) -> list[str]:
    """Values between commas; a comma inside quotes parts nothing."""
    parts: list[str] = []
    quote, start = "", 0
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and not text[start:at].strip():
            quote = char
        elif char == ",":
            parts.append(text[start:at].strip())
            start = at + 1
    return [*parts, text[start:].strip()]


def _scalar(text: str) -> Any:
    for quote in "\"'":
        if len(text) > 1 and text[0] == text[-1] == quote:
            return text[1:-1].replace("\\" + quote, quote)
    bare = re.sub(r"(^|\s)#.*$", "", text).strip()
    if bare.lower() in _WORDS:
        return _WORDS[bare.lower()]
    if _INT.fullmatch(bare):
        return int(bare)
    if _FLOAT.fullmatch(bare):
        return float(bare)
    return bare
