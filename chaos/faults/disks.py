"""F16, F23 to F25: disks that are slow, that fail, that are full, and an address range that is.

Law: the fault is in the way of the real system calls of the real process: `strace` makes them wait
or fail, a file system of a few MiB under the node's folder has no room. What the kernel says about
it is the proof. A node whose disk failed ends by itself with its documented code; a yes after the
failure would be a lie, and the checkers would find what it promised missing.
"""

import errno
import os
import re
from pathlib import Path
from typing import Final

import trio

from chaos.campaign.cycle import Cycle
from chaos.config_file import with_settings
from chaos.faults.copies import copy_folder, put_in_place
from chaos.faults.probes import (
    CREATED,
    Probe,
    back,
    death,
    expect_once,
    serves,
    title_of,
    write,
)
from chaos.faults.registry import fault
from chaos.network.places import run_tool

DISK_ERROR_CODE: Final = 10
_FULL: Final = frozenset({503, 507})
_SPARE_BYTES: Final = 12 * 2**20
_MAP_BYTES: Final = 1 << 18
_LARGE_MAX: Final = 60
_MIB: Final = 2**20
_BALLAST: Final = "ballast"


# --- slow -----------------------------------------------------------------------------------


@fault("F16", needs=("strace",))
async def slow(cycle: Cycle) -> None:
    """Every sync of a minority takes 20 to 300 ms longer."""
    few = cycle.minority()
    delay_ms = cycle.rng.choice((20, 50, 100, 300))
    for node in few:
        await cycle.mesh.nodes[node].trace(f"fdatasync:delay_enter={delay_ms * 1000}")
    cycle.inject("syncs are slow", nodes=few, ms=delay_ms)
    began = trio.current_time()
    answer = await write(cycle, few[0], title_of(cycle, "slow"))
    took = trio.current_time() - began
    cycle.expect(
        "it is confirmed, or refused for now",
        answer.status in {CREATED, 503},
        status=answer.status,
        seconds=round(took, 3),
    )
    await cycle.hold()
    await cycle.expect_reads(few[0])
    delayed = [delays(cycle, node) for node in few]
    cycle.prove("the kernel let syncs wait", min(delayed) > 0, calls=delayed)
    for node in few:
        await cycle.mesh.nodes[node].untrace()
    alive = all(cycle.mesh.nodes[node].runs for node in few)
    cycle.expect("a slow disk ends nobody", alive)
    await expect_once(cycle, few[0], [answer])


def delays(cycle: Cycle, node: int) -> int:
    """How many calls of a node strace has let wait."""
    process = cycle.mesh.nodes[node]
    said = process.data_dir.parent / f"{process.name}.strace"
    return said.read_text(errors="replace").count("(DELAYED)") if said.exists() else 0


# --- failing --------------------------------------------------------------------------------


@fault("F23", needs=("strace",))
async def failing(cycle: Cycle) -> None:
    """Fdatasync says EIO, from the first call on or from a later one."""
    node = cycle.pick()
    process = cycle.mesh.nodes[node]
    when = cycle.rng.choice((1, 1, 2, 5))
    # What its own death leaves of the open connections is as good as no answer.
    await process.trace(f"fdatasync:error=EIO:when={when}+")
    cycle.inject("syncs fail", node=node, from_call=when)
    told: list[Probe] = []
    while process.runs and len(told) < 12:
        told.append(await write(cycle, node, title_of(cycle, "failing"), timeout_s=3))
    code = await death(cycle, node, seconds=5)
    failed = process.injected()
    cycle.prove("the kernel let syncs fail", failed > 0, calls=failed)
    if code is None:
        answer = await write(cycle, node, title_of(cycle, "after EIO"), timeout_s=3)
        cycle.expect("no yes after EIO", answer.status != CREATED, got=answer.status)
        cycle.stage.live.discard(node)
        await process.untrace()
        await process.kill()
    else:
        cycle.expect("it ends with the documented code", code == DISK_ERROR_CODE, code=code)
    await back(cycle, node)
    await expect_once(cycle, node, told)


# --- full -----------------------------------------------------------------------------------


