"""F38 to F40: a node that comes back with less than it had, and one that is there twice.

Law: a copy of a data folder is taken while its node is stopped, as the runbook says. An old copy
is looked at before its peers can help it: its clock lacks what it had said before, or the cycle
proves nothing. A name that a node gave to a write is never given again, which an actor of its own
for every process must show.
"""

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import trio

from chaos.campaign.cycle import Cycle
from chaos.faults.probes import CREATED, back, expect_once, serves, several, title_of
from chaos.faults.registry import fault
from chaos.network.places import Place, free_ports
from chaos.process import NodeEndedError, NodeProcess

_KEPT: Final = frozenset({"keys", "config.toml"})
_NOTE: Final = "join.json"
_TWIN: Final = '"twin_detected"'
_TWIN_S: Final = 15.0
_FORCED: Final = 0.3


async def copy_folder(source: Path, target: Path) -> None:
    """Make a folder a copy of another, with its modes; beside the loop."""

    def work() -> None:
        if target.exists():
            lose(target, frozenset())
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)

    await trio.to_thread.run_sync(work)


async def put_in_place(fresh: Path, target: Path) -> None:
    """Put a folder in the place of another, which is removed."""
    old = target.with_name(f"{target.name}.old")
    await remove_folder(old)
    target.rename(old)
    fresh.rename(target)
    await remove_folder(old)


async def remove_folder(folder: Path) -> None:
    """Remove a folder, if it is there; beside the loop."""
    await trio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))


def actors(body: Mapping[str, Any]) -> dict[str, int]:
    """The clock of a `GET /mesh`: actor -> last number."""
    return dict(body.get("clock") or {})


async def cut_off(cycle: Cycle, node: int) -> None:
    """Start a node that hears nobody."""
    cycle.mesh.wires.split([node], cycle.others(node))
    await cycle.mesh.start(node)


def let_in(cycle: Cycle, node: int) -> None:
    """Let it hear again."""
    for other in cycle.others(node):
        cycle.mesh.wires.flows[node, other].release()
        cycle.mesh.wires.flows[other, node].release()


# --- an old copy ----------------------------------------------------------------------------


@fault("F38")
async def restored(cycle: Cycle) -> None:
    """A node's folder is put back as it was before its latest writes."""
    node = cycle.pick()
    process = cycle.mesh.nodes[node]
    copy = process.data_dir.with_name(f"{process.name}.copy")
    cycle.stage.live.discard(node)
    await process.stop()
    await copy_folder(process.data_dir, copy)
    await back(cycle, node)
    await serves(cycle, node)
    told = await several(cycle, node, "after the copy")
    await cycle.hold()
    then = actors(await cycle.mesh.status(node))
    cycle.stage.live.discard(node)
    await (process.stop() if cycle.rng.random() < 0.5 else process.kill())
    await put_in_place(copy, process.data_dir)
    cycle.inject("an old copy is put back", node=node)
    await cut_off(cycle, node)
    now = actors(await cycle.mesh.status(node))
    lacking = {actor: seq - now.get(actor, 0) for actor, seq in then.items()}
    older = bool(now) and any(missing > 0 for missing in lacking.values())
    cycle.prove("it lacks what it had said", older, operations=sum(lacking.values()))
    let_in(cycle, node)
    await expect_once(cycle, node, told)
    await _expect_other_names(cycle, node, then)
    cycle.stage.live.add(node)


async def _expect_other_names(cycle: Cycle, node: int, then: Mapping[str, int]) -> None:
    """What it writes from now on stands under a name that it never had."""
    body = {"title": title_of(cycle, "named"), "content": "probe", "namespace": "chaos/names"}
    answer = await cycle.mesh.client.ask(node, "POST", "/memories", body, timeout_s=8)
    told = answer.body.get("durability", {}) if isinstance(answer.body, dict) else {}
    actor, _, seq = str(told.get("dot") or "").rpartition(":")
    fresh = answer.status == CREATED and actor not in then
    cycle.expect("no name is given twice", fresh, actor=actor, seq=seq, status=answer.status)


# --- nothing left ---------------------------------------------------------------------------


@fault("F39")
async def lost(cycle: Cycle) -> None:
    """A node is killed and its disk is gone; keys and settings are not."""
    node = cycle.pick()
    process = cycle.mesh.nodes[node]
    told = await several(cycle, node, "before the loss")
    noted = cycle.rng.random() < 0.5
    cycle.stage.live.discard(node)
    await process.kill()
    before = store_of(process.data_dir)
    kept = _KEPT | ({_NOTE} if noted else set())
    await trio.to_thread.run_sync(lose, process.data_dir, kept)
    cycle.inject("a disk is lost", node=node, kept=sorted(kept), store=before)
    cycle.prove("no store is left", before and not store_of(process.data_dir))
    await cycle.hold()
    await back(cycle, node)
    ready = await serves(cycle, node)
    after = store_of(process.data_dir)
    cycle.expect("it comes back with a store of its own", ready and after != before, store=after)
    await expect_once(cycle, node, [one for one in told if one.status == CREATED])


