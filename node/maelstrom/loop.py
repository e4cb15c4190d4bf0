"""Standard input and output around a `Machine`.

Law: nothing but messages goes to standard output; words for people go to standard error. What
one read brought is handled as one batch: its adds go into one bundle. The end of standard
input is the end of the process. One thread, no event loop: there are two files to look at.
"""

import os
import select
import sys
import time
from typing import Final

from node.maelstrom.machine import Machine
from node.maelstrom.protocol import ProtocolError, decode, encode

LINE_BYTES_MAX: Final = 64 * 2**20
"""A longer line is no message of a network that means it well."""

_READ_BYTES: Final = 256 * 1024
_BUSY_SECONDS: Final = 0.01
_IDLE_SECONDS: Final = 0.05


def say(words: str) -> None:
    """Tell whoever reads standard error."""
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


def serve(machine: Machine, *, source: int = 0, sink: int = 1) -> None:
    """Play a node until its input ends.

    Args:
        machine: the node.
        source: file descriptor of the lines that come.
        sink: file descriptor of the lines that go.

    Raises:
        OSError: one of them failed.
    """
    rest = b""
    while True:
        wait = _BUSY_SECONDS if machine.busy else _IDLE_SECONDS
        ready, _, _ = select.select([source], [], [], wait)
        if ready:
            data = os.read(source, _READ_BYTES)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                _take(machine, line)
            if len(rest) > LINE_BYTES_MAX:
                say(f"a line of more than {LINE_BYTES_MAX} bytes; the end of this node")
                return
        machine.settle(_now_ms())
        out = "".join(map(encode, machine.take())).encode()
        while out:
            out = out[os.write(sink, out) :]


def _take(machine: Machine, line: bytes) -> None:
    if not line.strip():
        return
    try:
        message = decode(line)
    except ProtocolError as error:
        say(f"passed over: {error}")
        return
    machine.receive(message, _now_ms())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
