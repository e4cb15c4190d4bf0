"""Hostile bytes against the decoders of the transport: an answer or a typed error, nothing else."""

import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transport import allowlist
from transport.certificate import check_pin, der_of
from transport.errors import AllowlistError, CertificateError
from transport.frames import FrameError, decode, encode, frame_size
from transport.identity import verify
from transport.learning import leaf_of

EVERYDAY = settings(max_examples=500, deadline=None)
THOROUGH = settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
REASONS = {
    "empty",
    "version",
    "too_big",
    "message_too_big",
    "too_many_messages",
    "truncated",
}
LIMITS = st.fixed_dictionaries(
    {
        "frame_bytes_max": st.integers(0, 300),
        "message_bytes_max": st.integers(0, 200),
        "messages_max": st.integers(0, 8),
    }
)
lists = st.lists(st.binary(max_size=60), min_size=1, max_size=10)


@st.composite
def almost_frames(draw: st.DrawFn) -> bytes:
    """Good frames with a few bytes changed, cut out or put in; pure noise rarely gets that far."""
    frame = bytearray(encode(draw(lists)))
    for _ in range(draw(st.integers(0, 4))):
        position = draw(st.integers(0, len(frame)))
        change = draw(st.sampled_from(["set", "cut", "put", "end"]))
        if change == "set" and position < len(frame):
            frame[position] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
        elif change == "cut":
            del frame[position : position + draw(st.integers(1, 5))]
        elif change == "put":
            frame[position:position] = draw(st.binary(min_size=1, max_size=5))
        elif change == "end":
            del frame[position:]
    return bytes(frame)


hostile = st.one_of(
    st.binary(max_size=400), st.binary(max_size=400).map(b"\x01".__add__), almost_frames()
)


def check(frame: bytes, limits: dict[str, int]) -> None:
    reason, messages = "", []
    try:
        messages = decode(frame, **limits)
    except FrameError as error:
        reason = error.reason
    if reason:
        assert reason in REASONS
        return
    # What was accepted is within every limit and has exactly one encoding.
    assert 0 < len(messages) <= limits["messages_max"]
    assert all(len(message) <= limits["message_bytes_max"] for message in messages)
    assert len(frame) == frame_size(messages) <= limits["frame_bytes_max"]
    assert encode(messages) == frame


@EVERYDAY
@given(frame=hostile, limits=LIMITS)
def test_any_bytes_give_messages_or_a_typed_error(frame: bytes, limits: dict[str, int]) -> None:
    check(frame, limits)


@pytest.mark.slow
@THOROUGH
@given(frame=hostile, limits=LIMITS)
def test_fuzz_frames_thoroughly(frame: bytes, limits: dict[str, int]) -> None:
    check(frame, limits)


@EVERYDAY
@given(messages=lists)
def test_what_was_encoded_is_decoded(messages: list[bytes]) -> None:
    frame = encode(messages)
    assert (
        decode(frame, frame_bytes_max=len(frame), message_bytes_max=60, messages_max=10) == messages
    )


def test_a_hostile_length_costs_no_memory() -> None:
    frame = b"\x01\x7f\xff\xff\xff" + b"x" * 100
    tracemalloc.start()
    try:
        for _ in range(100):
            with pytest.raises(FrameError):
                decode(frame, frame_bytes_max=2**40, message_bytes_max=2**40, messages_max=2**40)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@EVERYDAY
@given(public=st.binary(max_size=40), message=st.binary(max_size=40), signature=st.binary())
def test_no_bytes_make_verification_raise(public: bytes, message: bytes, signature: bytes) -> None:
    assert verify(public, message, signature) is False


@EVERYDAY
@given(st.binary(max_size=60))
def test_any_handshake_message_names_a_certificate_or_none(data: bytes) -> None:
    leaf = leaf_of(data)
    assert leaf is None or leaf in data


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_a_certificate_are_a_typed_error(data: bytes) -> None:
    with pytest.raises(CertificateError):
        der_of(data)
    with pytest.raises(CertificateError):
        check_pin(data)


@EVERYDAY
@given(st.text(alphabet="0123456789abcdefABCDEF:# \n\tsha256:x", max_size=200))
def test_any_allowlist_text_is_read_or_refused_by_line(text: str) -> None:
    line, listed = None, allowlist.Allowlist()
    try:
        listed = allowlist.parse(text)
    except AllowlistError as error:
        line = error.line
    assert line is None or 0 < line <= len(text.splitlines())
    assert all(allowlist.normalise(x) == x for x in listed.fingerprints)
