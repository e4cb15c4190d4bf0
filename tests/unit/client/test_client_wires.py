"""What goes over the wire, through httpx and a server in memory."""

import asyncio
from typing import Any

import httpx
import pytest

from node.client import AsyncClient, BrokenAnswer, Client, NoAnswer, Retry, Unreachable
from node.client.call import make_call, plain

URL = "http://node.inside"
HASTY = Retry(total=0.2, attempt=0.05, first_pause=0.01, longest_pause=0.01)


def test_what_is_sent_is_what_was_signed() -> None:
    sent: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.raw_path)
        return httpx.Response(200, json={})

    odd = {"q": "ä &+'\"<>[]{}|\\^`~#?%/:;=@$!*(),", "e": ""}
    with Client(URL, transport=httpx.MockTransport(handler)) as client:
        client.request("GET", "/memories/a%2Fb", params=odd)
        client.request("GET", "/search", params={"q": "\u202e\u200b 100% {x} ' OR 1=1"})
    calls = [
        make_call("GET", "/memories/a%2Fb", plain, params=odd),
        make_call("GET", "/search", plain, params={"q": "\u202e\u200b 100% {x} ' OR 1=1"}),
    ]
    assert sent == [call.target.encode() for call in calls]


def test_a_path_before_the_api_is_kept() -> None:
    sent: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(str(request.url))
        return httpx.Response(200, json={})

    with Client(f"{URL}/mesh/", transport=httpx.MockTransport(handler)) as client:
        client.request("GET", "/stats")
    assert sent == [f"{URL}/mesh/api/v1/stats"]


def test_a_redirect_is_not_followed() -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(307, headers={"location": "http://elsewhere/"}, text="away")

    with (
        Client(URL, transport=httpx.MockTransport(handler)) as client,
        pytest.raises(BrokenAnswer, match="307"),
    ):
        client.request("GET", "/stats")


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (httpx.ConnectError("no"), Unreachable),
        (httpx.ConnectTimeout("no"), Unreachable),
        (httpx.ReadTimeout("no"), NoAnswer),
        (httpx.RemoteProtocolError("no"), NoAnswer),
        (httpx.WriteError("no"), NoAnswer),
        (httpx.DecodingError("no"), BrokenAnswer),
    ],
)
def test_only_what_was_never_sent_is_definite(raised: Exception, kind: type[Exception]) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise raised

    with (
        Client(URL, transport=httpx.MockTransport(handler), retry=HASTY) as client,
        pytest.raises(kind) as caught,
    ):
        client.store("t", "c")
    assert caught.value.indefinite is (kind is not Unreachable)  # type: ignore[attr-defined]  # of ClientError


async def test_a_server_that_never_answers_is_left_at_the_deadline() -> None:
    seen: list[Any] = []

    async def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["idempotency-key"])
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async with AsyncClient(URL, transport=httpx.MockTransport(handler), retry=HASTY) as client:
        async with asyncio.timeout(5):
            with pytest.raises(NoAnswer) as caught:
                await client.store("t", "c")
    assert len(seen) > 1
    assert set(seen) == {caught.value.idempotency_key}


async def test_more_calls_than_connections_all_get_their_turn() -> None:
    open_now, most = 0, 0

    async def handler(_request: httpx.Request) -> httpx.Response:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0)
        open_now -= 1
        return httpx.Response(200, json={})

    async with (
        AsyncClient(URL, transport=httpx.MockTransport(handler)) as client,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(200):
            group.create_task(client.stats())
    assert 1 < most <= 16
