"""F12 to F15 at the interface of agents: half-open, reset in mid-answer, cut at every byte, slow.

Law: one key of idempotency has one effect, however often its request was cut off; a batch is there
as a whole or not at all; a client that stops or crawls is cut within the node's deadlines, and
others do not notice.
"""

import json
import random
import socket
import struct
from collections.abc import Mapping
from typing import Any, Final

import trio

from chaos.hostile import http
from chaos.hostile.target import Expectation, Target, Victim

__all__ = ["attack", "cut_everywhere", "resets", "slow"]

_CUTS_AT_ONCE: Final = 16
_CRAWL_S: Final = 1.0
_SLACK_S: Final = 5.0
_PATIENCE_S: Final = 25.0
_BATCH: Final = 5


async def attack(target: Target, rng: random.Random) -> list[Expectation]:
    """All shapes; slow ones last, since they take as long as the node's deadlines."""
    broken = target.links_broken()
    return [
        *await cut_everywhere(target, rng),
        *await resets(target, rng),
        *await slow(target, rng),
        target.links_unaffected(broken),
        await target.all_equal(),
    ]


def _batch(victim: Victim, target: Target, key: str) -> bytes:
    """A request that makes five memories, under one key of idempotency."""
    space = target.namespace
    items = [
        {"title": f"{key} {n}", "content": target.marker, "namespace": space} for n in range(_BATCH)
    ]
    headers = {**victim.headers, "Idempotency-Key": key, "X-Agent-Id": "ai:cutter"}
    path = "/api/v1/memories/bulk"
    return http.request_bytes(victim.agent[0], "POST", path, items, headers)


async def _titles(target: Target, victim: Victim, prefix: str) -> list[str]:
    """Titles of the memories that a key made, with repetitions."""
    # The list has a limit, which the test that cuts at every byte is above; the export has none,
    # and a store that has lived through a campaign is too large for it.
    path = "/export" if target.quiet else f"/memories?namespace={target.namespace}&limit=1000"
    held = (await victim.ask("GET", path, X_Agent_Id="ai:cutter")).json() or {}
    memories: list[Mapping[str, Any]] = held.get("memories", [])
    return [one["title"] for one in memories if one["title"].startswith(prefix)]


async def cut_everywhere(target: Target, rng: random.Random) -> list[Expectation]:
    """One request cut at every byte, each under a key of its own, then sent whole, twice."""
    victim = target.victims[0]
    tag = f"cut{rng.randrange(16**6):06x}"
    # Every request has the same length, so a byte means the same in each.
    requests = [_batch(victim, target, f"{tag}{n:05d}") for n in range(2_000)]
    length = len(requests[0])
    places = list(range(1, length + 1))
    if target.scale < 1:
        places = sorted(rng.sample(places, max(int(length * target.scale), 40)))
    limit = trio.CapacityLimiter(_CUTS_AT_ONCE)
    async with trio.open_nursery() as nursery:
        for place in places:
            nursery.start_soon(_cut, victim, requests[place], place, limit)
    partial = await _partial(target, victim, tag, {f"{tag}{p:05d}": 0 for p in places})
    sample = rng.sample(places, min(len(places), 25))
    statuses = [await _whole(victim, requests[place]) for place in sample for _ in range(2)]
    once = await _partial(target, victim, tag, {f"{tag}{p:05d}": _BATCH for p in sample})
    wrong = [status for status in statuses if status not in {200, 201}]
    return [
        Expectation("a cut request leaves a whole batch or none", not partial, {"so": partial}),
        Expectation(
            "sent again it has one effect", not once and not wrong, {"so": once, "statuses": wrong}
        ),
    ]


async def _partial(
    target: Target, victim: Victim, tag: str, least: Mapping[str, int]
) -> dict[str, int]:
    """Keys with another number of memories than none (where that may be) or a whole batch."""
    found: dict[str, int] = dict.fromkeys(least, 0)
    for title in await _titles(target, victim, tag):
        key = title.partition(" ")[0]
        if key in found:
            found[key] += 1
    return {k: n for k, n in found.items() if n != _BATCH and not (n == 0 and not least[k])}


