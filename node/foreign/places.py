"""Places in what is here: the tokens that a peer goes on with.

Law: a token names one store, a place in its order of arrival, and what was told beside the
records. So a page neither skips nor repeats; a token of another store starts over, and a text
that is neither a token nor a timestamp is told so.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from node.contracts import Reader
from node.foreign.extras import MARK_CHARS, NAMES
from node.memory.problems import InvalidField
from node.memory.times import format_ms, parse_ms

_SLACK_MS: Final = 5_000
_MARKS: Final = f"[0-9a-f]{{{MARK_CHARS * len(NAMES)}}}"
_TOKEN: Final = re.compile(f"([0-9]{{1,19}})@([^~]*)(?:~({_MARKS}))?")
_EXPECTED: Final = "expected RFC 3339 timestamp or token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a page begins.

    Attributes:
        place: everything up to there is left out.
        marks: what was told beside the records; empty when that is not known.
        moment: since when things beside the records are told, RFC 3339; empty for all.
    """

    place: int = 0
    marks: str = ""
    moment: str = ""


def token(store_id: str, place: int, marks: str = "") -> str:
    """The opaque text of a place."""
    plain = f"{place}@{store_id}" + (f"~{marks}" if marks else "")
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def start_of(reader: Reader, text: str, name: str = "since") -> Start:
    """Where the page that a request wants begins.

    Args:
        reader: of this node.
        text: a token or a timestamp; empty for the beginning.
        name: of the field, for people.

    Raises:
        InvalidField: the text is neither a token nor a timestamp.
    """
    if not text:
        return Start()
    try:
        # A "+" of an offset that was not percent-encoded arrives as a space.
        moment = parse_ms(f"{text[:10]}{text[10:].replace(' ', '+')}")
    except ValueError:
        return _at_token(reader, text, name)
    since = max(0, moment - _SLACK_MS)
    return Start(place=max(0, reader.arrival_at(since) - 1), moment=format_ms(since))


def _at_token(reader: Reader, text: str, name: str) -> Start:
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidField(name, _EXPECTED) from error
    found = _TOKEN.fullmatch(plain)
    if found is None:
        raise InvalidField(name, _EXPECTED)
    place, store_id, marks = int(found[1]), found[2], found[3] or ""
    if token(store_id, place, marks) != text:
        raise InvalidField(name, _EXPECTED)
    return Start(place=place, marks=marks) if store_id == reader.store_id else Start()
