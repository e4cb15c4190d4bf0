"""A body whose length nobody declared is held to the limit as it comes, on a real node."""

import json
import select
import socket

import pytest

from tests.integration.rig import RealNode

pytestmark = pytest.mark.integration
_BODY_MAX = 2 * 2**20
_CHUNK = 64 * 1024
_CHUNKS = 160
"""Five times the limit: a node that reads on to the end has read all of it."""


def chunked(node: RealNode, path: str) -> tuple[bytes, int]:
    """Send spaces in chunks until the node answers; returns the answer and what was sent."""
    head = f"POST /api/v1{path} HTTP/1.1\r\nHost: {node.agent[0]}:{node.agent[1]}\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    sent = 0
    with socket.create_connection(node.agent, timeout=15) as connection:
        connection.sendall(head.encode())
        try:
            for _ in range(_CHUNKS):
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(b"%x\r\n%b\r\n" % (_CHUNK, b" " * _CHUNK))
                sent += _CHUNK
            else:
                connection.sendall(b"0\r\n\r\n")
        except OSError:
            pass  # it answered and reads no more
        answer = b""
        try:
            while b"}" not in answer and (more := connection.recv(65_536)):
                answer += more
        except ConnectionResetError:
            pass  # the answer may be lost with what was not read
    return answer, sent


@pytest.mark.parametrize("path", ["/memories", "/memories/bulk", "/import", "/recall"])
def test_a_body_that_never_ends_is_413(node: RealNode, path: str) -> None:
    before = node.tell("GET", "/stats")["total"]
    answer, sent = chunked(node, path)
    assert sent > _BODY_MAX, "less was sent than the limit"
    # The end of a connection that is not read any more may overtake the answer.
    assert answer or sent < _CHUNKS * _CHUNK, "all of it was read, and nothing said"
    if answer:
        status, _, rest = answer.partition(b"\r\n")
        assert b" 413 " in status, answer[:300]
        assert json.loads(rest.partition(b"\r\n\r\n")[2])["error"] == "body_too_large"
    assert node.tell("GET", "/stats")["total"] == before
