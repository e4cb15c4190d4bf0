"""What a hook said.

Law: pure. Yes is exit code 0, or a status 2xx. No is exit code 1, or status 403, with a reason:
a JSON object with `reason` and, of several items, `items`; or else the first line. Everything
else is no answer at all: a program that fell over has not decided anything, and many end with 1
when they do, so a no without a word is a failure too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

REASON_CHARS_MAX: Final = 500
_NO: Final = 1
_FORBIDDEN: Final = 403
_OK: Final = range(200, 300)
# More digits are no place in any document, and a number of thousands is costly to read.
_PLACE_DIGITS_MAX: Final = 9


class Outcome(StrEnum):
    """How a run of a hook ended; a label of metrics."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one run.

    Attributes:
        outcome: how it ended.
        reason: why it refused, in its own words; for the caller.
        items: place in the document -> reason, where it refused only these.
        why: what went wrong, for the operator; nothing that the hook wrote.
    """

    outcome: Outcome
    reason: str = ""
    items: Mapping[int, str] = field(default_factory=dict)
    why: str = ""


def of_exit(code: int, said: bytes) -> Verdict:
    """The verdict of a command.

    Args:
        code: its exit code; negative is the signal that ended it.
        said: its stdout.
    """
    if code == 0:
        return Verdict(outcome=Outcome.OK)
    if code == _NO:
        return _refusal(said, "it ended with code 1 and gave no reason")
    why = f"it was ended by signal {-code}" if code < 0 else f"it ended with code {code}"
    return Verdict(outcome=Outcome.FAILED, why=why)


def of_status(status: int, said: bytes, why: str) -> Verdict:
    """The verdict of a webhook.

    Args:
        status: of its answer; 0 when there was none.
        said: the body of its answer.
        why: what went wrong, where something did.
    """
    if status in _OK:
        return Verdict(outcome=Outcome.OK)
    if status == _FORBIDDEN:
        return _refusal(said, f"it answered {_FORBIDDEN} and gave no reason")
    return Verdict(outcome=Outcome.FAILED, why=why or f"it answered {status}")


def _refusal(said: bytes, silent: str) -> Verdict:
    reason, items = _read(said)
    if not reason and not items:
        return Verdict(outcome=Outcome.FAILED, why=silent)
    return Verdict(
        outcome=Outcome.REFUSED, reason=reason or "some of the items are refused", items=items
    )


def _read(said: bytes) -> tuple[str, Mapping[int, str]]:
    try:
        value: Any = orjson.loads(said)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict):
        listed = value.get("items")
        items = {
            int(place): _clean(str(reason))
            for place, reason in (listed.items() if isinstance(listed, dict) else ())
            if place.isascii() and place.isdigit() and len(place) <= _PLACE_DIGITS_MAX
        }
        given = value.get("reason")
        return _clean(given) if isinstance(given, str) else "", items
    lines = said.decode(errors="replace").strip().splitlines()
    return _clean(lines[0]) if lines else "", {}


def _clean(text: str) -> str:
    """Words that can stand in an answer and on a terminal."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown.strip()[:REASON_CHARS_MAX]
