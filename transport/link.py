"""What a link is: an ordered, bounded stream of frames between two processes.

Law: what one side sends in one call the other receives in one call, whole, in order, at most once.
A link ends once, for one reason, and says so to everyone who still uses it; sending promises
nothing about arrival. Whoever holds a link may end it at any time without waiting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from transport.errors import TransportError
from transport.frames import FrameError, encode

__all__ = ["Link", "LinkClosed", "LinkLimits", "encode_within"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimits:
    """Bounds of one link; both sides of a mesh use the same.

    Attributes:
        frame_bytes_max: longest frame, in bytes.
        message_bytes_max: longest message in a frame, in bytes.
        messages_max: most messages in a frame.
        heartbeat_s: after so many seconds without a word the other side is asked, and after half
            as many more without an answer the link is lost.
        close_s: longest wait for the other side's goodbye, in seconds.
    """

    frame_bytes_max: int = 8 * 1024 * 1024
    message_bytes_max: int = 8 * 1024 * 1024 - 5
    messages_max: int = 65_536
    heartbeat_s: float = 5.0
    close_s: float = 1.0


class LinkClosed(TransportError):  # noqa: N818  # an expected end, as in the literature on streams
    """The link is over.

    Attributes:
        reason: `closed_by_us`, `closed_by_peer`, `lost` (no goodbye), `silent` (no heartbeat),
            `text_frame`, `protocol`, `no_upgrade`, or `frame_` and the reason of a `FrameError`.
        detail: what the closing side said; the other side's words are cut to printable ASCII.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"the link is closed: {reason}{f' ({detail})' if detail else ''}")
        self.reason = reason
        self.detail = detail


class Link(Protocol):
    """One live connection to one proven peer."""

    @property
    def own_certificate_fingerprint(self) -> str | None:
        """Fingerprint of the certificate this side presented; None when it presented none."""

    @property
    def peer_certificate_fingerprint(self) -> str | None:
        """Fingerprint of the certificate the peer proved; None for an anonymous one."""

    @property
    def peer_fingerprint(self) -> str | None:
        """The same, under the name of its use: whom the allowlist let in."""

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send `messages` as one frame, waiting while the peer is slow to read.

        Raises:
            FrameError: no messages, or a limit of this side is exceeded; the link lives on.
            LinkClosed: the link is over.
        """

    @property
    def writable(self) -> bool:
        """Whether the peer keeps up: little of what was sent still waits on this side."""

    def send_now(self, messages: Sequence[bytes]) -> None:
        """Send `messages` as one frame at once, to be used while the link is `writable`.

        Raises:
            FrameError: no messages, or a limit of this side is exceeded; the link lives on.
            LinkClosed: the link is over.
        """

    async def receive(self) -> list[bytes]:
        """Return the messages of the next frame. One caller at a time.

        Raises:
            LinkClosed: the link is over, also because of what the peer just sent.
        """

    def abort(self, reason: str) -> None:
        """End the link now; what is not yet sent is lost, the peer sees `lost`."""

    async def close(self, reason: str) -> None:
        """End the link with a goodbye after what was sent; waits `close_s` at most."""


def encode_within(messages: Sequence[bytes], limits: LinkLimits) -> bytes:
    """Return the frame of `messages`, having checked this side's own limits.

    Raises:
        FrameError: a limit is exceeded; a fault of the caller, not of the peer.
    """
    if len(messages) > limits.messages_max:
        raise FrameError(
            "too_many_messages", f"{len(messages)} messages are over {limits.messages_max}"
        )
    frame = encode(messages)
    size = len(frame)
    if size > limits.frame_bytes_max:
        raise FrameError("too_big", f"a frame of {size} bytes is over {limits.frame_bytes_max}")
    if size > limits.message_bytes_max and max(map(len, messages)) > limits.message_bytes_max:
        raise FrameError(
            "message_too_big", f"a message is over the limit of {limits.message_bytes_max} bytes"
        )
    return frame
