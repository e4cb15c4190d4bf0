"""The bytes of docs/protocol.md: frames, greetings, messages, actors and clocks.

Law: one function a thing of the document, so a place where the document is wrong shows here.
Numbers of kinds are those of its table; nothing is checked on the way out, because lies are to be
said too.
"""

import hashlib
import os
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

import msgpack
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

__all__ = [
    "Greeting",
    "Kind",
    "Said",
    "actor_of",
    "clock_hash",
    "frame",
    "group_of",
    "message",
    "messages_of",
    "node_of",
    "now_ms",
    "said",
]

FRAME_VERSION: Final = 1
PROTOCOL: Final = 1
ACTOR_BYTES: Final = 45
KINDS: Final = (1, 2, 3, 4, 5, 16, 17, 18, 19, 20, 21, 22, 23, 24)
_GREETING_TAG: Final = b"mnemesh-greeting-1\0"
_GROUP_S: Final = 30 * 86400
Clock = dict[bytes, int]


class Kind(IntEnum):
    """Kinds of messages."""

    HELLO = 0
    ASK = 1
    FULL = 2
    ACK = 3
    WANT = 4
    PAGE = 5
    OFFER = 6
    FETCH = 7
    CHUNK = 8
    LEVEL = 9
    BEHIND = 10
    GAP = 11
    PUSH = 12
    SKEWED = 13
    BEAT = 14
    ECHO = 15
    ASIDE = 16
    SPREAD = 17


class Said(tuple[Any, ...]):
    """A message that was heard: its kind, then its fields."""

    __slots__ = ()

    @property
    def kind(self) -> int:
        """Its kind, which may be none of `Kind`."""
        return int(self[0])


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def message(kind: int, *fields: object) -> bytes:
    """The bytes of a message."""
    packed: bytes = msgpack.packb([int(kind), *fields], use_bin_type=True)
    return packed


def said(data: bytes) -> Said:
    """Read a message.

    Raises:
        ValueError: it is none.
    """
    row = msgpack.unpackb(data, raw=False, strict_map_key=False)
    if not isinstance(row, list) or not row or type(row[0]) is not int:
        raise ValueError("not a message")
    return Said(row)


def frame(messages: Sequence[bytes], version: int = FRAME_VERSION) -> bytes:
    """One frame."""
    return bytes([version]) + b"".join(struct.pack(">I", len(one)) + one for one in messages)


def messages_of(data: bytes) -> list[bytes]:
    """Read a frame.

    Raises:
        ValueError: it is none.
    """
    if not data or data[0] != FRAME_VERSION:
        raise ValueError("not a frame")
    found, at = [], 1
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


# --- actors and clocks --------------------------------------------------------------------


def actor_of(lane: str, node_id: bytes, birth_s: int | None = None) -> bytes:
    """A fresh actor of a node: lane, second of birth, chance, node."""
    second = int(time.time()) if birth_s is None else birth_s
    return lane.encode() + second.to_bytes(4) + os.urandom(8) + node_id


def node_of(actor: bytes) -> bytes:
    """Whose actor it is."""
    return actor[13:]


def group_of(actor: bytes) -> int:
    """Thirty days of birth."""
    return int.from_bytes(actor[1:5]) // _GROUP_S


def clock_hash(clock: Mapping[bytes, int]) -> bytes:
    """What stands for a group of a clock, or a whole one."""
    state = hashlib.blake2b(digest_size=16)
    for actor in sorted(clock):
        state.update(actor + clock[actor].to_bytes(8))
    return state.digest()


# --- the greeting ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What the first frame says; fields as in the document, and any of them can lie."""

    cluster: str
    founders: tuple[str, ...]
    key: bytes
    name: str
    url: str
    claim: str
    process: bytes
    settled: bool = True
    protocol: Any = PROTOCOL
    kinds: Sequence[Any] = KINDS
    more: tuple[Any, ...] = ()

    def but(self, **changes: Any) -> "Greeting":
        """The same with changes."""
        return replace(self, **changes)

    def body(self) -> bytes:
        """What is signed about."""
        packed: bytes = msgpack.packb(
            [
                self.protocol,
                self.cluster,
                list(self.founders),
                self.key,
                self.name,
                self.url,
                self.claim,
                self.process,
                list(self.kinds),
                self.settled,
                *self.more,
            ]
        )
        return packed

    def signed(self, signing: SigningKey, own: str, peer: str) -> bytes:
        """The message, proven for a pair of certificates, by their fingerprints."""
        body = self.body()
        packed: bytes = msgpack.packb([body, signing.sign(_proof(body, own, peer)).signature])
        return packed


def _proof(body: bytes, own: str, peer: str) -> bytes:
    ends = bytes.fromhex(own) + bytes.fromhex(peer)
    return _GREETING_TAG + ends + hashlib.sha256(body).digest()


def read_greeting(data: bytes, own: str, peer: str) -> Greeting:
    """Read and verify the greeting of the other side.

    Raises:
        ValueError: it is none, or not proven.
    """
    body, signature = msgpack.unpackb(data, raw=False)
    row = msgpack.unpackb(body, raw=False)
    if row[0] != PROTOCOL:
        raise ValueError(f"protocol {row[0]}")
    try:
        VerifyKey(row[3]).verify(_proof(body, peer, own), signature)
    except BadSignatureError as error:
        raise ValueError("the greeting is not proven") from error
    _, cluster, founders, key, name, url, claim, process, kinds, settled = row
    return Greeting(
        cluster=cluster,
        founders=tuple(founders),
        key=key,
        name=name,
        url=url,
        claim=claim,
        process=process,
        settled=settled,
        kinds=tuple(kinds),
    )
