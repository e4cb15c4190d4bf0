from crdt.digest import CHECKSUM_BYTES, checksum, digest_text, move, weight


def test_key_and_value_are_kept_apart() -> None:
    assert checksum(b"ab", b"c") != checksum(b"a", b"bc")
    assert checksum(b"", b"1:x") != checksum(b"1", b"x")
    assert len(checksum(b"k", b"v")) == CHECKSUM_BYTES


def test_nothing_weighs_nothing() -> None:
    assert weight(b"k", None) == 0
    assert weight(b"k", b"") != 0


def test_a_digest_moves_there_and_back() -> None:
    one, two = weight(b"a", b"1"), weight(b"b", b"2")
    there = move(move(0, 0, one), 0, two)
    assert there == move(move(0, 0, two), 0, one)
    assert move(move(there, one, 0), two, 0) == 0
    assert 0 <= move(0, one, 0) < 2**128


def test_text_is_thirty_two_hexadecimal_digits() -> None:
    assert digest_text(255) == "0" * 30 + "ff"
    assert len(digest_text(2**128 - 1)) == 32
