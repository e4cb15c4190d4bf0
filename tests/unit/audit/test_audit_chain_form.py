"""One entry has one spelling, and each is bound to the one before."""

import json

import pytest

from node.audit.chain import (
    START,
    Bad,
    ChainError,
    Link,
    read_anchor,
    read_entry,
    verify_chain,
    write_anchor,
    write_entry,
)
from tests.unit.audit.audit_rig import KEY, OWNER, T0_MS, chain_of, key_of, owner_of

LINES, LINKS = chain_of(6)


def test_a_chain_holds_and_says_how_much_of_it() -> None:
    verdict = verify_chain(b"".join(LINES), OWNER)
    assert (verdict.holds, verdict.rows_checked, verdict.first_bad) == (True, 6, None)
    assert verdict.head == LINKS[-1]


def test_an_entry_reads_back_as_it_was_written() -> None:
    entry = read_entry(LINES[2][:-1])
    assert (entry.seq, entry.event, entry.at) == (3, "policy_set", T0_MS + 2)
    assert entry.facts == {"namespace": "team/2", "levels": ("write=owner",), "n": 2}
    assert entry.prev == LINKS[1].hash


def test_text_of_any_script_stays_ascii_and_comes_back() -> None:
    facts = {"agent": "ai:\u00e9\U0001f600\ud800\n"}
    _, line = write_entry(
        START, at=1, event="refused", facts=facts, node_id=KEY.node_id, sign=KEY.sign
    )
    assert line.isascii()
    assert b"\n" not in line
    assert read_entry(line).facts == facts
    assert verify_chain(line + b"\n", OWNER).holds


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"seq":1', b'{ "seq":1'),
        (b'"at":', b'"at": '),
        (b'"event":"policy_set"', b'"event":"policy\\u005fset"'),
        (b'"n":0', b'"n":0.0'),
        (b'"n":0', b'"n":-0'),
        (b'"n":0', b'"n":[1]'),
        (b'"n":0', b'"n":0,"n":0'),
        (b'"seq":1', b'"seq":true'),
        (b'"levels":["write=owner"],"n":0', b'"n":0,"levels":["write=owner"]'),
    ],
)
def test_another_spelling_is_no_entry(old: bytes, new: bytes) -> None:
    line = LINES[0][:-1]
    assert old in line
    with pytest.raises(ChainError):
        read_entry(line.replace(old, new))


def test_upper_case_hex_is_no_entry() -> None:
    row = json.loads(LINES[0])
    line = LINES[0][:-1].replace(row["sig"].encode(), row["sig"].upper().encode())
    with pytest.raises(ChainError, match="malformed"):
        read_entry(line)


@pytest.mark.parametrize(
    ("data", "bad"),
    [
        (b"".join(LINES[1:]), Bad(1, "out_of_sequence")),
        (b"".join([*LINES[:2], *LINES[3:]]), Bad(3, "out_of_sequence")),
        (b"".join([LINES[0], LINES[2], LINES[1]]), Bad(2, "out_of_sequence")),
        (b"".join([*LINES[:3], LINES[2]]), Bad(4, "out_of_sequence")),
        (b"".join(LINES)[:-1], Bad(6, "torn")),
        (b"".join(LINES[:2]) + b"\n", Bad(3, "malformed")),
        (b"".join(LINES) + b"\0" * 40, Bad(7, "torn")),
    ],
)
def test_what_is_first_wrong_is_named(data: bytes, bad: Bad) -> None:
    assert verify_chain(data, OWNER).first_bad == bad


def test_an_entry_of_the_same_number_from_another_chain_does_not_fit() -> None:
    other, _ = chain_of(6, key_of(2))
    mixed = b"".join([*LINES[:3], *other[3:]])
    assert verify_chain(mixed, OWNER).first_bad == Bad(4, "signature_does_not_hold")
    assert verify_chain(b"".join(other), OWNER).first_bad == Bad(1, "signature_does_not_hold")


def test_an_end_that_was_cut_off_shows_against_what_others_have_seen() -> None:
    cut = b"".join(LINES[:4])
    assert verify_chain(cut, OWNER).holds, "by itself nothing shows it"
    verdict = verify_chain(cut, OWNER, claims=[LINKS[2], LINKS[5]])
    assert verdict.first_bad == Bad(5, "cut_off")


def test_an_entry_from_another_place_does_not_fit() -> None:
    elsewhere, _ = chain_of(1, after=Link(3, LINKS[0].hash))
    mixed = b"".join([*LINES[:3], *elsewhere])
    assert verify_chain(mixed, OWNER).first_bad == Bad(4, "prev_does_not_match")


def test_a_rewritten_end_shows_against_what_others_have_seen() -> None:
    again: list[bytes] = list(LINES[:3])
    link = LINKS[2]
    for number in range(3):
        facts = {"namespace": f"elsewhere/{number}"}
        link, line = write_entry(
            link, at=1, event="policy_set", facts=facts, node_id=KEY.node_id, sign=KEY.sign
        )
        again.append(line + b"\n")
    assert verify_chain(b"".join(again), OWNER).holds, "signed by the very key"
    verdict = verify_chain(b"".join(again), OWNER, claims=[LINKS[4]])
    assert verdict.first_bad == Bad(5, "countersigned_otherwise")


def test_a_chain_may_begin_where_the_anchor_says() -> None:
    rest = b"".join(LINES[3:])
    assert not verify_chain(rest, OWNER).holds
    verdict = verify_chain(rest, OWNER, begins=LINKS[2], claims=[LINKS[1], LINKS[2], LINKS[4]])
    assert (verdict.holds, verdict.rows_checked) == (True, 3)


def test_an_anchor_reads_back_only_whole_and_only_of_this_node() -> None:
    data = write_anchor(LINKS[2], at=T0_MS, node_id=KEY.node_id, sign=KEY.sign)
    assert read_anchor(data, OWNER) == LINKS[2]
    with pytest.raises(ChainError):
        read_anchor(data, owner_of(key_of(2)))
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(ChainError):
            read_anchor(bytes(changed), OWNER)


def test_an_anchor_may_not_name_a_place_before_the_chain() -> None:
    with pytest.raises(ChainError):
        read_anchor(
            write_anchor(Link(0, LINKS[0].hash), at=1, node_id=KEY.node_id, sign=KEY.sign), OWNER
        )
