"""The first frame of a link, both ways: who speaks, in which mesh, and the proof.

Law: the node key signs both certificates of the very connection, so a greeting is worth
nothing on another one; whoever terminates TLS with another certificate cannot pass one on.
Nothing of the core is said before both greetings were accepted.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgpack

from crdt.governance import Genesis
from crdt.op import Kind
from transport.errors import PublicKeyError
from transport.identity import check_public_key, verify

PROTOCOL_VERSION: Final = 1
DOCUMENTS: Final = 128
"""Among the kinds: that a program reads the chunks of documents. No operation has this number."""
_TAG: Final = b"mnemesh-greeting-1\x00"
_FIELDS: Final = 10
_PROCESS_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_TEXT_MAX: Final = 512
_FOUNDERS_MAX: Final = 100


class GreetingRefused(ValueError):  # noqa: N818 - it says what happened
    """A greeting that must not open a link. `reason` is a short label for counting."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What one side says of itself.

    Attributes:
        genesis: the mesh it belongs to.
        key: its Ed25519 public key.
        name: what people call it.
        url: where peers reach it.
        claim: the founding place it holds or would take; empty for none.
        process: 8 random bytes, drawn at its start.
        settled: whether its store belongs to that mesh already.
        kinds: the operation kinds it knows, and `DOCUMENTS`.
    """

    genesis: Genesis
    key: bytes
    name: str
    url: str
    claim: str
    process: bytes
    settled: bool = False
    kinds: tuple[int, ...] = (*(int(kind) for kind in Kind), DOCUMENTS)

    @property
    def node_id(self) -> bytes:
        """SHA-256 of the key."""
        return hashlib.sha256(self.key).digest()


def _signed(body: bytes, own_certificate: str, peer_certificate: str) -> bytes:
    ends = bytes.fromhex(own_certificate) + bytes.fromhex(peer_certificate)
    return _TAG + ends + hashlib.sha256(body).digest()


def encode_greeting(
    greeting: Greeting,
    sign: Callable[[bytes], bytes],
    *,
    own_certificate: str,
    peer_certificate: str,
) -> bytes:
    """The bytes of a greeting for one connection, named by its two certificates."""
    body = msgpack.packb(
        [
            PROTOCOL_VERSION,
            greeting.genesis.cluster,
            list(greeting.genesis.founders),
            greeting.key,
            greeting.name,
            greeting.url,
            greeting.claim,
            greeting.process,
            list(greeting.kinds),
            greeting.settled,
        ]
    )
    packed: bytes = msgpack.packb([body, sign(_signed(body, own_certificate, peer_certificate))])
    return packed


def read_greeting(data: bytes, *, own_certificate: str, peer_certificate: str) -> Greeting:
    """Decode and verify the greeting of the other side.

    Args:
        data: the first message of the link.
        own_certificate: fingerprint that this side presented.
        peer_certificate: fingerprint that the other side presented.

    Raises:
        GreetingRefused: it is malformed, of another protocol, or not proven.
    """
    try:
        body, signature = msgpack.unpackb(data, raw=False)
        row = msgpack.unpackb(body, raw=False)
    except Exception as error:
        raise GreetingRefused("malformed", "the greeting cannot be read") from error
    if not isinstance(row, list) or not row or row[0] != PROTOCOL_VERSION:
        spoken = row[0] if isinstance(row, list) and row and type(row[0]) is int else "unknown"
        raise GreetingRefused(
            "protocol",
            f"the peer speaks protocol {str(spoken)[:20]}, this node {PROTOCOL_VERSION}",
        )
    greeting = _parsed(row)
    message = _signed(body, peer_certificate, own_certificate)
    if not isinstance(signature, bytes) or len(signature) != _SIGNATURE_BYTES:
        raise GreetingRefused("malformed", "the greeting is not signed")
    if not verify(greeting.key, message, signature):
        raise GreetingRefused("signature", "the signature is not of this key and connection")
    return greeting


def _parsed(row: list[object]) -> Greeting:
    if len(row) != _FIELDS:
        raise GreetingRefused("malformed", f"a greeting has {_FIELDS} fields")
    _, cluster, founders, key, name, url, claim, process, kinds, settled = row
    texts = (cluster, name, url, claim)
    if not all(isinstance(text, str) and len(text) <= _TEXT_MAX for text in texts):
        raise GreetingRefused("malformed", "a name is no text of fitting length")
    if not isinstance(founders, list) or not 1 <= len(founders) <= _FOUNDERS_MAX:
        raise GreetingRefused("malformed", "the founders are no list")
    if not all(isinstance(f, str) and len(f) <= _TEXT_MAX for f in founders):
        raise GreetingRefused("malformed", "a founder is no text of fitting length")
    if not isinstance(key, bytes) or not isinstance(process, bytes):
        raise GreetingRefused("malformed", "the key or the process is not bytes")
    if len(process) != _PROCESS_BYTES or not isinstance(kinds, list) or len(kinds) > _TEXT_MAX:
        raise GreetingRefused("malformed", "the process or the kinds have the wrong size")
    try:
        check_public_key(key)
    except PublicKeyError as error:
        raise GreetingRefused("key", str(error)) from error
    return Greeting(
        genesis=Genesis(cluster=str(cluster), founders=tuple(str(f) for f in founders)),
        key=key,
        name=str(name),
        url=str(url),
        claim=str(claim),
        process=process,
        settled=settled is True,
        kinds=tuple(kind for kind in kinds if isinstance(kind, int)),
    )


def told(text: str) -> str:
    """What a log may say of a text that somebody sent who is no member: its size and its hash."""
    return f"{len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def check_same_mesh(mine: Genesis, theirs: Genesis) -> None:
    """Both sides stem from the same founding.

    Raises:
        GreetingRefused: with what differs.
    """
    if mine.cluster != theirs.cluster:
        raise GreetingRefused(
            "wrong_cluster",
            f"the peer is of another cluster ({told(theirs.cluster)}) than {mine.cluster!r}",
        )
    if mine.founders != theirs.founders:
        only_here = sorted(set(mine.founders) - set(theirs.founders))
        only_there = sorted(set(theirs.founders) - set(mine.founders))
        raise GreetingRefused(
            "wrong_mesh",
            "the founding differs: "
            f"only here {', '.join(only_here) or 'nothing'}; "
            f"only there {'; '.join(map(told, only_there)) or 'nothing'}. "
            "Every founder must be named alike everywhere: compare --advertise and --quorum-peers",
        )
