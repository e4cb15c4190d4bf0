"""How a check says that an invariant is broken."""

from typing import Any


class Broken(AssertionError):  # noqa: N818 - it is the name of what happened
    """An invariant does not hold."""


def need(ok: object, *why: Any) -> None:
    """Raise unless the invariant holds; the first word names it."""
    if not ok:
        raise Broken(*why)
