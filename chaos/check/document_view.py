"""A document as a reader saw it, in tokens.

Law: what is shown is taken apart here and nowhere else; whatever a node shows, however odd, becomes
a value that can be compared. What is no token between brackets is kept as torn.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

SEQUENCES: Final = ("text", "list")
TOKEN: Final = re.compile(r"\[([^\[\]]*)\]")
HEAD_CHARACTERS: Final = 16


class Place(NamedTuple):
    """Where a token is, or was meant to be."""

    document: str
    where: str
    token: str

    @property
    def lasts(self) -> bool:
        """It stays until somebody takes it away; another one may take the place of `latest`."""
        return self.where != "latest"

    def __str__(self) -> str:
        """For a person."""
        return f"{self.token!r} in the {self.where} of {self.document}"


class Seen(NamedTuple):
    """What somebody saw.

    Attributes:
        text: as it was shown; None where there was none.
        tokens: of the text, in order.
        torn: what else stands in the text, and entries of the map that are not what they were.
    """

    heads: tuple[str, ...]
    text: str | None
    tokens: tuple[str, ...]
    torn: tuple[str, ...]
    items: tuple[str, ...]
    keys: tuple[str, ...]
    counted: int | float | None
    latest: str | None

    def content(self) -> str:
        """As it is shown to who knows of no documents: the text, then other strings, a line each.

        What is empty has no line. Entries of a map are what their keys are, or they are torn.
        """
        lines = (self.text, self.latest, *self.items, *self.keys)
        return "\n".join(line for line in lines if line)

    def sequence(self, where: str) -> tuple[str, ...]:
        """The tokens of a sequence."""
        return self.tokens if where == "text" else self.items

    def places(self, document: str) -> list[Place]:
        """Every token that was seen."""
        held = (("text", self.tokens), ("list", self.items), ("map", self.keys))
        out = [Place(document, where, token) for where, tokens in held for token in tokens]
        return out if self.latest is None else [*out, Place(document, "latest", self.latest)]


def seen_in(shown: Mapping[str, Any]) -> Seen:
    """Take apart what a read told, or the `value` of a document (with its `heads`).

    A map is a list of its keys, or has each key as its own value.
    """
    text, count, latest = shown.get("text"), shown.get("count"), shown.get("latest")
    if not isinstance(text, str):
        text = None
    table = shown.get("map") or ()
    torn = [piece for piece in TOKEN.split(text or "")[::2] if piece]
    if isinstance(table, Mapping):
        torn += [f"{key}: {held}" for key, held in sorted(table.items()) if key != held]
    return Seen(
        heads=tuple(sorted(str(head)[:HEAD_CHARACTERS] for head in shown.get("heads") or ())),
        text=text,
        tokens=tuple(TOKEN.findall(text or "")),
        torn=tuple(torn),
        items=tuple(map(str, shown.get("list") or ())),
        keys=tuple(sorted(map(str, table))),
        counted=count if isinstance(count, int | float) and not isinstance(count, bool) else None,
        latest=None if latest is None else str(latest),
    )
