"""Bundles that were pushed before what they rest on arrived.

Law: where bundles come by way of others, two that depend on each other take different roads
and one may overtake the other. It is kept for a moment, within a bound of bytes and number,
and applied when what it lacked is there. Nothing waits for ever: past its time this node is
behind and asks for what is missing, one session at a time, so gaps make no storm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from crdt.admission import Fit
from crdt.bundle import Bundle
from crdt.dot import Actor
from crdt.peer import Peer

if TYPE_CHECKING:
    from crdt.exchange import Exchange

_HELD_MAX: Final = 256


@dataclass(slots=True)
class Held:
    """One bundle that waits.

    Attributes:
        link: it came by.
        peer: who sent it.
        bundle: decoded, its signature not yet verified.
        until: what the sender wants passed on, as in `Spread`; None for nothing.
        since_ms: when it came.
    """

    link: int
    peer: Peer
    bundle: Bundle
    until: bytes | None
    since_ms: int


class Holding:
    """Keeps what is early, in order of arrival.

    Args:
        exchange: whose.
        taken: told of each bundle that could be applied after all.
    """

    def __init__(self, exchange: "Exchange", taken: Callable[[Held], None]) -> None:
        self._exchange = exchange
        self._taken = taken
        self._held: dict[tuple[Actor, int], Held] = {}
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def put(self, link: int, peer: Peer, bundle: Bundle, until: bytes | None) -> bool:
        """Keep a bundle; False when there is no room for it."""
        key = (bundle.actor, bundle.last)
        if key in self._held:
            return True
        size = self.size_bytes + len(bundle.data)
        if len(self._held) >= _HELD_MAX or size > self._exchange.limits.held_bytes_max:
            return False
        self._held[key] = Held(link, peer, bundle, until, self._exchange.now_ms)
        self.size_bytes = size
        return True

    def _drop(self, key: tuple[Actor, int]) -> None:
        self.size_bytes -= len(self._held.pop(key).bundle.data)

    def retry(self) -> None:
        """Something was applied: does anything fit now?"""
        moved = bool(self._held)
        while moved:
            moved = False
            for key, held in list(self._held.items()):
                if key not in self._held:
                    continue
                fit = self._exchange.try_take(held.link, held.peer, held.bundle)
                if fit is Fit.BEHIND:
                    continue
                self._drop(key)
                if fit is Fit.NEXT:
                    self._taken(held)
                    moved = bool(self._held)

    def forget(self, link: int) -> None:
        """A link ended: what came by it must come again."""
        for key in [key for key, held in self._held.items() if held.link == link]:
            self._drop(key)

    def clear(self) -> None:
        """The store was swapped."""
        self._held.clear()
        self.size_bytes = 0

    def tick(self) -> None:
        """What has waited too long is missing: ask whoever sent what rests on it."""
        exchange = self._exchange
        if not self._held or exchange.catchup.running or exchange.catchup.joining:
            return
        key, oldest = next(iter(self._held.items()))
        if exchange.now_ms - oldest.since_ms > exchange.limits.patience_ms:
            self._drop(key)
            if not oldest.peer.stopped:
                exchange.behind(oldest.link, oldest.peer)
