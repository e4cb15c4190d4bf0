"""Certificates that will soon be nobody's: told in time, and once a day.

Law: a certificate that has expired lets its node in nowhere, so its end is told 30 days ahead, at 7
and at 1 again, and on each day between; its own and those of members that are known here. Looking
costs nothing until the next hour has come.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from node.logs import EventLog

WARN_DAYS: Final = 30
_SECONDS_PER_DAY: Final = 86_400
_LOOK_SECONDS: Final = 3_600
_MARKS: Final = (30, 7, 1, 0)
_PRINT_CHARS: Final = 16


class Held(NamedTuple):
    """A certificate that somebody shows.

    Attributes:
        whose: name of the node.
        own: whether it is this node's.
        fingerprint: lowercase hex.
        expires_at: seconds since the epoch.
    """

    whose: str
    own: bool
    fingerprint: str
    expires_at: float


class ExpiryWatch:
    """Tells of certificates that end soon.

    Args:
        held: the certificates now; asked once an hour.
        log: writes events.
        now: seconds since the epoch.
    """

    def __init__(
        self, held: Callable[[], Iterable[Held]], log: EventLog, now: Callable[[], float]
    ) -> None:
        self._held = held
        self._log = log
        self._now = now
        self._look_at = float("-inf")
        # By fingerprint: when it was told of, and how many days were left.
        self._told: dict[str, tuple[float, int]] = {}

    def look(self) -> None:
        """Tell what there is to tell; meant to be called often."""
        now = self._now()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_SECONDS
        held = list(self._held())
        for one in held:
            left = int((one.expires_at - now) // _SECONDS_PER_DAY)
            if left < WARN_DAYS and self._is_due(one.fingerprint, left, now):
                self._told[one.fingerprint] = (now, left)
                self._log(
                    "certificate_expired" if one.expires_at <= now else "certificate_expires",
                    whose=one.whose,
                    own=one.own,
                    fingerprint=one.fingerprint[:_PRINT_CHARS],
                    days=max(left, 0),
                )
        shown = {one.fingerprint for one in held}
        self._told = {print_: told for print_, told in self._told.items() if print_ in shown}

    def _is_due(self, fingerprint: str, left: int, now: float) -> bool:
        told = self._told.get(fingerprint)
        if told is None or now - told[0] >= _SECONDS_PER_DAY:
            return True
        return any(left < mark <= told[1] for mark in _MARKS)
