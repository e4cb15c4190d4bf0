"""REST peers that may speak for themselves: id, key, and the certificate both are bound to.

Law: an id is worth nothing without the very certificate it was enrolled with. The file is
written by `mnemesh identity` and read again by a running node when it changes.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from node.auth.public_keys import parse_public_key
from node.limits import Limits
from node.memory.rules import agent_id
from transport import allowlist

_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A REST peer that this node knows.

    Attributes:
        peer_id: what it sends as `x-peer-id`.
        public_key: 32 bytes, Ed25519.
        fingerprint: SHA-256 of its certificate, 64 lowercase hex digits.
        enrolled_at: milliseconds since the epoch.
    """

    peer_id: str
    public_key: bytes
    fingerprint: str
    enrolled_at: int = 0


@dataclass(frozen=True, slots=True)
class Enrolments:
    """All enrolled peers, by id."""

    peers: dict[str, Enrolled] = field(default_factory=dict)

    def find(self, peer_id: str | None, fingerprint: str | None) -> Enrolled | None:
        """The peer with this id and this certificate; without an id, the only one with it."""
        if fingerprint is None:
            return None
        if peer_id is not None:
            found = self.peers.get(peer_id)
            return found if found is not None and found.fingerprint == fingerprint else None
        held = [peer for peer in self.peers.values() if peer.fingerprint == fingerprint]
        return held[0] if len(held) == 1 else None

    def with_peer(self, peer: Enrolled) -> "Enrolments":
        """These and one more; it takes the place of one with its id."""
        return Enrolments({**self.peers, peer.peer_id: peer})

    def without(self, peer_id: str) -> "Enrolments":
        """These but one."""
        return Enrolments({name: peer for name, peer in self.peers.items() if name != peer_id})


def parse_enrolments(data: bytes) -> Enrolments:
    """Read the text of the file; empty text is no peer.

    Raises:
        ValueError: it is not such a file; nothing of it may be believed then.
    """
    if not data.strip():
        return Enrolments()
    read = json.loads(data)
    if not isinstance(read, dict) or read.get("version") != _VERSION:
        raise ValueError("expected an object with version 1")
    rows = read.get("peers")
    if not isinstance(rows, list):
        raise ValueError("peers: expected a list")  # noqa: TRY004 - what a file holds is a value
    return Enrolments({peer.peer_id: peer for peer in _peers(rows)})


def _peers(rows: Iterable[Any]) -> Iterable[Enrolled]:
    for place, row in enumerate(rows):
        try:
            yield Enrolled(
                peer_id=agent_id("peer_id", row["peer_id"], Limits()),
                public_key=parse_public_key(row["public_key"]),
                fingerprint=allowlist.normalise(row["fingerprint"]),
                enrolled_at=int(row.get("enrolled_at", 0)),
            )
        except Exception as error:
            raise ValueError(f"peers[{place}]: {error}") from error


def format_enrolments(held: Enrolments) -> bytes:
    """The text of the file."""
    rows = [
        {
            "peer_id": peer.peer_id,
            "public_key": base64.b64encode(peer.public_key).decode(),
            "fingerprint": peer.fingerprint,
            "enrolled_at": peer.enrolled_at,
        }
        for _, peer in sorted(held.peers.items())
    ]
    return (json.dumps({"version": _VERSION, "peers": rows}, indent=1) + "\n").encode()
