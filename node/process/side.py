"""The side of a node that faces the machine it runs on: service manager, log file, signals.

Law: what is told here is true of this moment; none of it waits, and none of it can stop the node.
"""

from node.logs import EventLog
from node.parts import Parts
from node.process.notify import Notifier


class ProcessSide:
    """Tells the service manager how the node is, and looks after the log file.

    Args:
        notifier: the way to the service manager.
        parts: what there is to tell of.
        log: the log.
    """

    def __init__(self, notifier: Notifier, parts: Parts, log: EventLog) -> None:
        self._notifier = notifier
        self._parts = parts
        self._log = log
        self._lost = parts.metrics.counter("log_lines_lost_total")
        self._lost_seen = 0

    def look(self) -> None:
        """Tell how the node is, and look after the log file; meant for every few seconds."""
        self._notifier.status(self._words())
        self._tend_log()

    def _words(self) -> str:
        parts = self._parts
        state = parts.engine.replica.governance.now
        needed = state.quorum(parts.engine.exchange.wanted_w)
        linked = len(parts.links.connections)
        mode = parts.mesh.ready() or "ready"
        return f"{mode}: {state.n} members, {linked} linked, a write needs {needed}"

    def _tend_log(self) -> None:
        self._log.tend()
        lost = self._log.lost_lines
        if lost != self._lost_seen:
            self._lost.inc(lost - self._lost_seen)
            self._lost_seen = lost
