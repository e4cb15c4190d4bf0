"""Faults happen to a real mesh under a real Prometheus: what must light lights, and no more.

A mesh lasts as long as one group of faults. Durations are divided, questions are those shipped.
"""

import datetime as dt
import os
import random
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from chaos.certs import Pair, make_pair
from chaos.faults.copies import lose
from chaos.hostile import equivocation
from chaos.hostile.impostor import impersonate, key_of
from chaos.hostile.target import Papers, Target, Victim
from chaos.mesh import Mesh
from chaos.network.places import run_tool
from crdt.digest import move, weight
from crdt.op import record_key
from crdt.record_codec import decode
from crdt.state import Batch, Change
from node.store.folder import open_current
from tests.integration.rig_lit import Watched, note_backup, table, watched
from tests.integration.rig_prometheus import needs_prometheus

pytestmark = [pytest.mark.integration, pytest.mark.slow, needs_prometheus]
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
_LAST = 2


def playing(folder: Path, *groups: Callable[[Watched], Awaitable[None]], **options: object) -> None:
    """Play faults one after the other on one mesh."""

    async def run() -> None:
        async with watched(folder, **options) as mesh:  # type: ignore[arg-type]
            for group in groups:
                await group(mesh)

    trio.run(run)


async def nothing() -> None:
    """It goes away by itself, or stays."""


# --- who reaches whom ---------------------------------------------------------------------------


async def cuts(on: Watched) -> None:
    mesh = on.mesh

    async def heal() -> None:
        mesh.wires.heal()
        await mesh.until_linked()

    async def minority() -> None:
        mesh.wires.split([_LAST], [0, 1])

    async def all_apart() -> None:
        mesh.wires.split([0], [1, 2])
        mesh.wires.split([1], [2])

    async def one_way() -> None:
        mesh.wires.cut(0, _LAST)
        mesh.wires.cut(1, _LAST)

    await on.play("nothing is wrong", nothing, nothing)
    await on.play("F01", minority, heal)
    await on.play("F02", all_apart, heal)
    await on.play("F03", one_way, heal)


def test_cuts(tmp_path: Path) -> None:
    playing(tmp_path, cuts)


# --- nodes that end -----------------------------------------------------------------------------


async def deaths(on: Watched) -> None:
    mesh = on.mesh
    process = mesh.nodes[_LAST]

    async def kill() -> None:
        on.live.discard(_LAST)
        await mesh.kill(_LAST)

    async def start() -> None:
        await process.untrace()
        await mesh.start(_LAST)
        await mesh.until_linked()
        on.live.add(_LAST)

    async def pause() -> None:
        on.live.discard(_LAST)
        process.pause()

    async def go_on() -> None:
        process.resume()
        mesh.client.forget(_LAST)
        await mesh.until_linked()
        on.live.add(_LAST)

    await on.play("F17", kill, start)
    await on.play("F20", pause, go_on)


async def loss(on: Watched) -> None:
    mesh = on.mesh
    process = mesh.nodes[_LAST]

    async def lose_all() -> None:
        on.live.discard(_LAST)
        await mesh.kill(_LAST)
        kept = frozenset({"keys", "config.toml", "last_backup.json"})
        await trio.to_thread.run_sync(lose, process.data_dir, kept)

    async def start() -> None:
        await mesh.start(_LAST)
        await mesh.until_linked()
        on.live.add(_LAST)

    await on.play("F39", lose_all, start)


def test_nodes_that_end(tmp_path: Path) -> None:
    playing(tmp_path, deaths)


def test_a_disk_that_is_lost(tmp_path: Path) -> None:
    playing(tmp_path, loss)


# --- disks, clocks and notes ----------------------------------------------------------------------


async def disks(on: Watched) -> None:
    mesh = on.mesh
    process = mesh.nodes[_LAST]
    ballast = process.data_dir / "ballast"

    async def fill() -> None:
        free = os.statvfs(process.data_dir)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)

    async def make_room() -> None:
        ballast.unlink()

    async def fail() -> None:
        await process.trace("fdatasync:error=EIO")
        await on.until(lambda: not process.runs, "the node ends", 20)
        on.live.discard(_LAST)
        await process.ended()

    async def back() -> None:
        await process.untrace()
        await mesh.start(_LAST)
        await mesh.until_linked()
        on.live.add(_LAST)

    await on.play("F24", fill, make_room)
    await on.play("F23", fail, back)


