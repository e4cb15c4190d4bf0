"""What no route takes is not taken at /mcp either: a tool call is a request like any other."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.rig import RealNode
from tests.integration.rig_routes import lone

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
PROTOCOL = "2025-06-18"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    one = lone(tmp_path_factory.mktemp("hostile"))
    try:
        one.start()
        yield one
    finally:
        one.clean_up()


class Session:
    """A session that sends whatever bytes it is told to."""

    def __init__(self, node: RealNode) -> None:
        self._node = node
        self._headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }
        client = {"name": "hostile", "version": "1"}
        params = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client}
        first = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        _, headers, _ = self.send(json.dumps(first).encode())
        self._headers["mcp-session-id"] = headers["mcp-session-id"]
        self.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')

    def send(self, body: bytes) -> tuple[int, dict[str, str], Any]:
        connection = http.client.HTTPConnection(*self._node.agent, timeout=10)
        try:
            connection.request("POST", "/mcp", body=body, headers=self._headers)
            response = connection.getresponse()
            raw = response.read()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return response.status, headers, json.loads(raw) if raw else None
        finally:
            connection.close()

    def store(self, content: bytes, metadata: bytes = b"{}") -> tuple[int, Any]:
        arguments = b'{"title":"t","content":%b,"metadata":%b}' % (content, metadata)
        params = b'{"name":"memory_store","arguments":%b}' % arguments
        call = b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":%b}' % params
        status, _, said = self.send(call)
        return status, said


@pytest.fixture(scope="module")
def session(node: RealNode) -> Session:
    return Session(node)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (b'{"x":NaN}', "NaN is no JSON number"),
        (b'{"x":-Infinity}', "-Infinity is no JSON number"),
        (b'{"x":1e999}', "a number is beyond the range of a double"),
        (b'{"x":123456789012345678901234567890}', "a whole number is beyond 64 bits"),
        (b'{"x":1,"x":2}', "the key 'x' stands twice in one object"),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"x":"\xff"}', "not UTF-8 at byte"),
        (b'{"x":', "not JSON"),
    ],
)
def test_a_message_that_is_no_json_is_400_and_does_nothing(
    node: RealNode, session: Session, metadata: bytes, words: str
) -> None:
    before = node.mesh()["digest"]
    status, said = session.store(b'"c"', metadata)
    assert (status, said["error"]["code"], said["id"]) == (400, -32700, None)
    assert words in said["error"]["message"]
    assert node.mesh()["digest"] == before


def test_a_text_that_may_not_be_is_told_to_the_model(node: RealNode, session: Session) -> None:
    before = node.mesh()["digest"]
    status, said = session.store(b'"a\\u0000b"')
    assert (status, said["result"]["isError"]) == (200, True)
    assert said["result"]["structuredContent"]["detail"] == "content: contains U+0000."
    assert session.store(b'"\\ud800"')[0] == 400
    assert node.mesh()["digest"] == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"5", b'"x"', b"[" * 100_000])
def test_what_is_no_message_is_400(session: Session, body: bytes) -> None:
    status, _, said = session.send(body)
    assert status == 400
    assert said["error"]["code"] in {-32700, -32600, -32602}


def test_hostile_text_is_kept_through_a_tool(node: RealNode, session: Session) -> None:
    text = '\u202e zero\u200b "AND (x* \U0001f468\u200d\U0001f469 \x01 e\u0301 ' * 20
    value = json.dumps(text).encode()
    status, said = session.store(value, b'{"k":%b}' % value)
    assert status == 200
    memory = node.get(said["result"]["structuredContent"]["id"])
    assert (memory["content"], memory["metadata"]["k"]) == (text, text)
