import itertools
import json
from collections.abc import Callable

import pytest

from node.auth.keys import (
    GRADES,
    UNLIMITED,
    KeyGrant,
    KeyRing,
    KeyWish,
    format_keys,
    key_digest,
    make_key,
    parse_keys,
    revoke,
)
from node.auth.opening import lasting
from node.errors import Refused, UsageError

NOW = 1_770_000_000_000
DAY = 86_400_000


def entropy() -> Callable[[int], bytes]:
    drawn = itertools.count(1)
    return lambda size: next(drawn).to_bytes(size, "big")


def ring_with(**wish: object) -> tuple[KeyRing, str, KeyGrant]:
    made = KeyWish(**{"role": "agent-writer", **wish})  # type: ignore[arg-type]  # knobs of a test
    text, grant = make_key(KeyRing(), made, now_ms=NOW, entropy=entropy())
    return KeyRing().with_key(grant), text, grant


def test_a_key_is_found_by_its_text_and_kept_only_as_a_hash() -> None:
    ring, text, grant = ring_with(agent_id="ai:alice", namespaces=("team/a",), name="w")
    assert ring.find(key_digest(text), NOW) == grant
    assert ring.find(key_digest(text + "x"), NOW) is None
    stored = format_keys(ring)
    assert text.encode() not in stored
    assert parse_keys(stored) == KeyRing(dict(ring.grants))
    assert (grant.agent_id, grant.namespaces, grant.name) == ("ai:alice", ("team/a",), "w")


def test_a_key_has_256_random_bits() -> None:
    asked: list[int] = []

    def draw(size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    make_key(KeyRing(), KeyWish(role="metrics"), now_ms=NOW, entropy=draw)
    assert 32 in asked


def test_a_key_ends_when_it_expires_and_when_it_is_revoked() -> None:
    ring, text, grant = ring_with(expires_days=2, name="w")
    assert ring.find(key_digest(text), NOW + 2 * DAY - 1) == grant
    assert ring.find(key_digest(text), NOW + 2 * DAY) is None
    assert [grant.state(NOW), grant.state(NOW + 2 * DAY)] == ["active", "expired"]
    for which in ("w", grant.id):
        after, over = revoke(ring, which, NOW + 5)
        assert after.find(key_digest(text), NOW + 6) is None
        assert (over.state(NOW), over.revoked_at) == ("revoked", NOW + 5)
        assert after.demanded
        assert revoke(after, which, NOW + 9)[0] is after


def test_the_last_key_leaves_and_the_door_stays_shut() -> None:
    ring, _, _ = ring_with(name="w")
    read = lasting(parse_keys)
    assert not read(b"").demanded
    assert read(format_keys(ring)).demanded
    emptied = read(b"")
    assert emptied.demanded
    assert not emptied.grants


def test_names_are_unique_among_keys_in_force() -> None:
    ring, _, _ = ring_with(name="w")
    with pytest.raises(Refused, match="named w"):
        make_key(ring, KeyWish(role="metrics", name="w"), now_ms=NOW, entropy=entropy())
    ring, _ = revoke(ring, "w", NOW)
    _, again = make_key(
        ring, KeyWish(role="metrics", name="w"), now_ms=NOW, entropy=lambda size: b"\xff" * size
    )
    ring = ring.with_key(again)
    assert ring.named("w") == again
    with pytest.raises(UsageError, match="no key"):
        ring.named("x")


@pytest.mark.parametrize(
    "wish",
    [
        {"role": "boss"},
        {"role": ""},
        {"agent_id": "../x"},
        {"agent_id": "a b"},
        {"namespaces": ("a//b",)},
        {"namespaces": ("",)},
        {"expires_days": 0},
        {"expires_days": -1},
        {"expires_days": float("nan")},
        {"name": "x" * 65},
        {"name": "a\nb"},
        {"name": " a"},
    ],
)
def test_a_wish_that_cannot_be_met_names_its_option(wish: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(wish)).rstrip('s')[:5]}"):
        ring_with(**wish)


def test_each_role_admits_to_its_own_and_to_what_is_weaker() -> None:
    assert GRADES == ("metrics", "agent-reader", "agent-writer", "team-admin", "system-admin")
    for place, role in enumerate(GRADES):
        grant = KeyGrant(id="k", name="k", role=role)
        assert [grant.admits(other) for other in GRADES] == [n <= place for n in range(5)]
    assert all(UNLIMITED.admits(role) for role in GRADES)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "boss"),
        ("role", None),
        ("digest", "abc"),
        ("digest", "ab"),
        ("agent_id", "a b"),
        ("surprise", 1),
        ("namespaces", 5),
    ],
)
def test_one_bad_row_refuses_the_whole_file(field: str, value: object) -> None:
    ring, _, _ = ring_with()
    data = json.loads(format_keys(ring))
    data["keys"][0][field] = value
    with pytest.raises(ValueError, match=r"keys\[0\]"):
        parse_keys(json.dumps(data).encode())


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"version":2,"keys":[]}', b'{"version":1}'])
def test_what_is_no_such_file_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_keys(text)


def test_a_key_of_another_node_is_good_here_too() -> None:
    text, first = make_key(KeyRing(), KeyWish(role="metrics"), now_ms=NOW, entropy=entropy())
    wish = KeyWish(role="metrics", name="prometheus")
    again, grant = make_key(KeyRing(), wish, now_ms=NOW, entropy=entropy(), drawn=text)
    assert (again, grant.digest, grant.role) == (text, first.digest, "metrics")
    ring = KeyRing().with_key(grant)
    with pytest.raises(Refused, match="already, as prometheus"):
        make_key(ring, KeyWish(role="metrics"), now_ms=NOW, entropy=entropy(), drawn=text)
    for poor in ("", "short", "a b" * 20, "ä" * 50, "x\n" * 30):
        with pytest.raises(UsageError, match="--from"):
            make_key(KeyRing(), wish, now_ms=NOW, entropy=entropy(), drawn=poor)
