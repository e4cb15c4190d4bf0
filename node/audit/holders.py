"""Who holds keys of this node, compared with who held them before.

Law: what is compared are ids, roles and fingerprints; a key itself is never here. A change
that was made while no node ran is told at the next start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from node.auth.credentials import Credentials
from node.auth.enrolments import Enrolments
from node.auth.keys import KeyRing

Told = tuple[str, dict[str, object]]
"""An event of the chain, and its facts."""


@dataclass(frozen=True, slots=True)
class Holders:
    """What was seen last.

    Attributes:
        keys: by id, whether the key was revoked.
        peers: by id, the fingerprint of the enrolled certificate.
    """

    keys: Mapping[str, bool] = field(default_factory=dict)
    peers: Mapping[str, str] = field(default_factory=dict)

    def note(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"keys": dict(self.keys), "peers": dict(self.peers)}


def from_note(row: Mapping[str, Any]) -> Holders:
    """What an earlier process saw; nothing where it left no word."""
    keys, peers = row.get("keys"), row.get("peers")
    return Holders(
        {str(name): bool(gone) for name, gone in keys.items()} if isinstance(keys, dict) else {},
        {str(name): str(mark) for name, mark in peers.items()} if isinstance(peers, dict) else {},
    )


@dataclass(slots=True)
class HolderWatch:
    """Looks at keys and peers and tells what changed.

    Attributes:
        credentials: asked anew each time.
        seen: what was seen last.
    """

    credentials: Credentials
    seen: Holders
    _ring: KeyRing | None = None
    _enrolments: Enrolments | None = None

    def look(self) -> list[Told]:
        """What changed since the last look; cheap when nothing did."""
        ring, enrolments = self.credentials.key_ring(), self.credentials.enrolments()
        if ring is self._ring and enrolments is self._enrolments:
            return []
        self._ring, self._enrolments = ring, enrolments
        told = [*_keys(self.seen.keys, ring), *_peers(self.seen.peers, enrolments)]
        self.seen = Holders(
            {key.id: key.revoked_at is not None for key in ring.grants.values()},
            {peer.peer_id: peer.fingerprint for peer in enrolments.peers.values()},
        )
        return told


def _keys(before: Mapping[str, bool], ring: KeyRing) -> Iterator[Told]:
    now = {key.id: key for key in ring.grants.values()}
    for ident, key in now.items():
        facts: dict[str, object] = {"id": ident, "role": key.role or "", "agent": key.agent_id}
        if ident not in before:
            yield "key_created", facts | {"namespaces": key.namespaces}
        if key.revoked_at is not None and not before.get(ident, False):
            yield "key_revoked", facts
    for ident, revoked in before.items():
        if ident not in now and not revoked:
            yield "key_revoked", {"id": ident}


def _peers(before: Mapping[str, str], enrolments: Enrolments) -> Iterator[Told]:
    now = {peer.peer_id: peer for peer in enrolments.peers.values()}
    for ident, peer in now.items():
        if before.get(ident) != peer.fingerprint:
            yield "peer_enrolled", {"id": ident, "fingerprint": peer.fingerprint}
    for ident in before.keys() - now.keys():
        yield "peer_removed", {"id": ident}