@fault("F24", needs=("mounts",))
async def full(cycle: Cycle) -> None:
    """A node's folder lies on a file system that has no room, until somebody makes some."""
    node = cycle.pick()
    process = cycle.mesh.nodes[node]
    cycle.stage.live.discard(node)
    await process.stop()
    # The small one is laid over the folder: a harness that dies leaves the folder as it was.
    small = process.data_dir.with_name(f"{process.name}.small")
    latest = process.data_dir.with_name(f"{process.name}.latest")
    small.mkdir(mode=0o700, exist_ok=True)
    size = bytes_of(process.data_dir) + _SPARE_BYTES
    run_tool("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "small", str(small))
    try:
        await copy_folder(process.data_dir, small)
        run_tool("mount", "--bind", str(small), str(process.data_dir))
        try:
            await _fill_and_free(cycle, node)
        finally:
            with trio.CancelScope(shield=True):
                await process.kill()
                (small / _BALLAST).unlink(missing_ok=True)
                await copy_folder(small, latest)
                run_tool("umount", str(process.data_dir))
    finally:
        run_tool("umount", "--lazy", str(small))
        small.rmdir()
    await put_in_place(latest, process.data_dir)
    await back(cycle, node)
    cycle.expect("it serves on its own disk", await serves(cycle, node))


async def _fill_and_free(cycle: Cycle, node: int) -> None:
    process = cycle.mesh.nodes[node]
    await back(cycle, node)
    await serves(cycle, node)
    before = await write(cycle, node, title_of(cycle, "room"))
    ballast = process.data_dir / _BALLAST
    written = await trio.to_thread.run_sync(fill, ballast)
    cycle.inject("the disk is full", node=node, ballast_bytes=written)
    free = os.statvfs(process.data_dir).f_bavail
    cycle.prove("the kernel says that nothing is free", free == 0, blocks=free)
    refused = await _until_refused(cycle, node)
    cycle.expect("writes are refused", refused in _FULL, got=refused)
    await cycle.expect_reads(node)
    cycle.expect("a full disk ends nobody", process.runs)
    await cycle.hold()
    ballast.unlink()
    cycle.healed("there is room")
    after = Probe("", 0)
    with trio.move_on_after(15):
        while after.status != CREATED and process.runs:
            after = await write(cycle, node, title_of(cycle, "room again"), timeout_s=3)
            await trio.sleep(0.05)
    cycle.expect("writes resume with the space", after.status == CREATED, got=after.status)
    await expect_once(cycle, node, [before, after])


async def _until_refused(cycle: Cycle, node: int) -> int:
    """Write what does not fit into pages that are free already; returns the last status."""
    status = 0
    with trio.move_on_after(10):
        while status not in _FULL:
            body = {
                "title": title_of(cycle, "large"),
                "content": "x" * 200_000,
                "namespace": f"{cycle.stage.namespace}/large",
            }
            answer = await cycle.mesh.client.ask(node, "POST", "/memories", body, timeout_s=4)
            status = answer.status
    return status


def fill(path: Path) -> int:
    """Write a file until the disk has no room; returns its size in bytes."""
    written = 0
    piece = b"\0" * _MIB
    with path.open("wb", buffering=0) as file:
        while piece:
            try:
                written += file.write(piece)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                piece = piece[: len(piece) // 2] if len(piece) > 1 else b""
    return written


def bytes_of(folder: Path) -> int:
    """What the files of a folder take on the disk, each by whole pages."""
    return sum((path.stat().st_size + 8191) // 4096 * 4096 for path in folder.rglob("*"))


# --- no addresses left ------------------------------------------------------------------------


@fault("F25")
async def map_full(cycle: Cycle) -> None:
    """A node begins with the smallest address range there is, and is written to beyond it."""
    node = cycle.pick()
    process = cycle.mesh.nodes[node]
    config = process.data_dir / "config.toml"
    whole = config.read_text()
    cycle.stage.live.discard(node)
    await process.stop()
    try:
        config.write_text(with_settings(whole, {"storage": {"map_bytes": _MAP_BYTES}}))
        await cycle.mesh.start(node)
        await serves(cycle, node)
        small = mapped_bytes(process.pid, process.data_dir)
        cycle.inject("the address range is small", node=node, mapped=small)
        told = [await _large(cycle, node) for _ in range(cycle.rng.randint(3, 8))]
        while mapped_bytes(process.pid, process.data_dir) <= small and len(told) < _LARGE_MAX:
            told.append(await _large(cycle, node))  # pages that were freed are used up first
        cycle.stage.live.add(node)
        await cycle.hold()
        grown = mapped_bytes(process.pid, process.data_dir)
        cycle.prove("the range was too small", grown > small > 0, before=small, after=grown)
        clean = all(one.status in {CREATED, *_FULL} for one in told)
        cycle.expect("it grows, or refuses cleanly", clean, got=[one.status for one in told])
        cycle.expect("nobody ends", process.runs)
        await expect_once(cycle, node, told)
    finally:
        config.write_text(whole)
        cycle.stage.live.discard(node)
    await process.stop()
    await back(cycle, node)


async def _large(cycle: Cycle, node: int) -> Probe:
    title = title_of(cycle, "large")
    body = {
        "title": title,
        "content": "y" * 300_000,
        "namespace": f"{cycle.stage.namespace}/probe",
    }
    answer = await cycle.mesh.client.ask(
        node, "POST", "/memories", body, headers={"idempotency-key": title}, timeout_s=8
    )
    return Probe(title, answer.status)


def mapped_bytes(pid: int, data_dir: Path) -> int:
    """How many bytes of addresses the live store of a process takes."""
    current = (data_dir / "CURRENT").read_text().strip()
    wanted = f"{current}/data.mdb"
    total = 0
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if span and line.endswith(wanted):
            total += int(span[2], 16) - int(span[1], 16)
    return total
