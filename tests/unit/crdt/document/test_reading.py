"""How much is read of what members wrote, and that nobody takes the room of another."""

from typing import Any

import pytest

from crdt.document.change import encode_change
from crdt.document.gathering import gather
from crdt.document.model import Action, Change, ChangeOp, Stored
from crdt.document.pack import Kept, pack
from crdt.dot import Dot, new_actor
from tests.unit.crdt.document.changes_rig import ANN, BOB, LIMITS, stored

OPS = [ChangeOp(None, "k", False, Action.MAKE_MAP)]


def chain_of(count: int, **other: Any) -> list[Change]:
    chain: list[Change] = []
    for n in range(count):
        fields: dict[str, Any] = {"actor": ANN, "message": None, "ops": OPS, **other}
        deps = tuple(one.hash for one in chain[-1:])
        chain.append(encode_change(seq=n + 1, start_op=n + 1, time=0, deps=deps, **fields))
    return chain


def by(writer: int, one: Change, n: int) -> Stored:
    """A change as a member wrote it as its nth operation."""
    node = bytes([writer]) * 32
    dot = Dot(new_actor(b"d", 0, bytes(8), node), n)
    return stored(one, n)._replace(dot=dot)


NARROW = {
    "changes_max": LIMITS._replace(changes_max=6),
    "ops_max": LIMITS._replace(ops_max=6),
    "stored_bytes_max": LIMITS._replace(stored_bytes_max=sum(len(one.data) for one in chain_of(6))),
}


@pytest.mark.parametrize("bound", NARROW)
def test_more_than_the_bounds_is_not_read(bound: str) -> None:
    limits, chain = NARROW[bound], chain_of(10)
    versions = [stored(one, n) for n, one in enumerate(chain)]
    found = gather(versions, limits)
    assert [one.change for one in found.kept.values()] == chain[:6]
    assert [one.reason for one in found.aside] == ["beyond_bounds"] * 4
    grown = gather(versions[:5], limits).grown(versions)
    assert grown.aside == gather(versions, limits).aside


@pytest.mark.parametrize("bound", NARROW)
def test_who_writes_too_much_loses_that_alone_and_nobody_else_anything(bound: str) -> None:
    limits = NARROW[bound]
    honest = chain_of(6)
    flood = [by(2, one, n) for n, one in enumerate(chain_of(9, actor=BOB), 1)]
    versions = [by(1, one, n)._replace(hlc=1 << 40) for n, one in enumerate(honest, 1)]
    for order in ([*versions, *flood], [*flood, *versions]):
        found = gather(order, limits)
        assert set(found.kept) >= {one.hash for one in honest}
        assert len(found.kept) == 12
        grown = gather(order[:3], limits).grown(order)
        assert (grown.kept, grown.aside) == (found.kept, found.aside)


def test_what_one_wrote_before_is_not_displaced_by_what_it_writes_later() -> None:
    limits, chain = NARROW["changes_max"], chain_of(6)
    versions = [by(2, one, n)._replace(hlc=1 << 40) for n, one in enumerate(chain, 1)]
    late = [by(2, one, n)._replace(hlc=0) for n, one in enumerate(chain_of(5, actor=BOB), 7)]
    packed = stored(pack([Kept(chain_of(1, actor=b"c" * 16)[0], "eve", 0)]), 12)
    packed = packed._replace(dot=late[-1].dot._replace(seq=12))
    found = gather([packed, *late, *versions], limits)
    assert set(found.kept) == {one.hash for one in chain}
    assert [one.reason for one in found.aside] == ["beyond_bounds"] * 6
