"""Edits of a document from what a person types: places in it, and how one text becomes another.

Law: pure. A place is written as a JSON pointer (RFC 6901), with or without its first slash; what
is a number in it is a place in a list and a key in a map. Positions count code points.
"""

import json
import re
from typing import Any, Final

from crdt.document.text_difference import difference
from node.errors import UsageError

Edit = dict[str, Any]
_END: Final = "-"
_SPLICE_PARTS: Final = 3


def path_of(pointer: str, value: Any) -> list[str | int]:
    """Where a pointer leads in a document.

    Raises:
        UsageError: it leads nowhere.
    """
    parts = pointer.removeprefix("/").split("/")
    out: list[str | int] = []
    here = value
    for part in parts:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(here, list):
            step = _place(name, here, pointer)
            here = here[step] if step < len(here) else None
            out.append(step)
        elif isinstance(here, str):
            raise UsageError(f"{pointer} leads into a text", fix="Use --splice to change a text")
        else:
            here = here.get(name) if isinstance(here, dict) else None
            out.append(name)
    return out


def _place(name: str, items: list[Any], pointer: str) -> int:
    if name == _END:
        return len(items)
    if not re.fullmatch(r"[0-9]{1,9}", name):
        raise UsageError(f"{pointer}: {name!r} is no place in a list", fix="Give a number, or -")
    return int(name)


def at(path: list[str | int], value: Any) -> Any:
    """What stands at a path; None for nothing."""
    for step in path:
        if isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def put(text: str, value: Any) -> Edit:
    """The edit of `--put PATH=JSON`; behind the end of a list it is an insertion.

    Raises:
        UsageError: it is none.
    """
    pointer, equals, given = text.partition("=")
    if not equals or not pointer:
        raise UsageError(f"--put {text}: there is no PATH=JSON", fix="Write: --put 'done=true'")
    try:
        wanted = json.loads(given)
    except ValueError as error:
        fix = f"A text needs quotes: --put '{pointer}=\"...\"'"
        raise UsageError(f"--put {pointer}: this is no JSON", why=str(error), fix=fix) from error
    path = path_of(pointer, value)
    items = at(path[:-1], value)
    past = isinstance(items, list) and isinstance(path[-1], int) and path[-1] >= len(items)
    return {"op": "insert" if past else "put", "path": path, "value": wanted}


def splice(text: str, value: Any) -> Edit:
    """The edit of `--splice PATH=INDEX,DELETE,INSERT`; of a list, what is inserted is JSON.

    Raises:
        UsageError: it is none.
    """
    pointer, equals, given = text.partition("=")
    parts = given.split(",", _SPLICE_PARTS - 1)
    if not equals or len(parts) != _SPLICE_PARTS or not all(p.isdecimal() for p in parts[:2]):
        raise UsageError(
            f"--splice {text}: there is no PATH=INDEX,DELETE,INSERT",
            fix="Write: --splice 'text=0,5,Hello'",
        )
    path = path_of(pointer, value)
    inserted: Any = parts[2]
    if isinstance(at(path, value), list):
        try:
            inserted = json.loads(parts[2] or "[]")
        except ValueError as error:
            raise UsageError(f"--splice {pointer}: a list takes a JSON list") from error
    return {
        "op": "splice",
        "path": path,
        "index": int(parts[0]),
        "delete": int(parts[1]),
        "insert": inserted,
    }


def append(text: str) -> Edit:
    """The edit of `--append TEXT`."""
    return {"op": "splice", "path": ["text"], "insert": text}


def rewritten(view: dict[str, Any], new: str) -> list[Edit]:
    """The edits that make the text of a document another one: as little as is found.

    They are made from behind, so that no place moves before it is used.

    Raises:
        UsageError: what the document has under `text` is no text.
    """
    old = view["value"].get("text")
    if old == new or (old is None and not new):
        return []
    if old is not None and not isinstance(old, str):
        raise UsageError("the document has no text", fix="Use --put or --splice")
    if old is None or not view["types"].get("/text", "").startswith("text"):
        return [{"op": "put", "path": ["text"], "value": new, "type": "text"}]
    return [
        {"op": "splice", "path": ["text"], "index": at, "delete": count, "insert": words}
        for at, count, words in reversed(difference(old, new))
    ]
