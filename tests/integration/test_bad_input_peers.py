"""What a member that has gone bad can do: nothing, and it is counted."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from crdt import messages as m
from crdt.op import Kind
from tests.integration.rig import RealNode, check_equal, cleaned_up, until_level
from tests.integration.rig_mesh import founded, start_all
from tests.integration.rig_rogue import Rogue
from transport.frames import encode
from transport.identity import NodeKey
from transport.websocket import WebSocketLink

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
REJECTED = "mnemesh_frames_rejected_total"
# Tests in which good bundles come along with the bad ones.
LETS_IN = {
    "test_duplicates_disorder_and_replays_change_nothing_twice",
    "test_two_branches_of_one_log_are_noticed",
}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    """Three nodes, of which the third is stopped: its keys are for the rogue."""
    nodes = founded(tmp_path_factory.mktemp("rogue"), 3)
    with cleaned_up(nodes):
        start_all(nodes)
        nodes[0].store("honest")
        until_level(nodes)
        nodes[2].kill()
        yield nodes


@pytest.fixture
def rogue(mesh: list[RealNode]) -> Rogue:
    one, _, three = mesh
    return Rogue(worn=three, to=one, founders=sorted(node.url for node in mesh))


@pytest.fixture(autouse=True)
def _nothing_is_applied(mesh: list[RealNode], request: pytest.FixtureRequest) -> Iterator[None]:
    """The two honest nodes hold the same before and after, unless the test says otherwise."""
    before = mesh[0].held()
    yield
    if request.node.originalname not in LETS_IN:
        assert mesh[0].held() == before
    assert mesh[0].store("still serving")["quorum_acks"] == 2
    check_equal(mesh[:2])
    assert mesh[0].process is not None
    assert mesh[0].process.poll() is None


async def counted(node: RealNode, reason: str, before: float, *, name: str = REJECTED) -> None:
    """Wait until one more is counted under this reason, or under any."""
    labels = {"reason": reason} if reason else {}
    for _ in range(500):
        now = await asyncio.to_thread(node.metric, name, **labels)
        if now > before:
            return
        await asyncio.sleep(0.01)
    page = str(await asyncio.to_thread(node.tell, "GET", "/metrics"))
    seen = [line for line in page.splitlines() if line.startswith(name)]
    pytest.fail(f"nothing was counted as {reason}: {seen}; {node.tail()}")


async def raw(link: WebSocketLink, frame: bytes) -> None:
    """Bytes that no encoder would make."""
    await link._socket.send_bytes(frame)  # type: ignore[attr-defined]


FRAMES: dict[str, bytes] = {
    "frame_version": b"\x07" + bytes(20),
    "frame_empty": b"\x01",
    "frame_truncated": encode([b"hello there"])[:-3],
    "frame_too_many_messages": encode([b""] * 5000),
}


@pytest.mark.parametrize("reason", FRAMES)
async def test_a_frame_that_is_none_ends_the_link(rogue: Rogue, reason: str) -> None:
    async with rogue.linked() as link:
        await rogue.settle(link)
        await raw(link, FRAMES[reason])
        ended = await rogue.until_ended()
    assert ended.detail.startswith(reason)


async def test_an_oversized_frame_ends_the_link(rogue: Rogue) -> None:
    async with rogue.linked() as link:
        await rogue.settle(link)
        await raw(link, b"\x01" + os.urandom(5 << 20))
        await rogue.until_ended()


async def test_a_frame_that_is_none_is_counted(rogue: Rogue) -> None:
    before = rogue.to.metric(REJECTED)
    async with rogue.linked() as link:
        await rogue.settle(link)
        await raw(link, FRAMES["frame_truncated"])
        await rogue.until_ended()
    assert rogue.to.metric(REJECTED) > before


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\xc1 no msgpack", "malformed"),
        (b"\x80", "malformed"),
        (b"\x91\xcd\x03\xe7", "unknown_kind"),
        (m.encode(m.Level({}))[:-1], "malformed"),
        (os.urandom(1000), None),
    ],
)
async def test_a_message_that_is_none_ends_the_link(
    rogue: Rogue, message: bytes, reason: str | None
) -> None:
    before = rogue.to.metric(REJECTED, **({"reason": reason} if reason else {}))
    async with rogue.linked() as link:
        await rogue.settle(link)
        await link.send([message])
        await rogue.until_ended()
    if reason:
        await counted(rogue.to, reason, before)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"genesis": "cluster"}, "greeting_wrong_cluster"),
        ({"genesis": "founders"}, "greeting_wrong_mesh"),
        ({"key": bytes(32)}, "greeting_key"),
        ({"key": "other"}, "greeting_signature"),
        ({"name": "x" * 600}, "greeting_malformed"),
    ],
)
async def test_a_greeting_that_is_not_right_opens_no_link(
    rogue: Rogue, changes: dict[str, Any], reason: str
) -> None:
    before = rogue.to.metric(REJECTED, reason=reason)
    if changes.get("genesis") == "cluster":
        greeting = Rogue(
            worn=rogue.worn, to=rogue.to, founders=rogue.founders, cluster="elsewhere"
        ).greeting()
    elif changes.get("genesis") == "founders":
        greeting = Rogue(worn=rogue.worn, to=rogue.to, founders=["https://x:1"]).greeting()
    elif changes.get("key") == "other":
        # Somebody else's key, signed with our own.
        greeting = rogue.greeting(key=NodeKey.generate(os.urandom).public)
    else:
        greeting = rogue.greeting(**changes)
    async with rogue.linked(greeting):
        await rogue.until_ended()
    await counted(rogue.to, reason, before)


async def test_a_greeting_of_a_later_protocol_is_told_so(rogue: Rogue) -> None:
    before = rogue.to.metric(REJECTED, reason="greeting_protocol")
    body = msgpack.packb([99, "whatever", "comes", "then"])
    async with rogue.linked(msgpack.packb([body, bytes(64)])):
        ended = await rogue.until_ended()
    assert "protocol" in ended.detail
    await counted(rogue.to, "greeting_protocol", before)


async def test_a_forged_bundle_is_refused(rogue: Rogue) -> None:
    before = rogue.to.metric(REJECTED, reason="bad")
    async with rogue.linked() as link:
        await rogue.settle(link)
        forged = rogue.seal(rogue.create("forged"), sign=lambda _: bytes(64))
        await link.send([m.encode(m.Push(forged.data))])
        await counted(rogue.to, "bad", before)


async def test_a_bundle_of_another_cluster_is_refused(rogue: Rogue) -> None:
    before = rogue.to.metric(REJECTED, reason="bad")
    async with rogue.linked() as link:
        await rogue.settle(link)
        other = rogue.seal(rogue.create("of another cluster"), cluster="elsewhere")
        await link.send([m.encode(m.Push(other.data))])
        await counted(rogue.to, "bad", before)


async def test_an_operation_of_an_unknown_kind_is_refused(rogue: Rogue) -> None:
    before = rogue.to.metric(REJECTED)
    async with rogue.linked() as link:
        await rogue.settle(link)
        unknown = rogue.seal(rogue.create("unknown kind", kind=99))
        await link.send([m.encode(m.Push(unknown.data))])
        await counted(rogue.to, "", before)


async def test_a_truncated_bundle_is_refused(rogue: Rogue) -> None:
    before = rogue.to.metric(REJECTED)
    async with rogue.linked() as link:
        await rogue.settle(link)
        whole = rogue.seal(rogue.create("truncated"))
        await link.send([m.encode(m.Push(whole.data[:-70]))])
        await counted(rogue.to, "", before)


async def test_an_author_ten_minutes_ahead_is_told_to_wait(rogue: Rogue) -> None:
    before = rogue.to.metric(REJECTED, reason="future_stamp")
    async with rogue.linked() as link:
        await rogue.settle(link)
        early = rogue.seal(rogue.create("from the future", ahead_ms=600_000))
        await link.send([m.encode(m.Push(early.data))])
        await rogue.until(lambda: any(isinstance(one, m.Skewed) for one in rogue.heard), "a Skewed")
    assert rogue.to.events("peer_skewed")
    await counted(rogue.to, "future_stamp", before)


async def test_duplicates_disorder_and_replays_change_nothing_twice(
    rogue: Rogue, mesh: list[RealNode]
) -> None:
    one, two, _ = mesh
    first = rogue.seal(rogue.create("rogue-1"))
    second = rogue.seal(rogue.create("rogue-2"), rogue.create("rogue-3"))
    pushes = [m.encode(m.Push(bundle.data)) for bundle in (first, second)]
    async with rogue.linked() as link:
        await rogue.settle(link)
        await link.send([pushes[0], pushes[0]])
        await rogue.until(lambda: acked(rogue, 1), "the first is acknowledged")
        await link.send([pushes[1], pushes[0], pushes[1]])
        await rogue.until(lambda: acked(rogue, 3), "all are acknowledged")
    # A replay of the whole conversation, on a link of its own, is known already.
    again = Rogue(worn=rogue.worn, to=rogue.to, founders=rogue.founders)
    async with again.linked() as link:
        await again.settle(link)
        await link.send(pushes)
        await link.send([m.encode(m.Beat(1, 0, True, bytes(16), bytes(16)))])
        await again.until(lambda: any(isinstance(x, m.Echo) for x in again.heard), "an Echo")
    until_level([one, two])
    for node in (one, two):
        assert {f"rogue-{n}" for n in (1, 2, 3)} <= node.held().keys()
        assert node.get("rogue-1")["version"] == 1


async def test_what_comes_too_early_waits_for_what_it_follows(rogue: Rogue) -> None:
    rogue.seal(rogue.create("never sent"))
    second = rogue.seal(rogue.create("too early"))
    async with rogue.linked() as link:
        await rogue.settle(link)
        await link.send([m.encode(m.Push(second.data))])
        # The node sees that it is behind and asks for what it lacks.
        await rogue.until(lambda: any(isinstance(x, m.Want) for x in rogue.heard), "a Want")


async def test_a_bundle_of_somebody_else_is_not_taken_from_here(
    rogue: Rogue, mesh: list[RealNode], tmp_path: Path
) -> None:
    del tmp_path
    before = rogue.to.metric(REJECTED, reason="pushed_for_another")
    other = Rogue(worn=mesh[1], to=mesh[0], founders=rogue.founders)
    foreign = other.seal(other.create("in another name"))
    async with rogue.linked() as link:
        await rogue.settle(link)
        await link.send([m.encode(m.Push(foreign.data))])
        await counted(rogue.to, "pushed_for_another", before)


async def test_two_branches_of_one_log_are_noticed(rogue: Rogue) -> None:
    before = rogue.to.metric("mnemesh_equivocations_total")
    one = rogue.create("branch", kind=Kind.CREATE)
    left = rogue.seal(one)
    async with rogue.linked() as link:
        await rogue.settle(link)
        await link.send([m.encode(m.Push(left.data))])
        await rogue.until(lambda: acked(rogue, 1), "the first branch is taken")
        rogue._seq, rogue._prev = 0, bytes(32)
        right = rogue.seal(rogue.create("other branch"))
        await link.send([m.encode(m.Push(right.data))])
        await counted(rogue.to, "", before, name="mnemesh_equivocations_total")
    assert rogue.to.ask("GET", "/memories/other%20branch").status == 404


def acked(rogue: Rogue, seq: int) -> bool:
    return any(
        isinstance(one, m.Ack) and one.clock.get(rogue.actor, 0) >= seq for one in rogue.heard
    )