@needs_root
@needs_strace
def test_disks(tmp_path: Path) -> None:
    small = tmp_path / "mesh" / "n3"

    def mount(_folder: Path) -> None:
        run_tool("mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "small", str(small))
        note_backup(small, time.time())

    try:
        playing(tmp_path, disks, before=mount)
    finally:
        if os.path.ismount(small):
            run_tool("umount", str(small))


async def clocks_and_notes(on: Watched) -> None:
    mesh = on.mesh
    process = mesh.nodes[_LAST]

    async def leap() -> None:
        process.order("clock", "3600000")

    async def skewed() -> None:
        on.live.discard(_LAST)  # what it mints before it hears of a peer waits for that hour
        await process.stop()  # one that runs refuses such a jump
        mesh.client.forget(_LAST)
        process.order("clock", "3600000")
        await mesh.start(_LAST)

    async def right() -> None:
        process.clear_orders()
        await mesh.until_linked()
        on.live.add(_LAST)

    def noted(at: float) -> Callable[[], Awaitable[None]]:
        async def note() -> None:
            note_backup(process.data_dir, at)

        return note

    async def forget() -> None:
        (process.data_dir / "last_backup.json").unlink()

    fresh = noted(time.time())
    await on.play("a test build in service", nothing, nothing)
    await on.play("a clock leaps and the mesh does not follow", leap, right)
    await on.play("F30", skewed, right)
    await on.play("no backup for two days", noted(time.time() - 2 * 86400), fresh)
    await on.play("never backed up", forget, fresh)


def test_clocks_and_backups(tmp_path: Path) -> None:
    playing(tmp_path, clocks_and_notes)


# --- who may come in ------------------------------------------------------------------------------


def shown(mesh: Mesh, pair: Pair) -> None:
    """Let the last node serve with another certificate, which all know."""
    process = mesh.nodes[_LAST]
    own = process.pair
    for path, fresh in ((own.key, pair.key), (own.certificate, pair.certificate)):
        path.with_suffix(".next").write_bytes(fresh.read_bytes())
        path.with_suffix(".next").chmod(0o600)
        path.with_suffix(".next").replace(path)
    for node in mesh.nodes:
        with node.allowlist.open("a") as listed:
            listed.write(f"{pair.fingerprint} {process.name}-{pair.fingerprint[:8]}\n")
        node.signal(signal.SIGHUP)


def lasting(mesh: Mesh, days: float) -> Pair:
    """A certificate for that node that ends in so many days."""
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    return make_pair(mesh.folder / "more", f"for-{days:g}-days", not_after=end)


async def papers(on: Watched) -> None:
    mesh = on.mesh

    async def guess() -> None:
        for number in range(80):
            await mesh.client.ask(0, "GET", f"/stats?api_key={number}")

    async def nearly_over() -> None:
        shown(mesh, lasting(mesh, 10))

    async def renewed() -> None:
        shown(mesh, lasting(mesh, 365))
        await mesh.until_linked()

    await on.play("somebody guesses keys", guess, nothing)
    await on.play("the certificate nears its end", nearly_over, renewed)


async def turned_away(on: Watched) -> None:
    mesh = on.mesh
    process = mesh.nodes[_LAST]
    lists: dict[str, str] = {}

    async def removed() -> None:
        for node in mesh.nodes[:_LAST]:
            lists[node.name] = node.allowlist.read_text()
            lines = [x for x in lists[node.name].splitlines() if process.name not in x]
            node.allowlist.write_text("\n".join(lines) + "\n")
            node.signal(signal.SIGHUP)

    async def listed() -> None:
        for node in mesh.nodes[:_LAST]:
            node.allowlist.write_text(lists[node.name])
            node.signal(signal.SIGHUP)
        await mesh.until_linked()

    async def start_with(days: float) -> None:
        await process.stop()
        mesh.client.forget(_LAST)
        shown(mesh, lasting(mesh, days))
        await mesh.start(_LAST)

    async def over() -> None:
        await start_with(-1)

    async def renewed() -> None:
        await start_with(365)
        await mesh.until_linked()

    await on.play("F36", removed, listed)
    await on.play("F34", over, renewed)


def test_members_that_are_turned_away(tmp_path: Path) -> None:
    playing(tmp_path, turned_away)


def test_papers(tmp_path: Path) -> None:
    playing(tmp_path, papers)


async def governed(on: Watched) -> None:
    mesh = on.mesh
    space = "held"
    config = mesh.nodes[_LAST].data_dir / "config.toml"
    text = config.read_text()

    async def hold() -> None:
        person = {"agent_id": "hana", "agent_type": "human"}
        answer = await mesh.client.ask(0, "POST", "/agents", person)
        assert answer.status < 300, answer
        rules = {"governance": {"write": "approve"}}
        answer = await mesh.client.ask(0, "POST", f"/namespaces/{space}/standard", rules)
        assert answer.status < 300, answer
        body = {"title": "t", "content": "c", "namespace": space}
        answer = await mesh.client.ask(
            0, "POST", "/memories", body, headers={"x-agent-id": "ai:bob"}
        )
        assert answer.status == 202, answer

    async def decide() -> None:
        listed = await mesh.client.ask(0, "GET", "/pending")
        for one in listed.body["pending"]:
            path = f"/pending/{one['id']}/reject"
            answer = await mesh.client.ask(0, "POST", path, {}, headers={"x-agent-id": "hana"})
            assert answer.status < 300, answer

    async def weaken() -> None:
        config.write_text(f'{text}\n[permissions]\nmode = "advisory"\n')
        mesh.nodes[_LAST].signal(signal.SIGHUP)

    async def protect() -> None:
        config.write_text(text)
        mesh.nodes[_LAST].signal(signal.SIGHUP)

    await on.play("nobody decides what waits for approval", hold, decide)
    await on.play("a switch that protects is off", weaken, protect)


def test_governance(tmp_path: Path) -> None:
    playing(tmp_path, governed)


# --- members that lie -----------------------------------------------------------------------------


def target_of(on: Watched, node: int) -> Target:
    """What is attacked by somebody who has a node's keys."""
    process = on.mesh.nodes[node]
    honest = [
        Victim(
            name=one.name,
            host=one.place.host,
            port=one.place.port,
            url=one.place.url,
            agent=("127.0.0.1", one.place.agent_port),
            fingerprint=one.pair.fingerprint,
            log=one.log,
            pid=one.pid,
            headers={"X-Agent-Id": "ops:chaos"},
            heard_from=one.log.stat().st_size,
        )
        for one in on.mesh.nodes
        if one is not process
    ]
    own = process.pair
    papers = Papers(
        folder=on.mesh.folder / "strangers",
        member=own,
        outsider=own,
        expired=own,
        early=own,
        stranger=own,
    )
    return Target(
        victims=honest,
        honest=honest,
        papers=papers,
        name=process.name,
        url=process.place.url,
        marker="zqxlit",
        namespace="rogue",
    )


def lose_one(data_dir: Path) -> None:
    """Take one record out of a stopped node's store, as if nobody had ever written it."""
    store = open_current(data_dir, entropy=os.urandom, map_bytes=1 << 30)
    try:
        held = store.load()
        (key,) = store.lists.with_prefix(record_key(b"d", "memory", ""), 1)
        data = store.record(key)
        assert data is not None
        change = Change(decode(key, data), None, None, 0)
        digest = move(held.digest, weight(key, data), 0)
        store.commit(
            Batch(
                number=0,
                bundles=(),
                actors={},
                records={key: change},
                pending={},
                idempotency={},
                digest=digest,
                now_ms=time.time_ns() // 1_000_000,
            )
        )
    finally:
        store.close()


async def lies(on: Watched) -> None:
    mesh = on.mesh
    process = mesh.nodes[_LAST]

    async def two_histories() -> None:
        on.live.discard(_LAST)
        await process.stop()
        mesh.client.forget(_LAST)
        target, rng = target_of(on, _LAST), random.Random(11)
        await impersonate(target, key_of(process.data_dir), rng)
        await equivocation.attack(target, rng)

    async def start_anew() -> None:
        await mesh.start(_LAST)
        await mesh.until_linked()
        for node in (0, 1):  # the proof is told until a node is started again
            on.live.discard(node)
            await mesh.nodes[node].stop()
            mesh.client.forget(node)
            await mesh.start(node)
            await mesh.until_linked()
            on.live.add(node)
        on.live.add(_LAST)

    await on.play("F44", two_histories, start_anew)


async def differs(on: Watched) -> None:
    mesh = on.mesh
    process = mesh.nodes[_LAST]

    async def damage() -> None:
        on.live.clear()
        await mesh.until_level([0, 1, 2])
        await process.stop()
        mesh.client.forget(_LAST)
        await trio.to_thread.run_sync(lose_one, process.data_dir)
        await mesh.start(_LAST)

    async def rebuild() -> None:
        await mesh.kill(_LAST)
        kept = frozenset({"keys", "config.toml", "last_backup.json", "join.json"})
        await trio.to_thread.run_sync(lose, process.data_dir, kept)
        await mesh.start(_LAST)
        await mesh.until_linked()
        on.live.update((0, 1, 2))

    await on.play("a member holds another state under the same clock", damage, rebuild)


def test_a_member_with_two_histories(tmp_path: Path) -> None:
    playing(tmp_path, lies)


def test_a_member_with_another_state(tmp_path: Path) -> None:
    playing(tmp_path, differs)


def test_every_fault_that_is_said_to_be_played_is() -> None:
    """Said by the sources, so that it holds when a part of this module was run alone."""
    text = Path(__file__).read_text()
    for fault, row in table().items():
        assert row.played is (f'on.play("{fault}"' in text), fault
