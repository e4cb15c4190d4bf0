"""A pair of links without sockets, for tests and simulations of the parts above.

Law: keeps the contract of `transport.link` to the letter, through the same frame codec and with a
bound on what is under way, so that what works here works over TLS.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from transport.frames import FrameError, decode
from transport.link import LinkClosed, LinkLimits, encode_within

__all__ = ["MemoryLink", "memory_pair"]

_WINDOW_BYTES = 256 * 1024


class _Pipe:
    """Frames under way in one direction: at most `_WINDOW_BYTES` and one frame."""

    __slots__ = ("frames", "readable", "size", "writable")

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()
        self.size = 0
        self.readable = asyncio.Event()
        self.writable = asyncio.Event()

    def put(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.size += len(frame)
        self.readable.set()

    def take(self) -> bytes:
        frame = self.frames.popleft()
        self.size -= len(frame)
        self.writable.set()
        return frame

    def drop(self) -> None:
        self.frames.clear()
        self.size = 0

    def wake(self) -> None:
        self.readable.set()
        self.writable.set()


class MemoryLink:
    """One end of a pair; see `transport.link.Link`. Made by `memory_pair`."""

    def __init__(
        self, own: str | None, peer: str | None, pipes: tuple[_Pipe, _Pipe], limits: LinkLimits
    ) -> None:
        self._own = own
        self._peer = peer
        self._inbox, self._outbox = pipes
        self._limits = limits
        self._ended: tuple[str, str] | None = None  # by this side
        self._left: tuple[str, str] | None = None  # by the other side
        self.other: MemoryLink | None = None

    @property
    def own_certificate_fingerprint(self) -> str | None:
        """See `Link`."""
        return self._own

    @property
    def peer_certificate_fingerprint(self) -> str | None:
        """See `Link`."""
        return self._peer

    @property
    def peer_fingerprint(self) -> str | None:
        """See `Link`."""
        return self._peer

    async def send(self, messages: Sequence[bytes]) -> None:
        """See `Link`."""
        frame = encode_within(messages, self._limits)
        outbox = self._outbox
        while self._ended is None and self._left is None and outbox.size > _WINDOW_BYTES:
            outbox.writable.clear()
            await outbox.writable.wait()
        over = self._ended or self._left
        if over is not None:
            raise LinkClosed(*over)
        outbox.put(frame)

    @property
    def writable(self) -> bool:
        """See `Link`."""
        return self._outbox.size <= _WINDOW_BYTES

    def send_now(self, messages: Sequence[bytes]) -> None:
        """See `Link`."""
        frame = encode_within(messages, self._limits)
        over = self._ended or self._left
        if over is not None:
            raise LinkClosed(*over)
        self._outbox.put(frame)

    async def receive(self) -> list[bytes]:
        """See `Link`."""
        inbox = self._inbox
        while self._ended is None:
            if inbox.frames:
                return self._decoded(inbox.take())
            if self._left is not None:
                raise LinkClosed(*self._left)
            inbox.readable.clear()
            await inbox.readable.wait()
        raise LinkClosed(*self._ended)

    def abort(self, reason: str) -> None:
        """See `Link`."""
        self._outbox.drop()
        self._end(("closed_by_us", reason), ("lost", ""))

    async def close(self, reason: str) -> None:
        """See `Link`."""
        self._end(("closed_by_us", reason), ("closed_by_peer", reason))

    def inject(self, frame: bytes) -> None:
        """Hand raw bytes to the other side as if this side had sent them; for hostile tests."""
        self._outbox.put(frame)

    def _decoded(self, frame: bytes) -> list[bytes]:
        limits = self._limits
        try:
            return decode(
                frame,
                frame_bytes_max=limits.frame_bytes_max,
                message_bytes_max=limits.message_bytes_max,
                messages_max=limits.messages_max,
            )
        except FrameError as error:
            ended = (f"frame_{error.reason}", str(error))
            self._end(ended, ("closed_by_peer", ended[0]))
            raise LinkClosed(*ended) from error

    def _end(self, here: tuple[str, str], there: tuple[str, str]) -> None:
        other = self.other
        if self._ended is None:
            self._ended = here
            if other is not None and other._left is None:  # noqa: SLF001  # its own other half
                other._left = there  # noqa: SLF001  # its own other half
        self._inbox.wake()
        self._outbox.wake()


def memory_pair(
    limits: LinkLimits | None = None,
    *,
    fingerprints: tuple[str | None, str | None] = ("a" * 64, "b" * 64),
) -> tuple[MemoryLink, MemoryLink]:
    """Return two connected links; the peer of each is the other's fingerprint."""
    limits = limits or LinkLimits()
    there, back = _Pipe(), _Pipe()
    one, two = fingerprints
    first = MemoryLink(one, two, (back, there), limits)
    second = MemoryLink(two, one, (there, back), limits)
    first.other, second.other = second, first
    return first, second
