"""Bundles that were pushed before what they rest on arrived.

Law: where bundles come by way of others, two that depend on each other take different roads
and one may overtake the other. It is kept for a moment, within a bound of bytes and number,
and applied when what it lacked is there. No forgery takes the place of a known author's bundle,
and each is looked at again when what it lacked has come, not whenever anything comes. Nothing
waits for ever: past its time this node is behind and asks for what is missing, one session at
a time, so gaps make no storm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from crdt.admission import Fit, missing, proves
from crdt.bundle import Bundle
from crdt.dot import Actor, Dot
from crdt.peer import Peer

if TYPE_CHECKING:
    from crdt.exchange import Exchange

_HELD_MAX: Final = 256
_HELD_OPS_MAX: Final = 8_192
"""Decoded operations weigh several times their bytes: about 5 MiB of them."""


@dataclass(slots=True)
class Held:
    """One bundle that waits.

    Attributes:
        link: it came by.
        peer: who sent it.
        bundle: decoded; that of an author whose key is not known here may be forged.
        until: what the sender wants passed on, as in `Spread`; None for nothing.
        since_ms: when it came.
        lacks: the first thing it waits for.
    """

    link: int
    peer: Peer
    bundle: Bundle
    until: bytes | None
    since_ms: int
    lacks: Dot | None = None


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
        self._ops = 0

    def __len__(self) -> int:
        return len(self._held)

    def put(self, link: int, peer: Peer, bundle: Bundle, until: bytes | None) -> bool:
        """Keep a bundle; False when there is no room for it. A forged one is reported, not kept."""
        key, exchange = (bundle.actor, bundle.last), self._exchange
        if key in self._held:
            return True
        size, ops = self.size_bytes + len(bundle.data), self._ops + len(bundle.ops)
        if len(self._held) >= _HELD_MAX or size > exchange.limits.held_bytes_max:
            return False
        if ops > _HELD_OPS_MAX:
            return False
        replica = exchange.replica
        if proves(bundle, replica.governance, replica.me.verify) is False:
            exchange.shun(link, peer, bundle.actor, Fit.BAD.value)
            return True
        lacks = self._lacks(bundle)
        self._held[key] = Held(link, peer, bundle, until, exchange.now_ms, lacks)
        self.size_bytes, self._ops = size, ops
        return True

    def _lacks(self, bundle: Bundle) -> Dot | None:
        replica = self._exchange.replica
        before = bundle.first - 1
        if replica.clock.get(bundle.actor, 0) < before:
            return Dot(bundle.actor, before)
        return missing(bundle, replica.clock, replica.governance)

    def _drop(self, key: tuple[Actor, int]) -> None:
        bundle = self._held.pop(key).bundle
        self.size_bytes -= len(bundle.data)
        self._ops -= len(bundle.ops)

    def retry(self) -> None:
        """Something was applied: does anything fit now?"""
        clock = self._exchange.replica.clock
        moved = bool(self._held)
        while moved:
            moved = False
            for key, held in list(self._held.items()):
                lacks = held.lacks
                if key not in self._held:
                    continue
                if lacks is not None and clock.get(lacks.actor, 0) < lacks.seq:
                    continue
                fit = self._exchange.try_take(held.link, held.peer, held.bundle)
                if fit is Fit.BEHIND:
                    held.lacks = self._lacks(held.bundle)
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
        self.size_bytes = self._ops = 0

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
