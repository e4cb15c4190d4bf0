"""Requests of the load: whole, of known length, and the same whoever sends them."""

import base64
import json
from itertools import islice

import pytest

from tests.benchmarks import resp
from tests.benchmarks.driver import http_answer, requests
from tests.benchmarks.shapes import document_id, shape_of

SPECS = [
    {"kind": "write", "content_bytes": 100},
    {"kind": "bulk", "content_bytes": 100, "items": 3},
    {"kind": "read", "ids": 50},
    {"kind": "etcd-put", "content_bytes": 100, "first": 7},
    {"kind": "etcd-range", "ids": 50},
    {"kind": "ping", "path": "/livez"},
    {"kind": "edit", "id": "one"},
    {"kind": "edits"},
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec["kind"])
def test_the_length_that_a_request_tells_is_its_own(spec: dict[str, object]) -> None:
    for sent in islice(iter(requests(dict(spec), "127.0.0.1:1", "key"), None), 10):
        head, _, body = sent.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:])
        assert int(fields.get("Content-Length", "0")) == len(body)
        assert fields["X-Api-Key"] == "key"
        if body:
            json.loads(body)


def test_reads_go_round_over_what_was_seeded() -> None:
    following = requests({"kind": "read", "ids": 20}, "h", "k")
    paths = [following().split()[1].decode() for _ in range(4)]
    assert [path[-8:] for path in paths] == ["00000000", "00000007", "00000014", "00000000"]


def test_every_put_has_a_key_of_its_own_that_a_range_finds() -> None:
    put = requests({"kind": "etcd-put", "space": "s", "first": 0}, "h", None)
    asked = requests({"kind": "etcd-range", "ids": 8}, "h", None)
    keys = [json.loads(put().partition(b"\r\n\r\n")[2])["key"] for _ in range(8)]
    wanted = [json.loads(asked().partition(b"\r\n\r\n")[2])["key"] for _ in range(2)]
    assert len(set(keys)) == 8
    assert wanted == [keys[0], keys[7]]
    assert all(len(base64.b64decode(key, validate=True)) == 12 for key in keys)


def test_edits_go_round_over_all_documents() -> None:
    following = requests({"kind": "edits"}, "h", "k")
    paths = [following().split()[1].decode() for _ in range(1001)]
    assert paths[1] == f"/api/v1/memories/{document_id(1)}/document"
    assert (len(set(paths)), paths[1000]) == (1000, paths[0])


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        shape_of({"kind": "nothing"})


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "503"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", None),
        (b"", None),
    ],
)
def test_an_answer_counts_once_it_is_whole(data: bytes, status: str | None) -> None:
    assert http_answer(data) == status


def test_a_set_and_its_wait_go_in_one_send() -> None:
    sent = requests({"kind": "redis-set-wait", "content_bytes": 4, "first": 9}, "h", None)()
    key = b"0000000000000009"
    assert sent == (
        b"*3\r\n$3\r\nSET\r\n$16\r\n%b\r\n$4\r\nthe \r\n" % key
        + b"*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$4\r\n5000\r\n"
    )


@pytest.mark.parametrize(
    ("data", "waits", "status"),
    [
        (b"+OK\r\n", False, "OK"),
        (b"+OK\r\n", True, None),
        (b"+OK\r\n:1\r\n", True, "OK"),
        (b"+OK\r\n:2\r\n", True, "OK"),
        (b"+OK\r\n:1", True, None),
        (b"+OK\r\n:0\r\n", True, "short"),
        (b"+OK\r\n-ERR no\r\n", True, "refused"),
        (b"-READONLY no\r\n", False, "refused"),
        (b"+OK\r\n+OK\r\n", False, "too much"),
        (b"", True, None),
    ],
)
def test_a_wait_that_nobody_met_is_short(data: bytes, *, waits: bool, status: str | None) -> None:
    assert resp.answer(data, waits=waits) == status
