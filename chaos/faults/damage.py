"""F26, F27, F46: stores whose bytes are others than were written, and stores of a newer version.

Law: damage is done while the node is stopped, to pages that are in use. A node may refuse to start,
may end when it comes upon the damage, or may serve what is whole; what is served is what was
written, always. Afterwards it is done as the runbook says: the store is set aside and filled
again from the peers. A store of a newer version is refused by name and left as it was, bit by bit.
"""

import hashlib
import random
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import trio

from chaos.campaign.cycle import Cycle
from chaos.faults.copies import said_since, store_of
from chaos.faults.disks import DISK_ERROR_CODE
from chaos.faults.pages import Damage, cut, flip, tear, zero
from chaos.faults.probes import OK, back, death, expect_once, serves, several
from chaos.faults.registry import fault
from chaos.process import NodeEndedError

INTEGRITY_CODE: Final = 5
DOWNGRADE_CODE: Final = 7
# A page that cannot be written to counts as the disk's failure.
_ENDS: Final = (None, INTEGRITY_CODE, DISK_ERROR_CODE)
_START_S: Final = 15.0
_LISTED: Final = 1000
_FIELDS: Final = ("title", "content", "metadata", "tags", "namespace")
_SCHEMA: Final = b"schema"
_CHECK_BYTES: Final = 16
_OWN_FILES: Final = frozenset({"lock", "listener.json", "last_exit.json"})


# --- damage at rest -------------------------------------------------------------------------


@fault("F26")
async def bit_flips(cycle: Cycle) -> None:
    """Bits of a stopped node's store are flipped."""
    bits = cycle.rng.choice((1, 2, 8, 32))
    await _damaged(cycle, lambda path, rng: flip(path, rng, bits))


@fault("F27")
async def torn(cycle: Cycle) -> None:
    """A page of a stopped node's store is zeroed or torn, or its file is cut off."""
    await _damaged(cycle, cycle.rng.choice((zero, tear, cut)))


async def _damaged(cycle: Cycle, hurt: Callable[[Path, random.Random], Damage]) -> None:
    node = cycle.pick()
    process = cycle.mesh.nodes[node]
    told = await several(cycle, node, "before the damage")
    cycle.stage.live.discard(node)
    await process.stop()
    file = process.data_dir / store_of(process.data_dir) / "data.mdb"
    before = await trio.to_thread.run_sync(digest_of, file)
    damage = await trio.to_thread.run_sync(hurt, file, random.Random(cycle.rng.random()))
    after = await trio.to_thread.run_sync(digest_of, file)
    cycle.inject("a store is damaged", node=node, damage=damage.kind, pages=damage.pages[:40])
    try:
        cycle.prove("pages in use are others", damage.pages and before != after)
        await _play_on_damage(cycle, node)
    finally:
        with trio.CancelScope(shield=True):
            await _end(cycle, node)
            # As the runbook says: keep the folder, remove CURRENT, start.
            (process.data_dir / "CURRENT").unlink(missing_ok=True)
    await back(cycle, node)
    cycle.expect("it is filled again from its peers", await serves(cycle, node))
    await expect_once(cycle, node, told)
    await trio.to_thread.run_sync(forget_aside, process.data_dir)


async def _play_on_damage(cycle: Cycle, node: int) -> None:
    process = cycle.mesh.nodes[node]
    heard = process.log.stat().st_size
    served = await comes_up(cycle, node)
    if served:
        await expect_nothing_wrong(cycle, node)
        cycle.stage.live.add(node)
        await cycle.hold()
    code = await _end(cycle, node)
    said = said_since(process.log, heard)
    detail = {"served": served, "code": code}
    cycle.recorder.event("note", what="on damage", **detail, said=said[-300:])
    cycle.expect("it ends with a documented code, or not", code in _ENDS, **detail)


async def comes_up(cycle: Cycle, node: int) -> bool:
    """Start a node that may refuse; whether it serves."""
    process = cycle.mesh.nodes[node]
    cycle.mesh.client.forget(node)
    process.start()
    with trio.move_on_after(_START_S):
        while process.runs:
            answer = await cycle.mesh.client.ask(node, "GET", "/readyz", timeout_s=1)
            if answer.outcome == "ok":
                return True
            await trio.sleep(0.03)
    return False


