"""Which of the forms of an answer a client wants.

Law: pure. A client gets the form that it likes best of those there are (RFC 9110, section
12.5.1). Who likes none of them gets the first, which is JSON: no answer of this node is 406.
"""

from collections.abc import Sequence
from typing import Final

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
AUTOMERGE: Final = "application/vnd.automerge"
BYTES: Final = "application/octet-stream"

_RANGES_MAX: Final = 32
_NOT_AT_ALL: Final = (0.0, 0)


def liked_best(accept: str | None, offered: Sequence[str]) -> str:
    """The form to answer in.

    Args:
        accept: the header `Accept`; None when there was none.
        offered: the forms there are, the usual one first.
    """
    ranges = [_range(text) for text in (accept or "").split(",")[:_RANGES_MAX]]
    weights = [_weight(form, ranges) for form in offered]
    best = max(weights)
    # Who takes anything, and names one form beside it, means that one.
    return offered[0] if best[0] <= 0 else offered[weights.index(best)]


def plain_type(content_type: str | None) -> str:
    """What `Content-Type` names, without its parameters; empty when it is not there."""
    return (content_type or "").partition(";")[0].strip().lower()


def _range(text: str) -> tuple[str, float]:
    """A range of media types and how much it is liked, from 0 to 1."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    weight = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                weight = min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                weight = 0.0
    return name, weight


def _weight(form: str, ranges: Sequence[tuple[str, float]]) -> tuple[float, int]:
    """(how much a form is liked, how exactly it was named): the most exact range decides."""
    names = {"*/*": 1, f"{form.partition('/')[0]}/*": 2, form: 3}
    fitting = [(names[name], weight) for name, weight in ranges if name in names]
    if not fitting:
        return _NOT_AT_ALL
    exactness, weight = max(fitting)
    return weight, exactness
