"""Greetings that were refused, here or by the other side, and what is said of it.

Law: a refusal is told when it happens and stands until nobody has tried again for a while. A mesh
that is being founded or joined refuses a greeting now and then; that passes, and is no trouble.
Of what a peer said only what comes first is repeated, for it may say anything.
"""

import re
from collections.abc import Callable
from typing import Final

from node.logs import EventLog
from node.metrics import Metrics
from node.peers.greeting import GreetingRefused, told
from transport.link import LinkClosed

_WORD: Final = re.compile(r"[a-z_]{1,24}")
_PHRASE: Final = re.compile(r"[a-z_]{1,24}( [a-z_]{1,24}){0,7}")
_REFUSED_PAUSE_SECONDS: Final = 2.0
# Nothing but the operator can change these.
_PAUSES: Final = {"self": 60.0, "wrong_cluster": 15.0, "wrong_mesh": 5.0, "twin": 5.0}
_PASSING: Final = frozenset({"wrong_cluster", "wrong_mesh"})
_PASSING_TIMES: Final = 3
_TOLD_SECONDS: Final = 10.0


class Refusals:
    """What links of this node were refused.

    Args:
        metrics: counts them.
        log: writes events.
        now: monotonic clock, seconds.
    """

    def __init__(self, metrics: Metrics, log: EventLog, now: Callable[[], float]) -> None:
        self._metrics = metrics
        self._log = log
        self._now = now
        self._refused: dict[str, tuple[int, float]] = {}  # reason -> how often, and when last

    def standing(self) -> list[str]:
        """Reasons that stand: nobody but the operator can do something about them."""
        now = self._now()
        return [
            reason
            for reason, (times, at) in self._refused.items()
            if now - at < _PAUSES[reason] * 1.5 + _TOLD_SECONDS
            and (reason not in _PASSING or times >= _PASSING_TIMES)
        ]

    def refuse(self, refused: GreetingRefused) -> float:
        """A greeting was refused here; returns seconds to wait before dialling again."""
        reason = refused.reason
        pause = _PAUSES.get(reason, _REFUSED_PAUSE_SECONDS)
        if reason == "duplicate":
            return pause
        self._note(reason)
        if reason == "self":
            self._log("self_in_peers")
            return pause
        event = {"twin": "twin_detected", "protocol": "peer_incompatible"}.get(
            reason, "peer_refused"
        )
        self._metrics.counter("frames_rejected_total", f"greeting_{reason}").inc()
        self._log(event, reason=reason, detail=refused.detail)
        return pause

    def closed_early(self, closed: LinkClosed) -> float:
        """The other side closed before it greeted; returns seconds to wait, as above."""
        if closed.detail.startswith("twin"):
            self.twin(reason_of(closed))
        elif closed.reason == "closed_by_peer" and not closed.detail.startswith(
            ("duplicate", "self")
        ):
            self._log("peer_refused", reason="refused_by_peer", detail=reason_of(closed))
        return _REFUSED_PAUSE_SECONDS if closed.detail else 0.0

    def twin(self, detail: str) -> None:
        """A peer says that another process answers under this node's id."""
        self._note("twin")
        self._log("twin_detected", reason="refused_by_peer", detail=detail)

    def _note(self, reason: str) -> None:
        if reason in _PAUSES:
            times, _ = self._refused.get(reason, (0, 0.0))
            self._refused[reason] = (times + 1, self._now())


def reason_of(closed: LinkClosed, *, phrase: bool = False) -> str:
    """Why a link ended, as it may be repeated.

    Args:
        closed: how it ended.
        phrase: whether a few words of the peer's may stand, and not only the first.
    """
    if closed.reason != "closed_by_peer" or not closed.detail:
        return closed.detail or closed.reason
    word = closed.detail.partition(":")[0]
    known = _PHRASE if phrase else _WORD
    return word if known.fullmatch(word) else told(closed.detail)
