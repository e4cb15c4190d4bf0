"""The side of a node that faces the machine it runs on: service manager, log file, signals.

Law: what is told here is true of this moment; none of it waits, and none of it can stop the node.
"""

import time
from collections.abc import Iterator

from node.logs import EventLog
from node.parts import Parts
from node.peers.expiry import ExpiryWatch, Held
from node.process.notify import Notifier
from transport.certificate import expires_at


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
        self._expiry = ExpiryWatch(self._certificates, log, time.time)

    def look(self) -> None:
        """Tell how the node is, and look after the log file; meant for every few seconds."""
        self._notifier.status(self._words())
        self._tend_log()
        self._expiry.look()

    def _certificates(self) -> Iterator[Held]:
        """Those that this node and its members show, as far as they are known."""
        trust = self._parts.doors.trust
        if trust is None:
            return
        yield Held(
            "this node", own=True, fingerprint=trust.fingerprint, expires_at=trust.expires_at
        )
        for member in self._parts.mesh.status().members:
            shown = member.fingerprint
            der = trust.certificate_of(shown) if shown and shown != trust.fingerprint else None
            if der is not None:
                ends = expires_at(der).timestamp()
                yield Held(member.name, own=False, fingerprint=shown, expires_at=ends)

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
