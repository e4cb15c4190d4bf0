"""Packets between places that never arrive, or arrive slowly.

Law: every drop ends by itself. Who is cut from whom stands in sets whose elements have a
timeout, so a harness that dies, or forgets, leaves a network that heals within seconds. Each
place has its own table; a drop is directed: packets from a to b, and not from b to a.

Source: nft(8), sets with `flags timeout`; tc-tbf(8).
"""

import re
from collections.abc import Iterable
from typing import Final

from chaos.network.places import Place, run_tool

HEALS_AFTER_S: Final = 60
_PER_MILLE: Final = 1000
_COUNTED: Final = re.compile(r"counter packets (\d+)")

_TABLE: Final = """
table inet faults {
  set cut { type ipv4_addr; flags timeout; }
  set lossy1 { type ipv4_addr; flags timeout; }
  set lossy10 { type ipv4_addr; flags timeout; }
  set lossy30 { type ipv4_addr; flags timeout; }
  chain leaving {
    type filter hook output priority 0; policy accept;
    ip daddr @cut counter drop
    ip daddr @lossy1 numgen random mod 100 < 1 counter drop
    ip daddr @lossy10 numgen random mod 100 < 10 counter drop
    ip daddr @lossy30 numgen random mod 100 < 30 counter drop
  }
}
"""
LOSSES: Final = (1, 10, 30)


class Packets:
    """The rules of all places.

    Args:
        places: made by `in_namespaces`.
    """

    def __init__(self, places: list[Place]) -> None:
        self._places = places
        for place in places:
            self._nft(place, _TABLE)

    def cut(self, source: int, target: int, *, seconds: float = HEALS_AFTER_S) -> None:
        """Drop every packet from one place to another until `heal`, or for so long."""
        self._add(source, "cut", target, seconds)

    def lose(
        self, source: int, target: int, percent: int, *, seconds: float = HEALS_AFTER_S
    ) -> None:
        """Drop so many of a hundred packets, by chance.

        Raises:
            ValueError: no set for that share; see `LOSSES`.
        """
        if percent not in LOSSES:
            raise ValueError(f"{percent} is not one of {LOSSES}")
        self._add(source, f"lossy{percent}", target, seconds)

    def slow(self, source: int, kilobits: int) -> None:
        """Limit what leaves a place, in kilobits per second, to all others together."""
        place = self._places[source]
        run_tool(
            *("tc", "-n", place.namespace, "qdisc", "replace", "dev", "eth0", "root", "tbf"),
            *("rate", f"{kilobits}kbit", "burst", "16kb", "latency", "400ms"),
        )

    def heal(self, sources: Iterable[int] | None = None) -> None:
        """Let every packet pass again."""
        for number in range(len(self._places)) if sources is None else sources:
            place = self._places[number]
            names = ("cut", *(f"lossy{share}" for share in LOSSES))
            self._nft(place, "\n".join(f"flush set inet faults {name}" for name in names))
            if "tbf" in run_tool("tc", "-n", place.namespace, "qdisc", "show", "dev", "eth0"):
                run_tool("tc", "-n", place.namespace, "qdisc", "del", "dev", "eth0", "root")

    def dropped(self, source: int) -> set[str]:
        """Addresses to which a place may not send, as the kernel has them."""
        told = run_tool(
            *("nsenter", f"--net=/run/netns/{self._places[source].namespace}", "--"),
            *("nft", "list", "set", "inet", "faults", "cut"),
        )
        return {place.host for place in self._places if f"{place.host} " in told}

    def counted(self) -> int:
        """Packets dropped since the rules were made, by all places."""
        total = 0
        for place in self._places:
            told = run_tool(
                *("nsenter", f"--net=/run/netns/{place.namespace}", "--"),
                *("nft", "list", "chain", "inet", "faults", "leaving"),
            )
            total += sum(map(int, _COUNTED.findall(told)))
        return total

    def _add(self, source: int, name: str, target: int, seconds: float) -> None:
        host = self._places[target].host
        element = f"{{ {host} timeout {int(seconds * _PER_MILLE)}ms }}"
        self._nft(self._places[source], f"add element inet faults {name} {element}")

    @staticmethod
    def _nft(place: Place, rules: str) -> None:
        run_tool(
            *("nsenter", f"--net=/run/netns/{place.namespace}", "--", "nft", "-f", "-"),
            stdin=rules + "\n",
        )
