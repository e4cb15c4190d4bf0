"""Ordered links over a network that loses, delays, reorders and doubles.

Law: what the core puts into an outbox comes out at the other side in that order, once, or the
link ends and the core is told so; never with a hole. That is what the core has from a TCP
connection elsewhere. Both sides name their end of a link by a number that only grows, so what
is left of an older link is known by its number and passed over.

A message carries both numbers, its place, how far its sender has got, and what the core said:

    {"type": "mesh", "from": 7, "to": 9, "seq": 3, "ack": 5, "data": ["<base64>", ...]}

`seq` 0 is a message without data: an opening, or an acknowledgement that nothing else carries.

A machine without I/O: `heard` takes a body, `due` gives bodies, times are milliseconds.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final, Protocol

from crdt.peer import Outbox
from node.maelstrom.protocol import Body

KIND: Final = "mesh"
"""The type of these messages."""

DATA_BYTES_MAX: Final = 256 * 1024
"""What one message carries of the core's, unless a single one of those is larger."""

WINDOW_MESSAGES_MAX: Final = 64
"""Messages on their way without an acknowledgement; more stay in the outbox, which is bounded."""

_OPEN_MS: Final = 250
_SILENCE_MS: Final = 3_000
_ACK_MS: Final = 40
_RESEND_MS_MIN: Final = 200
_RESEND_MS_FIRST: Final = 500
_RESEND_MS_MAX: Final = 1_000
_NEWER: Final = 256
"""Names within one millisecond."""


class Ends(Protocol):
    """Who is told of links: the core's side."""

    def link_up(self, link: int, peer: str, outbox: Outbox) -> None:
        """A link to a peer is open."""
        ...

    def link_down(self, link: int) -> None:
        """It ended."""
        ...

    def arrived(self, link: int, data: bytes) -> None:
        """The next message of the peer."""
        ...


class Names:
    """Numbers for the ends of links; each larger than all before, also of an earlier process."""

    def __init__(self) -> None:
        self._last = 0

    def draw(self, now_ms: int) -> int:
        """The next one."""
        self._last = max(self._last + 1, now_ms * _NEWER)
        return self._last


