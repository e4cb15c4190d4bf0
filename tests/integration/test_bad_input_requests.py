"""Requests of agents that are not right: a status, a word, and nothing changed."""

import json

import pytest

from tests.integration.rig import RealNode

pytestmark = [pytest.mark.integration, pytest.mark.thorough]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/memories", b'{"title": "a", "title": "b", "content": "c"}', 400, "title"),
        ("POST", "/memories", b'{"title": "a", "content": "b", "confidence": NaN}', 400, "NaN"),
        ("POST", "/memories", b'{"title": "a", "conte', 400, ""),
        ("POST", "/memories", b"\xff\xfe", 400, ""),
        ("POST", "/memories", b"[1, 2]", 400, ""),
        ("POST", "/memories", {"title": "a"}, 400, "content"),
        ("POST", "/memories", {"title": "a\0", "content": "b"}, 400, "U+0000"),
        ("POST", "/memories", {"title": "x" * 513, "content": "b"}, 400, "title"),
        ("POST", "/memories", {"title": "a", "content": "b", "tier": "eternal"}, 400, "tier"),
        ("POST", "/memories", {"title": "a", "content": "b", "id": "../x"}, 400, "id"),
        ("POST", "/memories", b'{"title": "a", "content": "\\ud800"}', 400, "surrogate"),
        ("POST", "/memories", b'{"content": "' + b"x" * (3 << 20) + b'"}', 413, ""),
        ("POST", "/memories/bulk", [{"title": "a", "content": "b"}] * 1001, 413, ""),
        ("GET", "/memories/no-such-id", None, 404, ""),
        ("GET", "/no/such/route", None, 404, ""),
        ("PATCH", "/memories", None, 405, ""),
        ("GET", "/memories?api_key=x", None, 400, "x-api-key"),
        ("GET", "/memories?limit=many", None, 400, "limit"),
        ("POST", "/sync/push", {}, 401, ""),
        ("GET", "/sync/since", None, 401, ""),
    ],
)
def test_a_request_that_is_not_right_changes_nothing(
    node: RealNode, method: str, path: str, body: object, status: int, words: str
) -> None:
    reply = node.ask(method, path, body)
    assert reply.status == status, reply.body
    assert isinstance(reply.body["error"], str)
    assert words in json.dumps(reply.body)
    assert node.tell("GET", "/stats")["total"] == 0


def test_a_request_for_another_host_is_refused(node: RealNode) -> None:
    assert node.ask("GET", "/stats", host="evil.example").status in {400, 403, 421}
    assert node.ask("GET", "/stats", origin="https://evil.example").status in {400, 403}
    assert node.ask("GET", "/stats").status == 200
