"""What the core's alarms become: one log event each, and a count.

Law: every alarm of the core has a row here or counts as a refused bundle; none is silent.
"""

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
}
_UNCOUNTED: Final = frozenset({"digest_mismatch", "skewed", "source_silent"})


class Alarms:
    """Turns alarms into events and counts.

    Args:
        log: writes events.
        metrics: the table of metrics.
    """

    def __init__(self, log: EventLog, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics
        self.names: dict[int, str] = {}

    def __call__(self, alarm: Alarm) -> None:
        """Tell the operator."""
        if alarm.name == "fork":
            self._metrics.counter("equivocations_total").inc()
        elif alarm.name not in _UNCOUNTED:
            self._metrics.counter("frames_rejected_total", alarm.name).inc()
        event = _EVENTS.get(alarm.name, "peer_bundle_refused")
        peer = self.names.get(alarm.link, "")
        self._log(event, peer=peer, reason=alarm.name, detail=alarm.detail)
