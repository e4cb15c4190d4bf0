"""What the clients ask about documents, and how they read what comes back."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from node.client import (
    AsyncClient,
    BadArgument,
    BrokenAnswer,
    Client,
    Conflict,
    NotFound,
    Retry,
)
from node.client.documents import news_of
from node.client.streams import Event

URL = "http://node.inside"
HASTY = Retry(total=1.0, attempt=0.5, first_pause=0.001, longest_pause=0.001)
H1, H2 = "11" * 32, "22" * 32
CHANGE = b"\x85\x6f\x4a\x83change"
ENCODED = base64.b64encode(CHANGE).decode()
DURABLE = {
    "quorum_acks": 2,
    "durability": {
        "local": True, "acks": 2, "needed": 2, "peers": ["b"], "dot": "a:1", "token": "-",
    },
}  # fmt: skip
Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler) -> Client:
    return Client(URL, transport=httpx.MockTransport(handler), retry=HASTY)


def answering(body: Any, asked: list[httpx.Request], **headers: str) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=body, headers=headers)

    return handler


def test_a_document_is_asked_for_as_it_is_or_as_it_was() -> None:
    asked: list[httpx.Request] = []
    with client(answering({"id": "d", "value": {}}, asked, etag='"e"')) as one:
        assert one.document("d/1")["etag"] == '"e"'
        one.document("d", heads=[H1, H2], verify=True)
    assert asked[0].url.raw_path == b"/api/v1/memories/d%2F1/document"
    assert dict(asked[1].url.params) == {"heads": f"{H1},{H2}", "verify": "true"}


def test_an_edit_says_what_it_stands_on() -> None:
    asked: list[httpx.Request] = []
    edit = {"op": "splice", "path": ["text"], "index": 0, "insert": "a"}
    with client(answering({"id": "d", "heads": [H2], **DURABLE}, asked)) as one:
        told = one.edit_document("d", [edit], heads=[H1], message="why", if_match='"e"')
        one.edit_document("d", [edit], idempotency_key="k")
        with pytest.raises(BadArgument):
            one.edit_document("d", [])
    assert told["heads"] == [H2]
    first, second = asked
    assert (first.method, first.headers["if-match"]) == ("PATCH", '"e"')
    assert json.loads(first.content) == {"ops": [edit], "heads": [H1], "message": "why"}
    assert json.loads(second.content) == {"ops": [edit]}
    assert second.headers["idempotency-key"] == "k"
    assert first.headers["idempotency-key"]


def test_an_edit_is_sent_again_under_its_one_key() -> None:
    keys: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        if len(keys) == 1:
            raise httpx.ReadTimeout("late")
        return httpx.Response(200, json={"id": "d", **DURABLE})

    with client(handler) as one:
        one.edit_document("d", [{"op": "delete", "path": ["a"]}])
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_changes_are_bytes_on_both_ways() -> None:
    asked: list[httpx.Request] = []
    body = {"id": "d", "changes": [ENCODED], "heads": [H1], "version": 3, "added": 1, **DURABLE}
    with client(answering(body, asked)) as one:
        assert one.document_changes("d", since=[H1])["changes"] == [CHANGE]
        one.document_changes("d")
        one.add_changes("d", [CHANGE, CHANGE])
        one.add_changes("d", CHANGE)
    assert dict(asked[0].url.params) == {"since": H1}
    assert not asked[1].url.params
    assert json.loads(asked[2].content) == {"changes": [ENCODED, ENCODED]}
    assert json.loads(asked[3].content) == {"changes": [ENCODED]}


def test_what_is_missing_is_told() -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(409, json={"error": "changes_missing", "missing": [H1]})

    with client(handler) as one, pytest.raises(Conflict) as caught:
        one.add_changes("d", [CHANGE])
    assert caught.value.body["missing"] == [H1]


def test_changes_that_are_none_are_a_broken_answer() -> None:
    with client(answering({"changes": ["*"]}, [])) as one, pytest.raises(BrokenAnswer):
        one.document_changes("d")
    with pytest.raises(BrokenAnswer):
        news_of(Event(name="change", data={"changes": []}, cursor=""))


def test_history_is_a_list() -> None:
    asked: list[httpx.Request] = []
    with client(answering({"history": [{"hash": H1}]}, asked)) as one:
        assert one.document_history("d", limit=5) == [{"hash": H1}]
    assert dict(asked[0].url.params) == {"limit": "5"}


def piece(heads: list[str], place: str) -> str:
    said = {"changes": [ENCODED], "hashes": heads, "agents": ["ai:a"], "heads": heads}
    return f"id: {place}\nevent: change\ndata: {json.dumps(said)}\n\n"


class Streams:
    """Answers one stream after another, and notes where each began."""

    def __init__(self, *bodies: str | int) -> None:
        self.bodies = list(bodies)
        self.began: list[tuple[str, str | None]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["accept"] == "text/event-stream"
        self.began.append((request.url.path, request.headers.get("last-event-id")))
        body = self.bodies.pop(0)
        if isinstance(body, int):
            return httpx.Response(body, json={"error": "not_found"})
        return httpx.Response(200, text=body, headers={"content-type": "text/event-stream"})


END = 'event: end\ndata: {"id": "d", "reason": "not_found"}\n\n'


def test_who_watches_goes_on_where_the_stream_broke_off() -> None:
    streams = Streams(piece([H1], H1), piece([H2], H2) + END)
    with client(streams) as one:
        seen = list(one.watch("d", since=[H1, H2]))
    assert [news["heads"] for news in seen] == [[H1], [H2]]
    assert seen[0]["changes"] == [CHANGE]
    path = "/api/v1/memories/d/document/changes"
    assert streams.began == [(path, f"{H1},{H2}"), (path, H1)]


def test_who_watches_nothing_is_told() -> None:
    with client(Streams(404)) as one, pytest.raises(NotFound):
        next(iter(one.watch("d")))


def test_who_awaits_watches_too() -> None:
    streams = Streams(piece([H1], H1), piece([H2], H2) + END)

    async def run() -> list[list[str]]:
        transport = httpx.MockTransport(streams)
        async with AsyncClient(URL, transport=transport, retry=HASTY) as one:
            return [news["heads"] async for news in one.watch("d")]

    assert asyncio.run(run()) == [[H1], [H2]]
    assert [place for _, place in streams.began] == [None, H1]
