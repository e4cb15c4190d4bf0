"""Frames: many opaque messages in one binary WebSocket message.

Law: pure. Any bytes decode to messages or to a `FrameError`, in time and memory proportional to
their length; nothing is read past a declared limit; what `encode` made, `decode` gives back.

    frame   = version (1 byte, 0x01), message, *message
    message = length (4 bytes, big endian), that many bytes
"""

import struct
from collections.abc import Sequence

from transport.errors import TransportError

__all__ = ["FRAME_VERSION", "FrameError", "decode", "encode", "frame_size"]

FRAME_VERSION = 1
_VERSION_BYTE = bytes([FRAME_VERSION])
_LENGTH_BYTES = 4
_LENGTH_MAX = 0xFFFF_FFFF
_length = struct.Struct(">I")
_pack = _length.pack
_unpack_from = _length.unpack_from


class FrameError(TransportError):
    """A frame that breaks the format or a limit.

    Attributes:
        reason: one of `empty`, `version`, `too_big`, `message_too_big`,
            `too_many_messages`, `truncated`; fit for a metric label.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def frame_size(messages: Sequence[bytes]) -> int:
    """Return how many bytes `encode(messages)` will have."""
    return 1 + _LENGTH_BYTES * len(messages) + sum(map(len, messages))


def encode(messages: Sequence[bytes]) -> bytes:
    """Return one frame that holds `messages` in order.

    Raises:
        FrameError: `empty` without messages; `message_too_big` for one of 4 GiB or more.
    """
    if not messages:
        raise FrameError("empty", "a frame needs at least one message; send nothing instead")
    parts = [_VERSION_BYTE]
    append = parts.append
    try:
        for message in messages:
            append(_pack(len(message)))
            append(message)
    except struct.error as error:
        raise FrameError(
            "message_too_big", f"a message of more than {_LENGTH_MAX} bytes fits no frame"
        ) from error
    return b"".join(parts)


def decode(
    frame: bytes, *, frame_bytes_max: int, message_bytes_max: int, messages_max: int
) -> list[bytes]:
    """Return the messages of one frame.

    Args:
        frame: one whole binary WebSocket message.
        frame_bytes_max: longest frame taken, in bytes.
        message_bytes_max: longest message taken, in bytes.
        messages_max: most messages taken from one frame.

    Raises:
        FrameError: the bytes are no frame, or break a limit; nothing of them may be used.
    """
    end = len(frame)
    if end > frame_bytes_max:
        raise FrameError(
            "too_big", f"a frame of {end} bytes is over the limit of {frame_bytes_max}"
        )
    if end <= 1:
        raise FrameError("empty", "a frame without a message")
    if frame[0] != FRAME_VERSION:
        raise FrameError(
            "version", f"frame version {frame[0]} is unknown here; this node speaks {FRAME_VERSION}"
        )
    messages: list[bytes] = []
    append = messages.append
    position = 1
    while position < end:
        start = position + _LENGTH_BYTES
        if start > end:
            raise FrameError("truncated", f"the frame ends inside a length at byte {position}")
        (length,) = _unpack_from(frame, position)
        position = start + length
        if length > message_bytes_max:
            raise FrameError(
                "message_too_big",
                f"a message of {length} bytes is over the limit of {message_bytes_max}",
            )
        if position > end:
            raise FrameError(
                "truncated", f"a message of {length} bytes is declared, {end - start} are there"
            )
        if len(messages) == messages_max:
            raise FrameError("too_many_messages", f"a frame with more than {messages_max} messages")
        append(frame[start:position])
    return messages
