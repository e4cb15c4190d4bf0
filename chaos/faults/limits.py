"""F28, F29: a node that may open no more files, and one that may hold no more memory.

Law: the limit is put on the running process by prlimit(2) and taken off again; it is below what the
process needs for what is then asked of it. A node may refuse, drop connections, or die and be
started again; it may not lose what it confirmed, and it serves again when the limit is gone.
"""

import resource
from pathlib import Path
from typing import Final

import trio

from chaos.campaign.cycle import Cycle
from chaos.client import Client
from chaos.faults.probes import CREATED, Probe, back, death, expect_once, serves, title_of, write
from chaos.faults.registry import fault

_FLOOD: Final = 60
_SPARE_FILES: Final = 4
_BODY_BYTES: Final = 1_000_000
_BODIES: Final = 24
_RECOVERS_S: Final = 15.0


def open_files(pid: int) -> int:
    """How many files a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def data_bytes(pid: int) -> int:
    """Writable private memory of a process, as RLIMIT_DATA counts it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


# --- files ----------------------------------------------------------------------------------


@fault("F28")
async def no_files(cycle: Cycle) -> None:
    """A node may open a handful of files more, or none, and connections flood it."""
    node = cycle.pick()
    pid = cycle.mesh.nodes[node].pid
    spare = cycle.rng.choice((0, 0, _SPARE_FILES))
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    limit = open_files(pid) + spare
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    cycle.inject("no more files", node=node, limit=limit, spare=spare)
    cycle.stage.live.discard(node)
    opened: list[trio.SocketStream] = []
    try:
        refused = await _flood(cycle, node, opened)
        served = await _serves_strangers(cycle, node)
        held = open_files(pid) if cycle.mesh.nodes[node].runs else 0
        detail = {"open": held, "limit": limit, "refused": refused}
        cycle.prove("a new connection is not served", not served, **detail)
        one = await write(cycle, cycle.others(node)[0], title_of(cycle, "others"))
        cycle.expect("the others confirm", one.status == CREATED, got=one.status)
        await cycle.hold()
    finally:
        for stream in opened:
            stream.socket.close()
        if cycle.mesh.nodes[node].runs:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    cycle.healed("files may be opened again")
    cycle.expect("nobody ends for want of a file", cycle.mesh.nodes[node].runs)
    await _expect_recovery(cycle, node, [])


async def _flood(cycle: Cycle, node: int, opened: list[trio.SocketStream]) -> int:
    """Open connections and say half a request on each; returns how many were not accepted."""
    place = cycle.mesh.nodes[node].place
    refused = 0

    async def one() -> None:
        nonlocal refused
        made = trio.socket.from_stdlib_socket(place.socket())
        with trio.move_on_after(2) as waited:
            try:
                await made.connect(("127.0.0.1", place.agent_port))
                stream = trio.SocketStream(made)
                opened.append(stream)
                await stream.send_all(b"GET /livez HTTP/1.1\r\n")
            except (OSError, trio.BrokenResourceError):
                refused += 1
        refused += int(waited.cancelled_caught)

    async with trio.open_nursery() as nursery:
        for _ in range(_FLOOD):
            nursery.start_soon(one)
    return refused


async def _serves_strangers(cycle: Cycle, node: int) -> bool:
    """Whether new connections are served, which is asked until one is not."""
    for _ in range(10):
        client = Client(cycle.mesh.places)
        answer = await client.ask(node, "GET", "/livez", timeout_s=0.4)
        client.close()
        if answer.status == 0:
            return False
    return True


# --- memory ---------------------------------------------------------------------------------


@fault("F29")
async def no_memory(cycle: Cycle) -> None:
    """A node may hold hardly more memory than it does, and large bodies arrive."""
    node = cycle.pick()
    pid = cycle.mesh.nodes[node].pid
    before = resource.prlimit(pid, resource.RLIMIT_DATA)
    limit = data_bytes(pid) + cycle.rng.choice((0, 8, 32)) * 2**20
    resource.prlimit(pid, resource.RLIMIT_DATA, (limit, before[1]))
    cycle.inject("no more memory", node=node, limit=limit)
    cycle.stage.live.discard(node)
    told: list[Probe] = []
    try:
        await _large_bodies(cycle, node, told)
        runs = cycle.mesh.nodes[node].runs
        held = data_bytes(pid) if runs else 0
        refused = [one.status for one in told if one.status != CREATED]
        # At the limit to within the largest piece that is asked for at once.
        tight = not runs or bool(refused) or held > limit - 2**20
        cycle.prove("there was not enough", tight, held=held, limit=limit, refused=refused)
        if runs:
            await cycle.hold()
    finally:
        if cycle.mesh.nodes[node].runs:
            resource.prlimit(pid, resource.RLIMIT_DATA, before)
    cycle.healed("memory may be had again")
    await _expect_recovery(cycle, node, told)


async def _large_bodies(cycle: Cycle, node: int, told: list[Probe]) -> None:
    namespace = f"{cycle.stage.namespace}/probe"

    async def one(title: str) -> None:
        body = {"title": title, "content": "m" * _BODY_BYTES, "namespace": namespace}
        answer = await cycle.mesh.client.ask(
            node, "POST", "/memories", body, headers={"idempotency-key": title}, timeout_s=6
        )
        told.append(Probe(title, answer.status))

    async with trio.open_nursery() as nursery:
        for _ in range(_BODIES):
            nursery.start_soon(one, title_of(cycle, "large"))


async def _expect_recovery(cycle: Cycle, node: int, told: list[Probe]) -> None:
    """It goes on, or it had to be started again; either way it serves and lost nothing."""
    code = None
    cycle.mesh.client.forget(node)
    ready = await serves(cycle, node, seconds=_RECOVERS_S)
    if not cycle.mesh.nodes[node].runs:  # gone before, or while it was waited for: it drains first
        code = await death(cycle, node)
        await back(cycle, node)
        ready = await serves(cycle, node, seconds=_RECOVERS_S)
    cycle.expect("it serves again", ready, died_with=code)
    sure = [one for one in told if one.status == CREATED]
    await expect_once(cycle, node, [*sure, await write(cycle, node, title_of(cycle, "again"))])
