import pytest

from transport.frames import FRAME_VERSION, FrameError, decode, encode, frame_size

ROOM = {"frame_bytes_max": 1000, "message_bytes_max": 100, "messages_max": 10}


def refused(frame: bytes, **limits: int) -> str:
    with pytest.raises(FrameError) as caught:
        decode(frame, **{**ROOM, **limits})
    return caught.value.reason


@pytest.mark.parametrize(
    "messages", [[b""], [b"a"], [b"a", b"b"], [b"", b"", b""], [bytes(range(100))]]
)
def test_what_was_encoded_is_decoded(messages: list[bytes]) -> None:
    frame = encode(messages)
    assert decode(frame, **ROOM) == messages
    assert len(frame) == frame_size(messages)


def test_the_layout_on_the_wire_is_fixed() -> None:
    assert encode([b"ab", b""]) == b"\x01\x00\x00\x00\x02ab\x00\x00\x00\x00"
    assert FRAME_VERSION == 1


def test_nothing_is_no_frame() -> None:
    with pytest.raises(FrameError, match="at least one"):
        encode([])
    assert refused(b"") == "empty"
    assert refused(b"\x01") == "empty"


@pytest.mark.parametrize("version", [0, 2, 255])
def test_other_versions_are_refused(version: int) -> None:
    assert refused(bytes([version]) + encode([b"a"])[1:]) == "version"


def test_every_truncation_is_noticed() -> None:
    frame = encode([b"abc", b"defg"])
    whole = {1 + 4 + 3: [b"abc"]}  # a cut between two messages leaves a shorter frame
    for cut in range(len(frame)):
        if cut in whole:
            assert decode(frame[:cut], **ROOM) == whole[cut]
        else:
            assert refused(frame[:cut]) in {"truncated", "empty"}


def test_limits_hold_at_their_edge() -> None:
    assert decode(encode([b"x" * 100]), **ROOM) == [b"x" * 100]
    assert refused(encode([b"x" * 101])) == "message_too_big"
    assert len(decode(encode([b""] * 10), **ROOM)) == 10
    assert refused(encode([b""] * 11)) == "too_many_messages"
    frame = encode([b"abc"])
    assert decode(frame, **{**ROOM, "frame_bytes_max": len(frame)}) == [b"abc"]
    assert refused(frame, frame_bytes_max=len(frame) - 1) == "too_big"


def test_a_declared_length_reserves_no_memory() -> None:
    assert refused(b"\x01\xff\xff\xff\xff") == "message_too_big"
    assert refused(b"\x01\xff\xff\xff\xff", message_bytes_max=2**40) == "truncated"
