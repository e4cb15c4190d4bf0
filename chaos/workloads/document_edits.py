"""What a client does to a document that it sees.

Law: a text is `[token][token]...` and is cut only between tokens, so that whatever the mesh does
with the edits of others, each token is whole or gone. Positions are code points of the text that
was seen, and are sent with its heads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chaos.check.document_view import HEAD_CHARACTERS, TOKEN
from chaos.workloads.play import Player

_BARE_SHARE: Final = 0.2
_BY_MAX: Final = 3
_FOLDED_FIRST: Final = 2  # changes: its seed and one more, so a new text is an edit of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is to be asked for.

    Attributes:
        kind: what it does, for a person.
        ops: as the interface takes them.
        heads: of the document that was seen; None to send none.
        args: what the checker has to know.
        whole: the text that is put in place of the one there, in the old way; None mostly.
    """

    kind: str
    ops: list[dict[str, Any]]
    heads: list[str] | None
    args: Mapping[str, object]
    whole: str | None = None


def shown(body: Any) -> dict[str, object]:
    """What of a document goes into the history."""
    value = body["value"]
    seen: dict[str, object] = {
        "heads": sorted(head[:HEAD_CHARACTERS] for head in heads_of(body)),
        "changes": body["changes"],
    }
    for name in ("text", "list", "count", "latest"):
        if name in value:
            seen[name] = value[name]
    if "map" in value:
        seen["map"] = sorted(value["map"])
    return seen


def heads_of(body: Mapping[str, Any]) -> list[str]:
    """The heads of a document as a node tells them."""
    return [str(head) for head in body["heads"]]


def drawn(player: Player, body: Mapping[str, Any]) -> Edit:
    """An edit of what was seen; of the text alone where there is no list yet."""
    ways = _STRUCTURED if "list" in body["value"] else _PLAIN
    draw = player.rng.choices([way for way, _ in ways], [share for _, share in ways])[0]
    return draw(player, body, heads_of(body))


def _text(player: Player, body: Mapping[str, Any], heads: list[str]) -> Edit:
    token = player.fresh()
    op: dict[str, Any] = {"op": "splice", "path": ["text"], "insert": f"[{token}]"}
    bare = player.rng.random() < _BARE_SHARE
    if not bare:  # without an index it is put at the end of whatever is there
        places = [0, *(each.end() for each in TOKEN.finditer(body["value"]["text"]))]
        op["index"] = player.rng.choice(places)
    return Edit(kind="text", ops=[op], heads=None if bare else heads, args={"text": token})


def _list(player: Player, body: Mapping[str, Any], heads: list[str]) -> Edit:
    token = player.fresh()
    place = player.rng.randint(0, len(body["value"]["list"]))
    op = {"op": "insert", "path": ["list", place], "value": token}
    return Edit(kind="list", ops=[op], heads=heads, args={"list": token})


def _both(player: Player, body: Mapping[str, Any], heads: list[str]) -> Edit:
    """Two tokens in one request: both are there or neither."""
    one, other = _text(player, body, heads), _list(player, body, heads)
    args = {**one.args, **other.args}
    return Edit(kind="both", ops=[*one.ops, *other.ops], heads=heads, args=args)


def _map(player: Player, body: Mapping[str, Any], heads: list[str]) -> Edit:
    del body
    token = player.fresh()
    op = {"op": "put", "path": ["map", token], "value": token}
    return Edit(kind="map", ops=[op], heads=_or_none(player, heads), args={"map": token})


def _latest(player: Player, body: Mapping[str, Any], heads: list[str]) -> Edit:
    """A key that all of them write: one value shows, the others are conflicts."""
    del body
    token = player.fresh()
    op = {"op": "put", "path": ["latest"], "value": token, "type": "string"}
    return Edit(kind="latest", ops=[op], heads=_or_none(player, heads), args={"latest": token})


def _count(player: Player, body: Mapping[str, Any], heads: list[str]) -> Edit:
    del body
    by = player.rng.randint(1, _BY_MAX)
    op = {"op": "increment", "path": ["count"], "by": by}
    return Edit(kind="count", ops=[op], heads=_or_none(player, heads), args={"by": by})


def _gone(player: Player, body: Mapping[str, Any], heads: list[str]) -> Edit:
    """Takes a token away, from the text or the list; brings one when there is none."""
    there = list(TOKEN.finditer(body["value"]["text"]))
    items = body["value"].get("list") or []
    if items and player.rng.random() < 0.5:
        place = player.rng.randrange(len(items))
        op: dict[str, Any] = {"op": "delete", "path": ["list", place]}
        return Edit(kind="gone", ops=[op], heads=heads, args={"list_gone": items[place]})
    if not there:
        return _text(player, body, heads)
    token = player.rng.choice(there)
    size = token.end() - token.start()
    op = {"op": "splice", "path": ["text"], "index": token.start(), "delete": size}
    return Edit(kind="gone", ops=[op], heads=heads, args={"text_gone": token[1]})


def _whole(player: Player, body: Mapping[str, Any], heads: list[str]) -> Edit:
    """The whole text with one token more, in the way of somebody who knows of no documents.

    The token is at the end, where a difference of two texts has one reading only. A document that
    nobody edited is still a plain value there, and a value would stand beside the edits of others.
    """
    if body["changes"] < _FOLDED_FIRST:
        return _text(player, body, heads)
    token = player.fresh()
    text = f"{body['value']['text']}[{token}]"
    return Edit(kind="whole", ops=[], heads=None, args={"text": token}, whole=text)


def _or_none(player: Player, heads: list[str]) -> list[str] | None:
    return None if player.rng.random() < _BARE_SHARE else heads


_Way = Callable[[Player, Mapping[str, Any], list[str]], Edit]
_PLAIN: Final[tuple[tuple[_Way, int], ...]] = ((_text, 75), (_gone, 15), (_whole, 10))
_STRUCTURED: Final[tuple[tuple[_Way, int], ...]] = (
    (_text, 30),
    (_list, 15),
    (_both, 10),
    (_map, 12),
    (_count, 18),
    (_gone, 10),
    (_latest, 5),
)
