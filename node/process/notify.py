"""Telling the service manager how the node is: ready, reloading, stopping, alive.

Law: one datagram a state, to the socket that `NOTIFY_SOCKET` names (sd_notify(3));
without that variable nothing is opened and nothing is sent. A service manager that does not
listen costs the node nothing but the message. The variables are taken out of the environment, so
that no program which the node starts can speak for it.

These lines stand here and not in a library: the protocol is one `sendto` of text lines, the
libraries for it either load libsystemd or are as long as this and lack the time that
`Type=notify-reload` demands with `RELOADING=1`.
"""

import asyncio
import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final

_SEND_SECONDS: Final = 0.5
_MICRO: Final = 1_000_000
_NANO_PER_MICRO: Final = 1000
_STATUS_CHARS_MAX: Final = 200
_ADDRESS: Final = "NOTIFY_SOCKET"
_PERIOD: Final = "WATCHDOG_USEC"
_OF_PID: Final = "WATCHDOG_PID"


class Notifier:
    """Speaks to one service manager, or to none.

    Args:
        address: of its datagram socket; a leading `@` means the abstract namespace. None: nobody.
        watchdog_seconds: time after which it takes a silent node for stuck; None when it does not.
    """

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        self._address = address
        self._status = ""
        self.watchdog_seconds = watchdog_seconds if address is not None else None

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> "Notifier":
        """Read the variables, and take them out of the environment."""
        address = environ.pop(_ADDRESS, "")
        period, pid = environ.pop(_PERIOD, ""), environ.pop(_OF_PID, "")
        # Only paths and abstract names; systemd knows sockets of other families, for machines.
        if not address.startswith(("/", "@")):
            return cls()
        mine = not pid or pid == str(os.getpid())
        seconds = int(period) / _MICRO if mine and period.isdigit() and int(period) else None
        return cls(address, seconds)

    @property
    def heard(self) -> bool:
        """Whether there is a service manager at all."""
        return self._address is not None

    def ready(self) -> None:
        """The node serves; also the end of a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // _NANO_PER_MICRO
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """The node drains and ends."""
        self._send("STOPPING=1")

    def status(self, words: str) -> None:
        """One line for people who ask the service manager; told when it changes."""
        line = " ".join(words.split())[:_STATUS_CHARS_MAX]
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def alive(self) -> None:
        """The event loop turns."""
        self._send("WATCHDOG=1")

    async def keep_alive(self) -> None:
        """Tell twice per watchdog period that the loop turns; returns at once without a watchdog.

        It is a task of that loop and nothing else, so a loop that is stuck falls silent.
        """
        if self.watchdog_seconds is None:
            return
        while True:
            self.alive()
            await asyncio.sleep(self.watchdog_seconds / 2)

    def _send(self, lines: str) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.settimeout(_SEND_SECONDS)
            sock.sendto(lines.encode(), address)