def store_of(data_dir: Path) -> str:
    """The name of the live store; empty when there is none."""
    current = data_dir / "CURRENT"
    return current.read_text(encoding="ascii").strip() if current.exists() else ""


def lose(data_dir: Path, kept: frozenset[str]) -> None:
    """Remove all of a folder but what is named."""
    for path in data_dir.iterdir():
        if path.name in kept:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


# --- twice ------------------------------------------------------------------------------------


@fault("F40")
async def twin(cycle: Cycle) -> None:
    """A whole copy of a node, keys and all, is started beside it.

    Either the first one is linked, and the copy must be refused; or the first one is cut off, the
    copy takes its place, and the first one is refused when it can be heard again.
    """
    node = cycle.pick()
    first = cycle.mesh.nodes[node]
    usurps = cycle.rng.random() < _FORCED
    cycle.stage.live.discard(node)
    await first.stop()
    copy = first.data_dir.parent / "twin" / first.name
    copy.parent.mkdir(exist_ok=True)
    await copy_folder(first.data_dir, copy)
    second = _second(cycle, node, copy)
    try:
        await cycle.mesh.start(node)
        await serves(cycle, node)
        if usurps:
            cycle.mesh.wires.split([node], cycle.others(node))
            await _until_away(cycle, node)
        heard = {n: one.log.stat().st_size for n, one in enumerate(cycle.mesh.nodes)}
        second.start()
        cycle.inject("a second process has its identity", node=node, first_is_cut_off=usurps)
        await _prove_twin(cycle, first, second)
        if usurps:
            # The wires of the twin lead through the same proxies: only connections made since
            # the cut pass, once they are let pass.
            let_in(cycle, node)
        found = await cycle.until(lambda: _told_of_twin(cycle, heard, second), seconds=_TWIN_S)
        cycle.expect("somebody says that there is a twin", found)
        await cycle.hold()
    finally:
        with trio.CancelScope(shield=True):
            await _end_second(second)
            await remove_folder(copy.parent)
    cycle.healed("the second process is gone")
    cycle.stage.live.add(node)
    if not first.runs:
        await first.ended()
        await cycle.mesh.start(node)
    cycle.expect("the first one serves", await serves(cycle, node))
    linked = await cycle.mesh.until_linked()
    cycle.recorder.event("note", what="linked after the twin", seconds=round(linked, 3))


def _second(cycle: Cycle, node: int, copy: Path) -> NodeProcess:
    first = cycle.mesh.nodes[node]
    port, agent = free_ports(2)
    place = Place(
        name=first.name,
        host=first.place.host,
        port=port,
        agent_port=agent,
        namespace=first.place.namespace,
    )
    return NodeProcess(
        place=place,
        data_dir=copy,
        pair=first.pair,
        allowlist=first.allowlist,
        # It tells the address of the first one, as a copied configuration does.
        flags=[*first.flags, "--advertise", first.place.url],
        program=first.program,
        environment=dict(first.environment),
    )


async def _prove_twin(cycle: Cycle, first: NodeProcess, second: NodeProcess) -> None:
    both = await cycle.until(lambda: first.runs and second.runs, seconds=2)
    same = (copied_key(first) == copied_key(second)) and copied_key(first) != b""
    cycle.prove("two processes with one key run", both and same and first.pid != second.pid)


def copied_key(process: NodeProcess) -> bytes:
    """The node's key as its file has it."""
    path = process.data_dir / "keys" / "node.key"
    return path.read_bytes() if path.exists() else b""


async def _until_away(cycle: Cycle, node: int) -> None:
    """Wait until the others have noticed that a node is cut off."""
    name = cycle.mesh.nodes[node].name
    with trio.move_on_after(_TWIN_S):
        while True:
            told = await cycle.mesh.statuses(cycle.others(node))
            states = [m["state"] for b in told.values() for m in b["members"] if m["name"] == name]
            if "ready" not in states:
                return
            await trio.sleep(0.1)


def _told_of_twin(cycle: Cycle, heard: Mapping[int, int], second: NodeProcess) -> bool:
    logs = [(one.log, heard[n]) for n, one in enumerate(cycle.mesh.nodes)] + [(second.log, 0)]
    return any(_TWIN in said_since(log, start) for log, start in logs if log.exists())


def said_since(log: Path, start: int) -> str:
    """What was logged behind a place in the file."""
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode("utf-8", "replace")


async def _end_second(second: NodeProcess) -> None:
    second.signal(signal.SIGKILL)
    try:
        await second.ended()
    except NodeEndedError:
        return
