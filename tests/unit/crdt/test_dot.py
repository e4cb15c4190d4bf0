import pytest

from crdt.dot import (
    ACTOR_BYTES,
    DATA,
    GOVERNANCE,
    LANES,
    SEQ_MAX,
    Dot,
    actor_text,
    dot_text,
    group_of,
    is_actor,
    lane_of,
    new_actor,
    node_of,
    parse_actor,
    parse_dot,
)
from tests.unit.crdt import rig

NODE = bytes(range(32))


@pytest.mark.parametrize("lane", LANES)
def test_an_actor_tells_its_lane_and_its_node(lane: bytes) -> None:
    actor = new_actor(lane, 1_750_000_000, b"entropy8", NODE)
    assert len(actor) == ACTOR_BYTES
    assert (lane_of(actor), node_of(actor)) == (lane, NODE)
    assert is_actor(actor)


@pytest.mark.parametrize(
    ("lane", "entropy", "node"),
    [(b"x", b"entropy8", NODE), (DATA, b"short", NODE), (DATA, b"entropy8", NODE[1:])],
)
def test_a_misshapen_part_is_refused(lane: bytes, entropy: bytes, node: bytes) -> None:
    with pytest.raises(ValueError, match="known lane"):
        new_actor(lane, 0, entropy, node)


def test_two_starts_of_one_node_in_one_second_are_two_actors() -> None:
    assert new_actor(DATA, 5, b"00000001", NODE) != new_actor(DATA, 5, b"00000002", NODE)


def test_actors_group_by_thirty_days_of_birth() -> None:
    month = 30 * 86_400
    groups = [group_of(new_actor(DATA, s, bytes(8), NODE)) for s in (0, month - 1, month)]
    assert groups == [0, 0, 1]


def test_text_is_sixty_characters_and_reads_back() -> None:
    actor = rig.actor()
    assert len(actor_text(actor)) == 60
    assert parse_actor(actor_text(actor)) == actor
    assert parse_dot(dot_text(Dot(actor, 7))) == Dot(actor, 7)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-4],
        lambda text: text + "====",
        lambda text: text[:10] + "\n" + text[10:],
        lambda text: "é" + text[1:],
        lambda text: "z" + text[1:],
        lambda _: "",
    ],
)
def test_what_is_no_actor_is_refused(spoil: object) -> None:
    with pytest.raises(ValueError, match="not an actor"):
        parse_actor(spoil(actor_text(rig.actor())))  # type: ignore[operator]  # a lambda


@pytest.mark.parametrize("seq", ["", "0", "-1", "1.0", " 1", "²", str(SEQ_MAX + 1), "9" * 5000])
def test_what_is_no_place_is_refused(seq: str) -> None:
    with pytest.raises(ValueError, match=r"^(not a dot|not an actor|Exceeds)"):
        parse_dot(f"{actor_text(rig.actor())}:{seq}")


def test_only_bytes_of_a_known_lane_have_the_shape_of_an_actor() -> None:
    assert not is_actor("d" * 45)
    assert not is_actor(b"x" * 45)
    assert not is_actor(GOVERNANCE * 44)
