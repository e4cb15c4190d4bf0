"""How much is read of what members wrote, and that nobody takes the room of another."""

from collections.abc import Callable
from typing import Any

import pytest

from crdt.document.change import assemble, assemble_columns, encode_change
from crdt.document.chunk import frame
from crdt.document.gathering import gather
from crdt.document.leb import sleb, uleb
from crdt.document.model import Action, Change, ChangeOp, Stored
from crdt.document.operations import ACTION, EXPAND, INSERT, KEY_STRING, PRED_COUNT, VALUE_META
from crdt.document.pack import Kept, pack
from crdt.dot import Dot, new_actor
from tests.unit.crdt.document.changes_rig import ANN, BOB, LIMITS, name_of, stored

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


def wrong_at_its_end(count: int, n: int) -> Stored:
    """A chunk that says it has so many operations, of which the last one is none."""
    run = sleb(count)
    columns = [(KEY_STRING, run + b"\x01k"), (INSERT, uleb(count)), (ACTION, run + b"\x01")]
    columns += [(VALUE_META, run + b"\x00"), (PRED_COUNT, run + b"\x00")]
    columns += [(EXPAND, uleb(count - 1) + b"\x01")]
    head = assemble((), BOB, 1, 1, 0, b"%d" % n, ())
    digest, data = frame(head + assemble_columns(columns))
    return Stored(name_of(b"", digest), data, "eve", n, Dot(b"", n))


def under_a_wrong_name(count: int, n: int) -> Stored:
    change = encode_change(
        actor=BOB, seq=1, start_op=1, time=n, message=None, deps=(), ops=OPS * count
    )
    return stored(change, n)._replace(name=name_of(b"%d" % n))


def pack_cut_off(_: int, n: int) -> Stored:
    return stored(pack([Kept(chain_of(1)[0], f"eve{n}", 0)])[:-1], n)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (wrong_at_its_end, "unreadable"),
        (under_a_wrong_name, "misnamed"),
        (pack_cut_off, "unreadable"),
    ],
)
def test_what_is_read_in_vain_counts(made: Callable[[int, int], Stored], reason: str) -> None:
    limits, honest = LIMITS._replace(change_ops_max=1_000, ops_max=2_500), chain_of(3)
    versions = [by(1, one, n) for n, one in enumerate(honest, 1)]
    flood = [made(1_000, n)._replace(dot=by(2, honest[0], n).dot) for n in range(1, 6)]
    found = gather([*flood, *versions], limits)
    assert list(found.kept) == [one.hash for one in honest]
    assert sorted(one.reason for one in found.aside) == ["beyond_bounds"] * 3 + [reason] * 2
    grown = gather(flood[:2], limits).grown([*flood, *versions])
    assert (grown.kept, grown.aside) == (found.kept, found.aside)
