"""What is tried inside a room, by its first process; one JSON object is printed.

Law: it says what it saw and judges nothing; the test outside does.
"""

import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from chaos.network.packets import Packets
from chaos.network.places import Place, in_namespaces, run_tool
from chaos.sandbox import is_inside, means

_PORT = 7000
_HEALS_S = 1.5
_TRIES = 200


def main() -> None:
    """Make two hosts, cut and heal, and tell."""
    seen: dict[str, object] = {"first": os.getpid() == 1 and is_inside(), "means": asdict(means())}
    places = in_namespaces(["a", "b"])
    packets = Packets(places)
    a, b = _udp(places[0]), _udp(places[1])
    hosts = [place.host for place in places]

    def passes(source: int) -> bool:
        one, other = ((a, b), (b, a))[source]
        other.settimeout(0.2)
        try:
            one.sendto(b"x", (hosts[1 - source], _PORT))
            return other.recv(16) == b"x"
        except (TimeoutError, PermissionError):  # the kernel tells a sender what its rule dropped
            return False

    seen["whole"] = [passes(0), passes(1)]
    began = time.monotonic()
    packets.cut(0, 1, seconds=_HEALS_S)
    seen["cut"] = [passes(0), passes(1)]
    seen["told"] = [packets.dropped(0) == {hosts[1]}, packets.dropped(1) == set()]
    seen["counted"] = packets.counted()
    _until(lambda: passes(0))
    seen["healed_itself_s"] = time.monotonic() - began
    packets.cut(0, 1)
    seen["cut_again"] = passes(0)
    packets.slow(0, 256)
    seen["slow"] = "tbf" in run_tool("tc", "-n", "a", "qdisc", "show", "dev", "eth0")
    packets.heal()
    seen["healed"] = [passes(0), passes(1)]
    seen["slow_after"] = "tbf" in run_tool("tc", "-n", "a", "qdisc", "show", "dev", "eth0")
    packets.lose(0, 1, 30)
    before = packets.counted()
    for _ in range(_TRIES):
        try:
            a.sendto(b"x", (hosts[1], _PORT))
        except PermissionError:
            continue
    seen["lost"] = packets.counted() - before
    seen["links"] = re.findall(r"^\d+: ([\w-]+)", run_tool("ip", "-o", "link"), re.MULTILINE)
    seen["tables"] = run_tool("nsenter", "--net=/run/netns/a", "--", "nft", "list", "tables")
    seen["processes"] = len([p for p in Path("/proc").iterdir() if p.name.isdigit()])
    json.dump(seen, sys.stdout)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)


def _udp(place: Place) -> socket.socket:
    with place.entered():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((place.host, _PORT))
    return made


if __name__ == "__main__":
    main()
