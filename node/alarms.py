"""What the core's alarms become: one log event each, and a count.

Law: every alarm of the core has a row here or counts as a refused bundle; none is silent. What a
peer can cause over and over is counted each time and told once in a while for each link and
reason, with how many there were since.
"""

import time
from collections.abc import Callable
from typing import Final

from crdt.effects import Alarm
from node.logs import EventLog
from node.metrics import Metrics

_EVENTS: Final = {
    "digest_mismatch": "digest_mismatch",
    "fork": "equivocation_found",
    "future_stamp": "peer_skewed",
    "skewed": "clock_skewed",
    "source_silent": "catchup_failed",
    **{
        name: name
        for name in (
            *("snapshot_disputed", "snapshot_passed_over", "snapshot_refused"),
            *("snapshot_unclaimed", "snapshot_unconfirmed"),
        )
    },
}
_OFTEN: Final = frozenset({"peer_bundle_refused", "peer_skewed", "snapshot_passed_over"})
_PAUSE_S: Final = 5.0
_UNCOUNTED: Final = frozenset(
    {"digest_mismatch", "skewed", "snapshot_unconfirmed", "source_silent"}
)


class Alarms:
    """Turns alarms into events and counts.

    Args:
        log: writes events.
        metrics: the table of metrics.
        monotonic: seconds that only grow.
    """

    def __init__(
        self,
        log: EventLog,
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._metrics = metrics
        self._monotonic = monotonic
        # Link and reason -> when it was told last, and how many were not told since.
        self._told: dict[tuple[int, str], tuple[float, int]] = {}
        self.names: dict[int, str] = {}

    def __call__(self, alarm: Alarm) -> None:
        """Tell the operator."""
        if alarm.name == "fork":
            self._metrics.counter("equivocations_total").inc()
        elif alarm.name not in _UNCOUNTED:
            self._metrics.counter("frames_rejected_total", alarm.name).inc()
        event = _EVENTS.get(alarm.name, "peer_bundle_refused")
        facts = {"reason": alarm.name, "detail": alarm.detail}
        peer = self.names.get(alarm.link, "")
        if event not in _OFTEN:
            self._log(event, peer=peer, **facts)
        elif (more := self._more(alarm.link, alarm.name)) is not None:
            self._log(event, peer=peer, **facts, more=more)

    def _more(self, link: int, reason: str) -> int | None:
        """How many were not told since the last one that was; None when this one is not either."""
        now = self._monotonic()
        at, more = self._told.get((link, reason), (now - _PAUSE_S, 0))
        if now - at < _PAUSE_S:
            self._told[link, reason] = (at, more + 1)
            return None
        for gone in [key for key in self._told if key[0] not in self.names]:
            del self._told[gone]
        self._told[link, reason] = (now, 0)
        return more
