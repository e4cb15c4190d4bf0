"""Whatever is done to the bytes of a chain, the first entry that does not hold is named."""

from hypothesis import given
from hypothesis import strategies as st

from node.audit.chain import START, Link, Owner, Verdict, verify_chain, write_entry
from transport.identity import NodeKey, verify

KEY = NodeKey(b"\x07" * 32)
OWNER = Owner(node_id=KEY.node_id, key=KEY.public, verify=verify)
EVENTS = ("policy_set", "refused", "vote", "member_added")

facts = st.dictionaries(
    st.text(min_size=1, max_size=6),
    st.one_of(
        st.text(max_size=12),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.booleans(),
        st.none(),
        st.lists(st.text(max_size=4), max_size=3).map(tuple),
    ),
    max_size=4,
)
rows = st.lists(
    st.tuples(st.integers(0, 2**50), st.sampled_from(EVENTS), facts), min_size=1, max_size=6
)


def chain(made: list[tuple[int, str, dict[str, object]]]) -> tuple[list[bytes], list[Link]]:
    link, lines, links = START, [], []
    for at, event, said in made:
        link, line = write_entry(
            link,
            at=at,
            event=event,
            facts=said,  # type: ignore[arg-type]  # drawn in the right shapes
            node_id=KEY.node_id,
            sign=KEY.sign,
        )
        lines.append(line + b"\n")
        links.append(link)
    return lines, links


def entry_at(lines: list[bytes], place: int) -> int:
    """The number of the entry that a byte belongs to."""
    for number, line in enumerate(lines, start=1):
        if place < len(line):
            return number
        place -= len(line)
    return len(lines)


def verified(data: bytes, head: Link) -> Verdict:
    return verify_chain(data, OWNER, claims=[head])


@given(rows)
def test_what_was_written_holds(made: list[tuple[int, str, dict[str, object]]]) -> None:
    lines, links = chain(made)
    verdict = verified(b"".join(lines), links[-1])
    assert (verdict.holds, verdict.rows_checked) == (True, len(lines))


@given(rows, st.data())
def test_a_changed_byte_is_found_where_it_is(
    made: list[tuple[int, str, dict[str, object]]], data: st.DataObject
) -> None:
    lines, links = chain(made)
    whole = bytearray(b"".join(lines))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    bad = verified(bytes(whole), links[-1]).first_bad
    assert bad is not None
    assert bad.seq == entry_at(lines, place)


@given(rows, st.data())
def test_a_byte_taken_out_is_found_where_it_was(
    made: list[tuple[int, str, dict[str, object]]], data: st.DataObject
) -> None:
    lines, links = chain(made)
    whole = b"".join(lines)
    place = data.draw(st.integers(0, len(whole) - 1))
    bad = verified(whole[:place] + whole[place + 1 :], links[-1]).first_bad
    assert bad is not None
    assert bad.seq == entry_at(lines, place)


@given(rows, st.data())
def test_a_byte_put_in_is_found_where_it_is(
    made: list[tuple[int, str, dict[str, object]]], data: st.DataObject
) -> None:
    lines, links = chain(made)
    whole = b"".join(lines)
    place = data.draw(st.integers(0, len(whole)))
    extra = data.draw(st.binary(min_size=1, max_size=1))
    bad = verified(whole[:place] + extra + whole[place:], links[-1]).first_bad
    assert bad is not None
    wanted = entry_at(lines, place) if place < len(whole) else len(lines) + 1
    assert bad.seq == wanted


@given(rows, st.data())
def test_a_cut_anywhere_is_found_where_it_begins(
    made: list[tuple[int, str, dict[str, object]]], data: st.DataObject
) -> None:
    lines, links = chain(made)
    whole = b"".join(lines)
    place = data.draw(st.integers(0, len(whole) - 1))
    bad = verified(whole[:place], links[-1]).first_bad
    assert bad is not None
    assert bad.seq == entry_at(lines, place)


@given(rows.filter(lambda made: len(made) > 1), st.data())
def test_entries_swapped_repeated_or_left_out_are_found_at_the_first(
    made: list[tuple[int, str, dict[str, object]]], data: st.DataObject
) -> None:
    lines, links = chain(made)
    first = data.draw(st.integers(0, len(lines) - 2))
    second = data.draw(st.integers(first + 1, len(lines) - 1))
    swapped = list(lines)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    out = [*lines[:first], *lines[first + 1 :]]
    twice = [*lines[: first + 1], *lines[first:]]
    for changed, wanted in ((swapped, first + 1), (out, first + 1), (twice, first + 2)):
        bad = verified(b"".join(changed), links[-1]).first_bad
        assert bad is not None
        assert bad.seq == wanted


@given(rows, st.data())
def test_another_end_by_the_same_key_is_found_against_what_was_seen(
    made: list[tuple[int, str, dict[str, object]]], data: st.DataObject
) -> None:
    lines, links = chain(made)
    kept = data.draw(st.integers(0, len(lines) - 1))
    link = links[kept - 1] if kept else START
    out = lines[:kept]
    for _ in range(data.draw(st.integers(0, 8))):
        link, line = write_entry(
            link, at=1, event="seal", facts={}, node_id=KEY.node_id, sign=KEY.sign
        )
        out.append(line + b"\n")
    verdict = verified(b"".join(out), links[-1])
    assert not verdict.holds


@given(st.binary(max_size=400))
def test_any_bytes_give_a_verdict(noise: bytes) -> None:
    verdict = verify_chain(noise, OWNER)
    assert verdict.holds is (not noise)