async def _cut(victim: Victim, data: bytes, place: int, limit: trio.CapacityLimiter) -> None:
    """Send so many bytes and hang up: politely at even places, by a reset at odd ones."""
    async with limit:
        stream = await victim.agent_stream()
        try:
            await stream.send_all(data[:place])
            if place % 2:
                _reset_on_close(stream)
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(stream)


def _reset_on_close(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _whole(victim: Victim, data: bytes) -> int:
    stream = await victim.agent_stream()
    async with stream:
        await stream.send_all(data)
        answer, _ = await http.read_answer(stream)
    return answer.status


async def resets(target: Target, rng: random.Random) -> list[Expectation]:
    """The connection is reset after every few bytes of the answer; then the request comes again."""
    victim = target.victims[0]
    tag = f"rst{rng.randrange(16**6):06x}"
    keys = [f"{tag}{n:05d}" for n in range(max(int(60 * target.scale), 12))]
    for number, key in enumerate(keys):
        stream = await victim.agent_stream()
        await stream.send_all(_batch(victim, target, key))
        left = number * 8
        while left > 0:
            data = await stream.receive_some(left)
            if not data:
                break
            left -= len(data)
        _reset_on_close(stream)
        await trio.aclose_forcefully(stream)
    statuses = [await _whole(victim, _batch(victim, target, key)) for key in keys]
    off = await _partial(target, victim, tag, dict.fromkeys(keys, _BATCH))
    wrong = [status for status in statuses if status not in {200, 201}]
    what = "an answer that was reset is given again, with one effect"
    return [
        Expectation(
            what, not off and not wrong, {"so": off, "statuses": wrong, "requests": len(keys)}
        )
    ]


async def slow(target: Target, _rng: random.Random) -> list[Expectation]:
    """Connections that say nothing, and heads and bodies at a byte a second: all of them cut."""
    victim = target.victims[0]
    data = _batch(victim, target, f"slow{_rng.randrange(16**6):06x}")
    head = data.index(b"\r\n\r\n") + 4
    kept: list[str] = []
    took: dict[str, float] = {}
    crawlers = {
        "a head at a byte a second": (b"", data),
        "a body at a byte a second": (data[:head], data[head:]),
        "a head that stops": (data[: head // 2], b""),
        "a body that stops": (data[: head + 9], b""),
        "a connection that says nothing": (b"", b""),
    }
    slowest = 0.0
    async with trio.open_nursery() as nursery:
        for name, (first, rest) in crawlers.items():
            for _ in range(8):
                nursery.start_soon(_crawl, victim, name, first, rest, kept, took)
        for _ in range(10):
            began = trio.current_time()
            lives = await victim.lives()
            slowest = max(slowest, trio.current_time() - began if lives else _PATIENCE_S)
    title = json.dumps(kept)
    return [
        Expectation("who crawls or stops is cut", not kept, {"kept": title, "seconds": took}),
        Expectation("others do not notice", slowest < _CRAWL_S, {"slowest_s": round(slowest, 3)}),
    ]


async def _crawl(
    victim: Victim,
    name: str,
    first: bytes,
    rest: bytes,
    kept: list[str],
    took: dict[str, float],
) -> None:
    """Send `first` at once and `rest` a byte a second, until the node cuts the connection."""
    stream = await victim.agent_stream()
    began = trio.current_time()
    over = trio.Event()

    async def listen() -> None:
        try:
            while await stream.receive_some(4096):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        over.set()

    with trio.move_on_after(_PATIENCE_S + _SLACK_S) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            nursery.start_soon(_trickle, stream, first, rest)
            await over.wait()
            nursery.cancel_scope.cancel()
    took[name] = round(max(took.get(name, 0.0), trio.current_time() - began), 1)
    if scope.cancelled_caught:
        kept.append(name)
    await trio.aclose_forcefully(stream)


async def _trickle(stream: trio.SocketStream, first: bytes, rest: bytes) -> None:
    try:
        await stream.send_all(first)
        for place in range(len(rest)):
            await stream.send_all(rest[place : place + 1])
            await trio.sleep(_CRAWL_S)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return
