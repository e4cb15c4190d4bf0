"""Lines of strace, read back to the byte, or refused."""

import pytest

from chaos.power.syscalls import NEVER, TraceError, descriptor, read_calls, text_bytes, vector_bytes

HEXED = "".join(f"\\x{byte:02x}" for byte in b'/d/a"b,(c')


def test_a_call_on_one_line() -> None:
    line = f'7 100.000000005 pwrite64(3<{HEXED}>, "\\x41\\x00", 2, 4096) = 2 <0.000000100>\n'
    (call,) = read_calls([line], first=9)
    assert (call.thread, call.name, call.began, call.ended) == (7, "pwrite64", 9, 9)
    assert (call.began_ns, call.ended_ns) == (100_000_000_005, 100_000_000_005)
    assert call.args[1:] == ('"\\x41\\x00"', "2", "4096")
    assert call.value == 2
    assert descriptor(call.args[0]) == (3, '/d/a"b,(c')
    assert text_bytes(call.args[1]) == b"A\0"


def test_a_call_that_another_thread_interrupts_lies_between_its_lines() -> None:
    lines = [
        "1 5.000000001 fsync(3<\\x2f> <unfinished ...>",
        '2 5.000000002 write(4<\\x2f>, "\\x41", 1) = 1 <0.000000001>',
        "1 5.000000009 <... fsync resumed>) = 0 <0.000000008>",
    ]
    write, sync = read_calls(lines)
    assert (sync.began, sync.ended, sync.ended_ns) == (0, 2, 5_000_000_009)
    assert (write.began, write.ended) == (1, 1)


def test_a_call_that_never_ended_comes_last() -> None:
    (call,) = read_calls(['1 5.000000001 write(3<\\x2f>, "\\x41", 1 <unfinished ...>'])
    assert call.ended == NEVER
    assert call.value == -1


def test_results_that_are_descriptors_and_failures() -> None:
    lines = [
        '1 5.000000001 openat(AT_FDCWD<\\x2f>, "\\x61", O_CREAT) = 12<\\x61> <0.000000001>',
        '1 5.000000002 mkdir("\\x2f\\x61", 0700) = -1 EEXIST (File exists) <0.000000001>',
        "1 5.000000003 +++ exited with 0 +++",
    ]
    assert [call.value for call in read_calls(lines)] == [12, -1]


def test_vectors() -> None:
    told = '[{iov_base="\\x41", iov_len=1}, {iov_base="\\x42\\x43", iov_len=2}]'
    assert vector_bytes(told) == b"ABC"


@pytest.mark.parametrize(
    "line",
    [
        "no line of strace",
        "1 5.000000001 nonsense",
        "1 5.000000001 <... fsync resumed>) = 0 <0.000000008>",
        "1 5.000000001 fsync(3<\\x2f>)",
    ],
)
def test_what_is_no_call_is_refused(line: str) -> None:
    with pytest.raises(TraceError):
        list(read_calls([line]))


def test_what_was_shortened_is_refused() -> None:
    with pytest.raises(TraceError):
        text_bytes('"\\x41"...')
    with pytest.raises(TraceError):
        vector_bytes('[{iov_base="\\x41"..., iov_len=9}]')