class Link:
    """One end of the link to one peer.

    Args:
        peer: its id in the network.
        ends: who is told.
        draw: gives the numbers of ends and of links.
        flush_ms: least time between two messages with data.

    Attributes:
        up: whether both sides know each other's number.
        number: what the core calls the present link.
    """

    def __init__(
        self, peer: str, ends: Ends, draw: Callable[[], int], *, flush_ms: int, now_ms: int
    ) -> None:
        self.peer = peer
        self._ends, self._draw, self._flush_ms = ends, draw, flush_ms
        self._dead = 0
        self._heard_ms = now_ms
        self._fresh(0)

    def _fresh(self, theirs: int) -> None:
        """Begin a link: nothing of the one before holds any more."""
        self.number = self._mine = self._draw()
        self._theirs = theirs
        self.up = False
        self.outbox = Outbox()
        self._sent: dict[int, list[str]] = {}
        self._last = self._got = 0
        self._early: dict[int, list[str]] = {}
        self._said_ms = self._open_ms = 0
        self._owed_ms: int | None = None
        self._patience_ms = self._resend_ms = _RESEND_MS_FIRST
        self._sent_ms = 0
        self._timed: tuple[int, int] | None = None

    # --- what came ---------------------------------------------------------------

    def heard(self, body: Body, now_ms: int) -> None:
        """A body from this peer; one of the wrong shape is passed over."""
        read = _read(body)
        if read is None:
            return
        theirs, mine, seq, ack, data = read
        if theirs < self._theirs or theirs <= self._dead:
            return
        if theirs > self._theirs:
            self._known(theirs, now_ms)
        if mine != self._mine:
            self._owe(now_ms - _ACK_MS)  # it speaks to an older end of ours: say which is new
            return
        self._heard_ms = now_ms
        self._resend_ms = self._patience_ms  # whoever is heard may hear again, too
        if not self.up:
            self.up = True
            self._owe(now_ms - _ACK_MS)
            self._ends.link_up(self.number, self.peer, self.outbox)
        self._acknowledged(ack, now_ms)
        if seq:
            self._owe(now_ms)
            if self._got < seq <= self._got + 2 * WINDOW_MESSAGES_MAX:
                self._early[seq] = data
            self._deliver()

    def _known(self, theirs: int, now_ms: int) -> None:
        """The peer has a new end. What it said on its last one does not go on."""
        if self.up:
            self.close()
        elif self._theirs:
            self._fresh(0)  # the end it had may have been open from its side
        self._theirs = theirs
        self._owe(now_ms - _ACK_MS)

    def _acknowledged(self, ack: int, now_ms: int) -> None:
        gone = [seq for seq in self._sent if seq <= ack]
        for seq in gone:
            del self._sent[seq]
        if self._timed is not None and self._timed[0] <= ack:
            trip_ms = now_ms - self._timed[1]
            self._patience_ms = min(max(3 * trip_ms, _RESEND_MS_MIN), _RESEND_MS_MAX)
            self._timed = None
        if gone:
            self._sent_ms = now_ms

    def _deliver(self) -> None:
        number = self.number
        while (data := self._early.pop(self._got + 1, None)) is not None:
            self._got += 1
            for text in data:
                self._ends.arrived(self.number, base64.b64decode(text))
                if self.number != number:
                    return  # what arrived ended the link

    def _owe(self, since_ms: int) -> None:
        if self._owed_ms is None:
            self._owed_ms = since_ms

    def close(self) -> None:
        """End the link; a new one is opened at once."""
        was, number = self.up, self.number
        self._dead = max(self._dead, self._theirs)
        self._fresh(0)
        if was:
            self._ends.link_down(number)

    # --- what is to be sent ------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether something waits to be sent soon."""
        return bool(self._sent) or len(self.outbox) > 0 or self._owed_ms is not None

    def due(self, now_ms: int) -> list[dict[str, Any]]:
        """The bodies that are to go to the peer now."""
        if self.up and now_ms - self._heard_ms > _SILENCE_MS:
            self.close()
        if not self.up:
            return self._opening(now_ms)
        out = self._again(now_ms)
        while (
            len(self.outbox)
            and len(self._sent) < WINDOW_MESSAGES_MAX
            and now_ms - self._said_ms >= self._flush_ms
        ):
            self._last += 1
            taken = self.outbox.take(DATA_BYTES_MAX)
            self._sent[self._last] = [base64.b64encode(part).decode("ascii") for part in taken]
            if len(self._sent) == 1:
                self._sent_ms = now_ms
            if self._timed is None:
                self._timed = (self._last, now_ms)
            if not len(self.outbox):
                self._said_ms = now_ms
            out.append(self._body(self._last))
        if not out and self._owed_ms is not None and now_ms - self._owed_ms >= _ACK_MS:
            out.append(self._body(0))
        return out

    def _opening(self, now_ms: int) -> list[dict[str, Any]]:
        owed = self._owed_ms is not None
        if not owed and now_ms - self._open_ms < _OPEN_MS:
            return []
        self._open_ms = now_ms
        return [self._body(0)]

    def _again(self, now_ms: int) -> list[dict[str, Any]]:
        """All that was not acknowledged in time, each time with more patience."""
        if not self._sent or now_ms - self._sent_ms < self._resend_ms:
            return []
        self._resend_ms = min(2 * self._resend_ms, _RESEND_MS_MAX)
        self._sent_ms = now_ms
        self._timed = None  # of a repeated message nobody knows which copy was answered
        return [self._body(seq) for seq in self._sent]

    def _body(self, seq: int) -> dict[str, Any]:
        self._owed_ms = None
        return {
            "type": KIND,
            "from": self._mine,
            "to": self._theirs,
            "seq": seq,
            "ack": self._got,
            "data": self._sent.get(seq, []),
        }


def _read(body: Body) -> tuple[int, int, int, int, list[str]] | None:
    """The parts of a body; None when it is none of ours."""
    numbers = [body.get(name) for name in ("from", "to", "seq", "ack")]
    data = body.get("data")
    if not all(type(n) is int and n >= 0 for n in numbers) or not isinstance(data, list):
        return None
    for text in data:
        if not isinstance(text, str):
            return None
        try:
            base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return None
    theirs, mine, seq, ack = (int(n) for n in numbers if n is not None)
    return theirs, mine, seq, ack, data
