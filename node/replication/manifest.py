"""What a node signs when it offers a snapshot, kept as proof when the snapshot is refused.

Law: it prevents nothing and proves to anybody who served what: the node, the clock, the digest and
the founding, under the key whose SHA-256 is the node id. A snapshot that is not what its manifest
says is refused. A source of an older release sends none.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import msgpack

from crdt.bundle import Sign
from crdt.dot import NodeId
from crdt.identity import Verify

OFFER_TOPIC: Final = "snapshot-offer"
_TAG: Final = b"mnemesh-snapshot-1\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One offer.

    Attributes:
        snapshot: its name.
        key: the public key of who offers it, 32 bytes.
        genesis: id of the founding.
        clock: hash of what it covers, 16 bytes.
        digest: what its rows add up to.
        now_ms: when it was offered, by the clock of who offers it.
        signature: over all of it.
    """

    snapshot: bytes
    key: bytes
    genesis: bytes
    clock: bytes
    digest: int
    now_ms: int
    signature: bytes = b""

    @property
    def node_id(self) -> NodeId:
        """Who offers it."""
        return hashlib.sha256(self.key).digest()

    def _body(self) -> bytes:
        digest = self.digest.to_bytes(16, "big")
        row = [self.snapshot, self.key, self.genesis, self.clock, digest, self.now_ms]
        packed: bytes = msgpack.packb(row)
        return packed

    def signed(self, sign: Sign) -> bytes:
        """The bytes to be sent."""
        body = self._body()
        packed: bytes = msgpack.packb([body, sign(_TAG + body)])
        return packed


def read_manifest(data: bytes, verify: Verify) -> Manifest | None:
    """A manifest whose signature holds; None for anything else."""
    try:
        body, signature = msgpack.unpackb(data)
        snapshot, key, genesis, clock, digest, now_ms = msgpack.unpackb(body)
        parts = (body, signature, snapshot, key, genesis, clock, digest)
        if not all(isinstance(part, bytes) for part in parts) or type(now_ms) is not int:
            return None
        if not verify(key, _TAG + body, signature):
            return None
    except Exception:  # noqa: BLE001 - whatever it is, it is no manifest
        return None
    return Manifest(
        snapshot=snapshot,
        key=key,
        genesis=genesis,
        clock=clock,
        digest=int.from_bytes(digest, "big"),
        now_ms=now_ms,
        signature=signature,
    )
