"""The network between nodes and clients: delay, loss, doubles and partitions.

Law: as in Maelstrom, messages between nodes are delayed one by one, so they overtake each
other; what a client says or hears is neither delayed nor lost. A partition takes effect when a
message would arrive: what is on its way when it begins is lost, what is on its way when it
ends arrives. Every message is counted once when it is sent and once when it arrives; what was
lost is counted by the reason, which is the proof of a fault.
"""

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

import trio

from chaos.maelstrom.message import Message

Deliver = Callable[[Message], None]

DISTRIBUTIONS: Final = ("constant", "uniform", "exponential")
_UNCOUNTED: Final = frozenset({"init", "init_ok"})
CLIENT_MARK: Final = "c"
"""Ids of clients begin with it, and those of nodes do not."""


class Network:
    """All endpoints and what is between them.

    Args:
        dice: draws delays and losses.
        latency_ms: mean delay between nodes.
        distribution: one of `DISTRIBUTIONS`.
        loss: share of messages between nodes that vanish.
        double: share of messages between nodes that arrive twice; Maelstrom has none.

    Attributes:
        counts: `sent`, `received`, `lost`, `doubled`, `cut`, `undeliverable`; the first two
            also as `clients sent` and so on.
        kinds: messages between nodes by type.
    """

    def __init__(
        self,
        dice: random.Random,
        *,
        latency_ms: float = 0.0,
        distribution: str = "exponential",
        loss: float = 0.0,
        double: float = 0.0,
    ) -> None:
        self._dice = dice
        self._latency_s, self._distribution = latency_ms / 1000, distribution
        self._loss, self._double = loss, double
        self._ends: dict[str, Deliver] = {}
        self._flight: list[tuple[float, int, Message]] = []
        self._number = 0
        self._more = trio.Event()
        self._cut: frozenset[tuple[str, str]] = frozenset()
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()

    def join(self, name: str, deliver: Deliver) -> None:
        """Somebody is reachable under a name."""
        self._ends[name] = deliver

    def leave(self, name: str) -> None:
        """And no more."""
        self._ends.pop(name, None)

    def cut(self, pairs: Iterable[tuple[str, str]]) -> None:
        """From now on nothing arrives over these pairs of sender and receiver, all else does."""
        self._cut = frozenset(pairs)

    # --- messages ----------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Take a message in."""
        whose = self._whose(message)
        self._count(message, "sent")
        if whose == "clients":
            self._arrive(message)
            return
        self.kinds[str(message.body.get("type", ""))] += 1
        if self._dice.random() < self._loss:
            self.counts["lost"] += 1
            return
        self._put(message)
        if self._dice.random() < self._double:
            self.counts["doubled"] += 1
            self._put(message)

    def _put(self, message: Message) -> None:
        delay_s = self._delay_s()
        if not delay_s:
            self._arrive(message)
            return
        self._number += 1
        heapq.heappush(self._flight, (trio.current_time() + delay_s, self._number, message))
        self._more.set()

    def _delay_s(self) -> float:
        if not self._latency_s:
            return 0.0
        if self._distribution == "constant":
            return self._latency_s
        if self._distribution == "uniform":
            return self._dice.uniform(0, 2 * self._latency_s)
        return self._dice.expovariate(1 / self._latency_s)

    def _arrive(self, message: Message) -> None:
        if (message.src, message.dest) in self._cut:
            self.counts["cut"] += 1
            return
        deliver = self._ends.get(message.dest)
        if deliver is None:
            self.counts["undeliverable"] += 1
            return
        self._count(message, "received")
        deliver(message)

    def _count(self, message: Message, what: str) -> None:
        if message.body.get("type") not in _UNCOUNTED:
            self.counts[what] += 1
            self.counts[f"{self._whose(message)} {what}"] += 1

    @staticmethod
    def _whose(message: Message) -> str:
        ends = (message.src, message.dest)
        return "clients" if any(end.startswith(CLIENT_MARK) for end in ends) else "servers"

    async def carry(self) -> None:
        """Let what is on its way arrive in time, until cancelled."""
        while True:
            wait_s = self._flight[0][0] - trio.current_time() if self._flight else math.inf
            if wait_s <= 0:
                self._arrive(heapq.heappop(self._flight)[2])
                continue
            self._more = trio.Event()
            with trio.move_on_after(wait_s):
                await self._more.wait()

    # --- figures -----------------------------------------------------------------

    def figures(self, operations: int) -> dict[str, Any]:
        """What Maelstrom prints of its network.

        Args:
            operations: how many were asked by clients.
        """
        out: dict[str, Any] = {}
        for name, prefix in (("all", ""), ("clients", "clients "), ("servers", "servers ")):
            sent = self.counts[f"{prefix}sent"]
            out[name] = {
                "send_count": sent,
                "recv_count": self.counts[f"{prefix}received"],
                "msg_count": sent,
            }
            if operations and name != "clients":
                out[name]["msgs_per_op"] = round(sent / operations, 2)
        for name in ("lost", "doubled", "cut", "undeliverable"):
            out[name] = self.counts[name]
        return out
