"""Lines of the protocol, and the loop around a machine."""

import json
import os
import threading
from typing import Any

import pytest

from node.maelstrom.loop import serve
from node.maelstrom.machine import Machine
from node.maelstrom.protocol import Code, Message, ProtocolError, decode, encode, msg_id


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"x",
        b"[]",
        b"[" * 100_000,
        b"\xff",
        b'{"src":1,"dest":"n1","body":{}}',
        b'{"src":"c1","dest":"n1"}',
        b'{"src":"c1","dest":"n1","body":[]}',
    ],
)
def test_a_line_that_is_no_message_is_said_to_be_none(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(line)


def test_a_message_is_one_line_and_comes_back_and_extra_keys_are_passed_over() -> None:
    message = Message("n1", "c1", {"type": "x", "text": "a\nb", "n": 1})
    line = encode(message)
    assert line.count("\n") == 1
    assert decode(line) == message
    assert decode(b'{"id":4,"src":"n1","dest":"c1","body":{"type":"x"}}').kind == "x"
    assert decode(b'{"src":"n1","dest":"c1","body":{"type":3}}').kind == ""


def test_a_message_id_is_an_integer() -> None:
    assert msg_id({"msg_id": 0}) == 0
    assert msg_id({"msg_id": True}) is None
    assert msg_id({"msg_id": "1"}) is None


def test_the_codes_are_the_published_ones() -> None:
    assert {code.name: int(code) for code in Code} == {
        "TIMEOUT": 0,
        "NOT_SUPPORTED": 10,
        "TEMPORARILY_UNAVAILABLE": 11,
        "MALFORMED_REQUEST": 12,
        "CRASH": 13,
        "ABORT": 14,
        "PRECONDITION_FAILED": 22,
    }


def test_the_loop_answers_lines_in_pieces_and_ends_with_its_input() -> None:
    into, out = os.pipe(), os.pipe()
    said: list[str] = []
    machine = Machine(entropy=os.urandom, say=said.append, workload="g-set")
    thread = threading.Thread(
        target=serve, args=(machine,), kwargs={"source": into[0], "sink": out[1]}
    )
    thread.start()

    def ask(body: dict[str, Any]) -> dict[str, Any]:
        line = (json.dumps({"src": "c1", "dest": "n1", "body": body}) + "\n").encode()
        os.write(into[1], line[:7])
        os.write(into[1], line[7:])
        return dict(json.loads(answers.readline())["body"])

    with os.fdopen(out[0], "rb") as answers:
        assert (
            ask({"type": "init", "msg_id": 1, "node_id": "n1", "node_ids": ["n1"]})["type"]
            == "init_ok"
        )
        os.write(into[1], b"\nnonsense\n")
        assert ask({"type": "add", "msg_id": 2, "element": [1]})["in_reply_to"] == 2
        assert ask({"type": "read", "msg_id": 3})["value"] == [[1]]
        os.close(into[1])
        thread.join(10)
        assert not thread.is_alive()
    os.close(into[0])
    os.close(out[1])
