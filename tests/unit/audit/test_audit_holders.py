"""Keys and peers that come and go, told once each, also when no node ran meanwhile."""

from dataclasses import replace

from node.audit.holders import Holders, HolderWatch, from_note
from node.auth.credentials import Credentials
from node.auth.enrolments import Enrolled, Enrolments
from node.auth.keys import KeyGrant, KeyRing
from tests.unit.audit.audit_rig import T0_MS

KEY = KeyGrant(id="k1", name="ci", role="agent-writer", agent_id="ai:a", digest="00" * 32)
PEER = Enrolled(peer_id="p", public_key=bytes(32), fingerprint="ab" * 32)


class World:
    def __init__(self, seen: Holders | None = None) -> None:
        self.ring, self.enrolments = KeyRing(), Enrolments()
        credentials = Credentials(key_ring=lambda: self.ring, enrolments=lambda: self.enrolments)
        self.watch = HolderWatch(credentials, seen or Holders())

    def told(self) -> list[str]:
        return [event for event, _ in self.watch.look()]


def test_keys_and_peers_are_told_once_when_they_come_and_once_when_they_go() -> None:
    world = World()
    assert world.told() == []
    world.ring, world.enrolments = KeyRing().with_key(KEY), Enrolments().with_peer(PEER)
    assert world.told() == ["key_created", "peer_enrolled"]
    assert world.told() == []
    world.ring = KeyRing().with_key(replace(KEY, revoked_at=T0_MS))
    world.enrolments = Enrolments()
    assert world.told() == ["key_revoked", "peer_removed"]


def test_a_change_without_a_node_is_told_at_the_next_look() -> None:
    seen = from_note(Holders({"k0": False, "k1": False}, {"p": "cd" * 32}).note())
    world = World(seen)
    world.ring = KeyRing().with_key(replace(KEY, revoked_at=T0_MS))
    world.enrolments = Enrolments().with_peer(PEER)
    assert sorted(world.told()) == ["key_revoked", "key_revoked", "peer_enrolled"]


def test_no_digest_of_a_key_is_told() -> None:
    world = World()
    world.ring = KeyRing().with_key(KEY)
    assert KEY.digest not in str(world.watch.look())


def test_a_note_that_cannot_be_used_is_nothing_seen() -> None:
    assert from_note({"keys": [1], "peers": "x"}) == Holders()
