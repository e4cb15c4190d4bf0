"""Bundles: the unit of log, wire, signature and apply.

Law: encoded and signed once by its author, relayed unchanged, never cut. A bundle names the
chain hash of its actor's previous bundle, so an actor's whole line is one hash chain and
nobody can insert, drop or swap a link of it unseen.

Layout (msgpack): [1, actor, first, count, prev, ops, signature], where `ops` is msgpack of
[actors, head sets, operations]. Signed bytes: tag, cluster hash, actor, first, count, prev,
SHA-256 of ops (Ed25519, RFC 8032). The chain hash is SHA-256 of the signed bytes.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgpack

from crdt.dot import GOVERNANCE, SEQ_MAX, Actor, Dot, is_actor
from crdt.op import DECISION_KINDS, GOVERNANCE_KINDS, Op
from crdt.op_codec import decode_ops, encode_ops

FORMAT: Final = 1
_TAG: Final = b"mnemesh-bundle-1\x00"
HASH_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
NO_PREV: Final = bytes(HASH_BYTES)

_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack

Sign = Callable[[bytes], bytes]
"""Message -> 64-byte Ed25519 signature by the node's key."""


class BundleError(ValueError):
    """Bytes that are not an acceptable bundle. `reason` is a short label for counting."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Bundle(NamedTuple):
    """One commit's worth of operations of one actor.

    Attributes:
        actor: who minted it.
        first: sequence number of its first operation.
        prev: chain hash of the actor's previous bundle; zeros for the first.
        ops: its operations, at least one.
        data: its bytes on the wire and in the log.
        signed: the message that the signature covers.
        signature: 64 bytes.
        hash: chain hash of this bundle.
    """

    actor: Actor
    first: int
    prev: bytes
    ops: Sequence[Op]
    data: bytes
    signed: bytes
    signature: bytes
    hash: bytes

    @property
    def last(self) -> int:
        """Sequence number of its last operation."""
        return self.first + len(self.ops) - 1


def cluster_hash(cluster: str) -> bytes:
    """What binds a signature to one cluster: 32 bytes."""
    return hashlib.sha256(cluster.encode()).digest()


def _signed(cluster: bytes, actor: Actor, first: int, count: int, prev: bytes, ops: bytes) -> bytes:
    return b"%b%b%b%b%b%b%b" % (
        _TAG,
        cluster,
        actor,
        first.to_bytes(8, "big"),
        count.to_bytes(4, "big"),
        prev,
        hashlib.sha256(ops).digest(),
    )


def seal_bundle(
    *, cluster: bytes, actor: Actor, first: int, prev: bytes, ops: Sequence[Op], sign: Sign
) -> Bundle:
    """Encode and sign consecutive operations of one actor, once and for all."""
    body = encode_ops(ops)
    signed = _signed(cluster, actor, first, len(ops), prev, body)
    signature = sign(signed)
    data = _pack([FORMAT, actor, first, len(ops), prev, body, signature])
    return _bundle((actor, first, prev), ops, data, signed, signature)


def _bundle(
    header: tuple[Actor, int, bytes],
    ops: Sequence[Op],
    data: bytes,
    signed: bytes,
    signature: bytes,
) -> Bundle:
    actor, first, prev = header
    chained = hashlib.sha256(signed).digest()
    return Bundle(actor, first, prev, ops, data, signed, signature, chained)


def read_bundle(data: bytes, *, cluster: bytes, ops_max: int) -> Bundle:
    """Strictly decode a bundle. The signature is not verified here: `signed` is the message.

    Args:
        data: the bytes as they arrived.
        cluster: the cluster hash this node belongs to.
        ops_max: most operations in a bundle.

    Raises:
        BundleError: the bytes are no bundle, or break a limit.
    """
    try:
        row = msgpack.unpackb(data, raw=False)
    except MemoryError:  # says nothing about the bytes
        raise
    except Exception as error:
        raise BundleError("malformed", f"not msgpack: {error}") from error
    if not isinstance(row, list) or len(row) != 7:  # noqa: PLR2004 - the layout's width
        raise BundleError("malformed", "a bundle is a list of seven")
    version, actor, first, count, prev, body, signature = row
    if version != FORMAT:
        raise BundleError("unknown_format", f"another bundle format than {FORMAT}")
    if _pack(row) != data:
        raise BundleError("malformed", "not the one encoding that a bundle has")
    _check_header(actor, first, count, prev, body, signature, ops_max)
    try:
        ops = decode_ops(body, actor, first)
    except MemoryError:  # says nothing about the bytes
        raise
    except Exception as error:
        raise BundleError("malformed_op", str(error)) from error
    if len(ops) != count:
        raise BundleError("malformed", f"says {count} operations, holds {len(ops)}")
    _check_lane(actor, ops)
    signed = _signed(cluster, actor, first, count, prev, body)
    return _bundle((actor, first, prev), ops, data, signed, signature)


def _check_header(
    actor: object,
    first: object,
    count: object,
    prev: object,
    body: object,
    signature: object,
    ops_max: int,
) -> None:
    if not is_actor(actor):
        raise BundleError("malformed", "the actor has the wrong shape")
    if type(first) is not int or not 1 <= first <= SEQ_MAX:
        raise BundleError("malformed", "the first sequence number is out of range")
    if type(count) is not int or not 1 <= count <= ops_max:
        raise BundleError("too_many_ops", f"a bundle holds 1 to {ops_max} operations")
    if not isinstance(prev, bytes) or len(prev) != HASH_BYTES:
        raise BundleError("malformed", "the previous hash has the wrong size")
    if not isinstance(body, bytes):
        raise BundleError("malformed", "the operations are not bytes")
    if not isinstance(signature, bytes) or len(signature) != SIGNATURE_BYTES:
        raise BundleError("malformed", "the signature has the wrong size")


def _check_lane(actor: Actor, ops: Sequence[Op]) -> None:
    """The governance lane refers to nothing else; what decides lives in the lane it decides."""
    governance = actor[:1] == GOVERNANCE
    heads: tuple[Dot, ...] = ()
    for op in ops:
        if (op.kind in GOVERNANCE_KINDS) is not governance:
            raise BundleError("wrong_lane", f"{op.kind.name} does not belong in this lane")
        if op.target is None and op.kind in DECISION_KINDS:
            raise BundleError("malformed_op", f"{op.kind.name} without a target")
        if governance and not all(_governs(d) for d in (*op.births, *op.supersedes, *op.heads)):
            raise BundleError("wrong_lane", "a governance operation refers outside its lane")
        if op.heads is not heads:  # operations that name the same heads share them
            heads = op.heads
            if not all(_governs(d) for d in heads):
                raise BundleError("wrong_lane", "a head lies outside the governance lane")


def _governs(dot: Dot) -> bool:
    return dot.actor[:1] == GOVERNANCE
