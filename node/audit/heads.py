r"""What nodes say to each other about the ends of their chains.

Law: a head is signed by the node whose it is, a countersignature by the peer that keeps it; so
either proves what it says to a third party. Any bytes give one of these values or a
`HeadError`. Both carry the public key, whose SHA-256 is the node id, so a book of them can be
checked without knowing the mesh. Actors of the private lane stand in no head.

Head (msgpack):     [1, key, audit seq, audit hash, at ms, [[actor, seq, chain hash] ...], sig]
    sig = Ed25519(tag "mnemesh-audit-head-1\0", SHA-256(msgpack of the first six))
Witness (msgpack):  [1, key, at ms, head, sig]
    sig = Ed25519(tag "mnemesh-audit-witness-1\0", SHA-256(msgpack of the first four))
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgpack

from crdt.dot import PRIVATE, SEQ_MAX, Actor, NodeId, is_actor, lane_of, node_of
from node.audit.chain import Link, Sign, Verify
from transport.identity import PUBLIC_KEY_BYTES as KEY_BYTES
from transport.identity import node_id_of

FORMAT: Final = 1
ACTORS_MAX: Final = 400
ASIDE_BYTES_MAX: Final = 64 * 1024
HASH_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_HEAD_TAG: Final = b"mnemesh-audit-head-1\x00"
_WITNESS_TAG: Final = b"mnemesh-audit-witness-1\x00"
_HEAD_WIDTH: Final = 7
_WITNESS_WIDTH: Final = 5
_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack


class HeadError(ValueError):
    """Bytes that are no head, no witness, or not signed by who they say."""


class ActorHead(NamedTuple):
    """How far a line of operations reached: its last bundle's end and chain hash."""

    actor: Actor
    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The ends of a node's chains at one moment.

    Attributes:
        node_id: whose.
        seq: number of the newest entry of its audit chain.
        hash: that entry's hash, 32 bytes.
        at: when it said so, milliseconds.
        actors: its own lines of operations, by actor.
        data: its bytes as signed.
    """

    node_id: NodeId
    seq: int
    hash: bytes
    at: int
    actors: tuple[ActorHead, ...]
    data: bytes

    @property
    def link(self) -> Link:
        """Its place in the audit chain."""
        return Link(self.seq, self.hash.hex())


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A peer's word that it keeps a head.

    Attributes:
        by: who says so.
        at: when, milliseconds.
        head: the newest it keeps.
        data: its bytes as signed.
    """

    by: NodeId
    at: int
    head: Head
    data: bytes


def _digest(tag: bytes, row: list[Any]) -> bytes:
    return tag + hashlib.sha256(_pack(row)).digest()


def write_head(
    link: Link, actors: tuple[ActorHead, ...], *, key: bytes, at: int, sign: Sign
) -> Head:
    """Sign where this node's chains end."""
    digest = bytes.fromhex(link.hash)
    row: list[Any] = [FORMAT, key, link.seq, digest, at, [list(item) for item in actors]]
    data: bytes = _pack([*row, sign(_digest(_HEAD_TAG, row))])
    return Head(node_id=node_id_of(key), seq=link.seq, hash=digest, at=at, actors=actors, data=data)


def read_head(data: bytes, verify: Verify) -> Head:
    """Strictly read a head and check its signature.

    Raises:
        HeadError: it is none, or its node did not sign it.
    """
    row = _unpacked(data, _HEAD_WIDTH)
    _, key, seq, digest, at, rows, signature = row
    _check_bytes(key, KEY_BYTES)
    _check_number(seq)
    _check_number(at)
    _check_bytes(digest, HASH_BYTES)
    _check_bytes(signature, SIGNATURE_BYTES)
    node_id = node_id_of(key)
    actors = _actors(rows, node_id)
    if not verify(key, _digest(_HEAD_TAG, row[:-1]), signature):
        raise HeadError("the head is not signed by its node")
    return Head(node_id=node_id, seq=seq, hash=digest, at=at, actors=actors, data=data)


def _unpacked(data: bytes, width: int) -> list[Any]:
    if len(data) > ASIDE_BYTES_MAX:
        raise HeadError("too long")
    try:
        row = msgpack.unpackb(data, raw=False)
    except Exception as error:
        raise HeadError("not msgpack") from error
    if not isinstance(row, list) or len(row) != width or row[0] != FORMAT or _pack(row) != data:
        raise HeadError("another form")
    return row


def _check_bytes(value: object, size: int) -> None:
    if not isinstance(value, bytes) or len(value) != size:
        raise HeadError("a part has the wrong size")


def _check_number(value: object) -> None:
    if type(value) is not int or not 0 <= value <= SEQ_MAX:
        raise HeadError("a number is out of range")


def _actors(rows: object, node_id: NodeId) -> tuple[ActorHead, ...]:
    if not isinstance(rows, list) or len(rows) > ACTORS_MAX:
        raise HeadError("too many lines of operations")
    out = []
    for row in rows:
        if not isinstance(row, list) or len(row) != len(ActorHead._fields):
            raise HeadError("another form")
        actor, seq, digest = row
        if not is_actor(actor) or node_of(actor) != node_id or lane_of(actor) == PRIVATE:
            raise HeadError("a line that is not the node's own")
        _check_number(seq)
        _check_bytes(digest, HASH_BYTES)
        out.append(ActorHead(actor, seq, digest))
    if len({item.actor for item in out}) != len(out):
        raise HeadError("a line stands there twice")
    return tuple(out)


def write_witness(head: Head, *, key: bytes, at: int, sign: Sign) -> bytes:
    """Countersign a head."""
    row: list[Any] = [FORMAT, key, at, head.data]
    data: bytes = _pack([*row, sign(_digest(_WITNESS_TAG, row))])
    return data


def read_witness(data: bytes, verify: Verify, *, own: Head | None = None) -> Witness:
    """Strictly read a countersignature, and check every signature in it.

    Args:
        data: its bytes.
        verify: checks a signature.
        own: a head that this process signed itself; the same bytes are not checked again.

    Raises:
        HeadError: it is none, or somebody did not sign what it says they did.
    """
    _, key, at, head, signature = row = _unpacked(data, _WITNESS_WIDTH)
    _check_bytes(key, KEY_BYTES)
    _check_number(at)
    _check_bytes(signature, SIGNATURE_BYTES)
    if not isinstance(head, bytes):
        raise HeadError("another form")
    if not verify(key, _digest(_WITNESS_TAG, row[:-1]), signature):
        raise HeadError("the countersignature is not by its node")
    held = own if own is not None and own.data == head else read_head(head, verify)
    return Witness(by=node_id_of(key), at=at, head=held, data=data)


def contradiction(held: Head, said: Head) -> str:
    """Why a later head of a node cannot stand beside one that was kept; empty when it can."""
    if said.seq < held.seq:
        return "lower"
    if said.seq == held.seq and said.hash != held.hash:
        return "other_entry"
    shown = {item.actor: item for item in said.actors}
    for kept in held.actors:
        now = shown.get(kept.actor)
        if now is None:
            continue  # beyond the number of lines that a head holds
        if now.seq < kept.seq:
            return "fewer_operations"
        if now.seq == kept.seq and now.hash != kept.hash:
            return "other_operations"
    return ""
