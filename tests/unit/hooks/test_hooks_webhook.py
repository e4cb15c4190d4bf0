"""A webhook that is asked: signed, guarded, and heard."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from node.events.webhooks.sending import SIGNATURE, signature
from node.hooks.running import Runner
from node.hooks.verdict import Outcome, Verdict
from tests.unit.hooks.hooked import declared, surroundings


class Asked:
    """A server that answers as told."""

    def __init__(self) -> None:
        self.status, self.text = 200, ""
        self.got: list[tuple[dict[str, str], bytes]] = []
        app = web.Application()
        app.router.add_post("/ask", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status, text=self.text)


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    one = Asked()
    await one.server.start_server()
    yield one
    await one.server.close()


async def ran(asked: Asked, **further: Any) -> Verdict:
    url = f"http://127.0.0.1:{asked.server.port}/ask"
    table = {"command": (), "url": url, "loopback": True, **further}
    hook = declared("check", "before_store", **table)
    return await Runner(hook, surroundings()).run({"event": "before_store"})


async def test_it_is_signed_with_the_secret_of_its_file(asked: Asked, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    assert (await ran(asked, secret_file=secret)).outcome is Outcome.OK
    headers, body = asked.got[0]
    assert headers[SIGNATURE] == signature("s3cret", body)
    assert (headers["X-Mnemesh-Event"], headers["X-Mnemesh-Hook"]) == ("before_store", "check")


@pytest.mark.parametrize(
    ("status", "text", "outcome", "reason"),
    [
        (200, "", Outcome.OK, ""),
        (403, '{"reason": "not today"}', Outcome.REFUSED, "not today"),
        (403, "not today\nnor tomorrow", Outcome.REFUSED, "not today"),
        (403, "", Outcome.FAILED, ""),
        (500, "not today", Outcome.FAILED, ""),
        (302, "", Outcome.FAILED, ""),
    ],
)
async def test_its_answer_is_a_verdict(
    asked: Asked, status: int, text: str, outcome: Outcome, reason: str
) -> None:
    asked.status, asked.text = status, text
    verdict = await ran(asked)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


async def test_this_machine_is_reached_only_where_that_is_said(asked: Asked) -> None:
    verdict = await ran(asked, loopback=False)
    assert verdict.outcome is Outcome.FAILED
    assert asked.got == []


async def test_nobody_there_is_a_failure() -> None:
    further: dict[str, Any] = {"command": (), "url": "http://127.0.0.1:1025/", "loopback": True}
    hook = declared("check", "before_store", **further)
    verdict = await Runner(hook, surroundings()).run({"event": "before_store"})
    assert verdict.outcome is Outcome.FAILED