async def _end(cycle: Cycle, node: int) -> int | None:
    """End a node that may have ended by itself; then its exit code, else None."""
    process = cycle.mesh.nodes[node]
    cycle.stage.live.discard(node)
    if not process.runs:
        return await death(cycle, node)
    with suppress(NodeEndedError):
        await process.kill()
    cycle.mesh.client.forget(node)
    return None


async def expect_nothing_wrong(cycle: Cycle, node: int) -> None:
    """What it shows of earlier cycles is what another node shows."""
    shown = await quiet_records(cycle, node)
    right = await quiet_records(cycle, cycle.others(node)[0])
    both = shown.keys() & right.keys()
    wrong = sorted(ident for ident in both if shown[ident] != right[ident])
    cycle.expect("nothing damaged is served", not wrong, compared=len(both), wrong=wrong[:5])


async def quiet_records(cycle: Cycle, node: int) -> dict[str, dict[str, Any]]:
    """Records that nobody writes to in this cycle, as a node shows them; id -> fields."""
    path = f"/memories?limit={_LISTED}"
    answer = await cycle.mesh.client.ask(node, "GET", path, timeout_s=10)
    if answer.status != OK or not isinstance(answer.body, Mapping):
        return {}
    rows = answer.body.get("memories", [])
    own = cycle.stage.namespace
    return {
        row["id"]: {name: row.get(name) for name in _FIELDS}
        for row in rows
        if not str(row.get("namespace", "")).startswith(own)
    }


def forget_aside(data_dir: Path) -> None:
    """Remove what was set aside: an operator keeps it, a campaign of days cannot."""
    for path in data_dir.glob("aside-*"):
        shutil.rmtree(path, ignore_errors=True)


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- a newer version --------------------------------------------------------------------------


@fault("F46")
async def downgrade(cycle: Cycle) -> None:
    """A store, or a configuration, says that a newer version wrote it."""
    node = cycle.pick()
    process = cycle.mesh.nodes[node]
    told = await several(cycle, node, "before")
    cycle.stage.live.discard(node)
    await process.stop()
    of_store = cycle.rng.random() < 0.7
    path = process.data_dir / store_of(process.data_dir) / "data.mdb"
    if not of_store:
        path = process.data_dir / "config.toml"
    whole = await trio.to_thread.run_sync(path.read_bytes)
    newer = newer_store(whole) if of_store else b"schema_version = 99\n" + whole
    path.write_bytes(newer)
    try:
        before = await trio.to_thread.run_sync(digests, process.data_dir)
        heard = process.log.stat().st_size
        cycle.inject("a newer version wrote it", node=node, file=path.name)
        cycle.prove("the bytes say so", newer != whole)
        up = await comes_up(cycle, node)
        code = await _end(cycle, node)
        cycle.expect("it is refused", not up and code == DOWNGRADE_CODE, code=code)
        cycle.expect("in words", "newer" in said_since(process.log, heard))
        after = await trio.to_thread.run_sync(digests, process.data_dir)
        changed = sorted(name for name in before | after if before.get(name) != after.get(name))
        cycle.expect("nothing was touched", not changed, changed=changed)
        await cycle.hold()
    finally:
        path.write_bytes(whole)
    await back(cycle, node)
    await expect_once(cycle, node, told)


def newer_store(data: bytes) -> bytes:
    """The bytes of a store with a version that does not exist yet.

    The version is a decimal number behind a checksum of its own, in the table `meta`.

    Raises:
        ValueError: no version was found.
    """
    for version in range(1, 9):
        held = _sealed(_SCHEMA, b"%d" % version)
        if held in data:
            return data.replace(held, _sealed(_SCHEMA, b"9"))
    raise ValueError("the store names no version")


def _sealed(key: bytes, body: bytes) -> bytes:
    told = b"%d:%b%b" % (len(key), key, body)
    return hashlib.blake2b(told, digest_size=_CHECK_BYTES).digest() + body


def digests(data_dir: Path) -> dict[str, str]:
    """SHA-256 of every file but those that say which process runs."""
    return {
        str(path.relative_to(data_dir)): digest_of(path)
        for path in sorted(data_dir.rglob("*"))
        if path.is_file() and path.name not in _OWN_FILES
    }
