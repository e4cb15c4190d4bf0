"""F34 to F36: certificates that have ended, are replaced, or are taken off the lists.

Law: lists and files are changed as an operator changes them, whole or not at all, and a running
node is told by a signal or finds out by itself. Who is let in is tried from the place of the one
who comes, with its certificate; and whatever stops a cycle half way, every list names the
certificate that its node has then.
"""

import datetime as dt
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import trio

from chaos.campaign.cycle import Cycle
from chaos.certs import Pair, day_before, fingerprint_of, make_pair, renew
from chaos.faults.probes import CREATED, back, serves, title_of, write
from chaos.faults.registry import fault
from chaos.faults.rogues import seen_by
from chaos.hostile import http
from chaos.hostile.socket import TlsPapers, tls
from chaos.process import NodeProcess

_IN_FORCE_S: Final = 1.0  # as docs/operations.md says it
_SLACK_S: Final = 0.5  # of a machine with two cores for all nodes
_DOOR_S: Final = 3.0
_PATIENCE_S: Final = 10.0
_SOON_S: Final = 2.5
_PROBE_S: Final = 0.1
_REFUSED_EXPIRED: Final = 'mnemesh_handshake_failures_total{reason="expired_certificate"}'
_TROUBLE: Final = (
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
    http.BadAnswerError,
)


# --- lists and files ----------------------------------------------------------------------------


def with_names(text: str, more: Mapping[str, str]) -> str:
    """The text of an allowlist with these fingerprints too: {fingerprint: name}."""
    kept = without(text, more)
    return kept + "".join(f"{fingerprint} {name}\n" for fingerprint, name in more.items())


def without(text: str, fingerprints: Iterable[str]) -> str:
    """The text of an allowlist without these fingerprints."""
    gone = set(fingerprints)
    lines = [line for line in text.splitlines() if line.split()[:1] and line.split()[0] not in gone]
    return "".join(f"{line}\n" for line in lines)


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a file in the place of another, whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(data)
    fresh.chmod(mode)
    fresh.replace(path)


def rewrite(process: NodeProcess, text: str) -> None:
    """Change the allowlist of a node."""
    replace_file(process.allowlist, text.encode(), 0o644)


def put_pair(process: NodeProcess, pair: Pair) -> None:
    """Give a node another certificate, at the place of the one it has; it is not told."""
    own = process.pair
    replace_file(own.key, pair.key.read_bytes())
    replace_file(own.certificate, pair.certificate.read_bytes(), 0o644)
    process.pair = Pair(certificate=own.certificate, key=own.key, fingerprint=pair.fingerprint)


def kept_copy(process: NodeProcess, folder: Path) -> Pair:
    """A copy of what a node shows now."""
    folder.mkdir(parents=True, exist_ok=True)
    own = process.pair
    copy = Pair(
        certificate=folder / f"{process.name}-was.crt",
        key=folder / f"{process.name}-was.key",
        fingerprint=own.fingerprint,
    )
    replace_file(copy.key, own.key.read_bytes())
    replace_file(copy.certificate, own.certificate.read_bytes(), 0o644)
    return copy


@asynccontextmanager
async def _mended(cycle: Cycle, node: int) -> AsyncIterator[None]:
    """Afterwards every list names what the node has then, and nothing of what it had between."""
    lists = {one.name: one.allowlist.read_text() for one in cycle.mesh.nodes}
    process = cycle.mesh.nodes[node]
    was = process.pair.fingerprint
    try:
        yield
    finally:
        process.pair = Pair(
            certificate=process.pair.certificate,
            key=process.pair.key,
            fingerprint=fingerprint_of(process.pair.certificate),
        )
        now = {process.pair.fingerprint: process.name}
        for one in cycle.mesh.nodes:
            rewrite(one, with_names(without(lists[one.name], [was]), now))
            if one.runs:
                one.signal(signal.SIGHUP)


# --- doors --------------------------------------------------------------------------------------


async def _door(cycle: Cycle, source: int, target: int, pair: Pair) -> trio.abc.Stream:
    """A connection to a node from the place of another; raises one of `_TROUBLE`."""
    there = seen_by(cycle, source, target)
    papers = TlsPapers(pair.certificate, pair.key, there.fingerprint)
    made = None if there.sockets is None else there.sockets()
    return await tls(there.host, there.port, papers, made)


async def is_served(cycle: Cycle, source: int, target: int, pair: Pair) -> bool:
    """Whether a node answers who comes from the place of another with this certificate."""
    host = cycle.mesh.nodes[target].place.host
    try:
        with trio.fail_after(_DOOR_S):
            stream = await _door(cycle, source, target, pair)
            try:
                answer = await http.ask(stream, host, "GET", "/api/v1/mesh")
            finally:
                await trio.aclose_forcefully(stream)
    except _TROUBLE:
        return False
    return answer.status == 200


async def _served_by(
    cycle: Cycle, node: int, pair: Pair, *, wanted: bool, seconds: float = _PATIENCE_S
) -> list[str]:
    """Wait until all others serve who comes from a node's place, or none does; who differs."""
    left = cycle.others(node)
    with trio.move_on_after(seconds):
        while left:
            left = [one for one in left if await is_served(cycle, node, one, pair) is not wanted]
            await trio.sleep(0.02)
    return [cycle.mesh.names[one] for one in left]


async def _linked_to(cycle: Cycle, node: int) -> list[str]:
    """Which of the others say that a node is linked."""
    name = cycle.mesh.names[node]
    told = await cycle.mesh.statuses(cycle.others(node))
    return [
        cycle.mesh.names[other]
        for other, body in told.items()
        if any(m["name"] == name and m["state"] == "ready" for m in body.get("members", []))
    ]


# --- F36 ----------------------------------------------------------------------------------------


@fault("F36")
async def taken_off(cycle: Cycle) -> None:
    """A node is taken off the lists of the others while they talk to it."""
    node = cycle.pick()
    process, pair = cycle.mesh.nodes[node], cycle.mesh.nodes[node].pair
    others = [cycle.mesh.nodes[other] for other in cycle.others(node)]
    told = cycle.rng.random() < 0.5
    async with _mended(cycle, node):
        held = await _in_use(cycle, node, cycle.rng.choice(cycle.others(node)), pair)
        began = trio.current_time()
        for other in others:
            rewrite(other, without(other.allowlist.read_text(), [pair.fingerprint]))
            if told:
                other.signal(signal.SIGHUP)
        cycle.inject("a node is taken off the lists of the others", node=node, told=told)
        ended = await _ends(held, _PATIENCE_S)
        took = round(trio.current_time() - began, 3)
        cycle.prove("its open connection is ended", ended, seconds=took)
        cycle.expect("within a second", took <= _IN_FORCE_S + _SLACK_S, seconds=took)
        await trio.sleep(began + _IN_FORCE_S + _SLACK_S - trio.current_time())
        doors = [one for one in cycle.others(node) if await is_served(cycle, node, one, pair)]
        cycle.expect("nothing is served to it any more", not doors, doors=doors)
        linked = await _linked_to(cycle, node)
        cycle.expect("its links are ended", not linked, linked=linked)
        if cycle.mesh.shape.quorum_writes > 1:
            await cycle.expect_refusal(node)
        await cycle.expect_reads(node)
        await cycle.hold()
        doors = [one for one in cycle.others(node) if await is_served(cycle, node, one, pair)]
        cycle.expect("nothing is served to it any more", not doors, doors=doors)
    cycle.healed("it is on the lists again", node=node)
    again = await _served_by(cycle, node, pair, wanted=True)
    cycle.expect("it is let in again", not again, doors=again, name=process.name)


async def _in_use(cycle: Cycle, source: int, target: int, pair: Pair) -> trio.abc.Stream:
    """A connection that has answered twice, so that it is one that stays open."""
    host = cycle.mesh.nodes[target].place.host
    stream = await _door(cycle, source, target, pair)
    keep = {"Connection": "keep-alive"}
    got = [
        (await http.ask(stream, host, "GET", "/api/v1/mesh", headers=keep)).status for _ in range(2)
    ]
    cycle.prove("it is served before", got == [200, 200], got=got)
    return stream


async def _ends(stream: trio.abc.Stream, seconds: float) -> bool:
    """Wait until a connection on which nothing is asked ends; whether it did in time."""
    with trio.move_on_after(seconds) as scope:
        with suppress(*_TROUBLE):
            await stream.receive_some(1)
    await trio.aclose_forcefully(stream)
    return not scope.cancelled_caught


# --- F35 ----------------------------------------------------------------------------------------


@fault("F35")
async def rotated(cycle: Cycle) -> None:
    """A node gets a new certificate, with two pins on the lists of the others in between."""
    node = cycle.pick()
    process = cycle.mesh.nodes[node]
    folder = cycle.mesh.folder / "rotated"
    same_key, restarts = cycle.rng.random() < 0.5, cycle.rng.random() < 0.4
    old = kept_copy(process, folder)
    fresh = _fresh(process, old, folder, same_key=same_key)
    refused: list[int] = []
    async with _mended(cycle, node), trio.open_nursery() as nursery:
        writer = cycle.rng.choice(cycle.others(node))
        nursery.start_soon(_write_on, cycle, writer, refused)
        _both_pins(cycle, node, fresh)
        if restarts:
            await _restart_with(cycle, node, fresh)
        else:
            put_pair(process, fresh)
            process.signal(signal.SIGHUP)
        cycle.inject("a certificate is replaced", node=node, same_key=same_key, restarts=restarts)
        new = await _shows(cycle, node, fresh)
        cycle.prove("it shows the new certificate", new)
        shut = await _served_by(cycle, node, fresh, wanted=True)
        cycle.expect("the others serve the new certificate", not shut, doors=shut)
        await cycle.hold()
        for other in cycle.everyone:
            one = cycle.mesh.nodes[other]
            rewrite(one, without(one.allowlist.read_text(), [old.fingerprint]))
        shut = await _served_by(cycle, node, old, wanted=False)
        cycle.prove("the old one is refused", not shut, doors=shut)
        linked = await cycle.mesh.until_linked()
        cycle.recorder.event("note", what="linked by the new one", seconds=round(linked, 3))
        own = await write(cycle, node, title_of(cycle, "rotated"))
        cycle.expect("the node itself confirms writes", own.status == CREATED, got=own.status)
        nursery.cancel_scope.cancel()
    cycle.expect("no write of another node fails for it", not refused, got=refused, at=writer)


def _fresh(process: NodeProcess, old: Pair, folder: Path, *, same_key: bool) -> Pair:
    """Another certificate, over the same key or over another one."""
    name = f"{process.name}-new"
    if same_key:
        return renew(old, folder, name)
    return make_pair(folder, name, sans=[process.place.host, "127.0.0.1", "localhost"])


def _both_pins(cycle: Cycle, node: int, fresh: Pair) -> None:
    """Every list names the new certificate of a node beside the one it has."""
    for one in cycle.mesh.nodes:
        more = {fresh.fingerprint: cycle.mesh.names[node]}
        rewrite(one, with_names(one.allowlist.read_text(), more))


async def _restart_with(cycle: Cycle, node: int, pair: Pair) -> None:
    """End a node, give it another certificate, and start it."""
    process = cycle.mesh.nodes[node]
    cycle.stage.live.discard(node)
    await process.stop()
    put_pair(process, pair)
    await back(cycle, node)


async def _shows(cycle: Cycle, node: int, pair: Pair) -> bool:
    """Wait until a node shows a certificate to those that come with the same one."""
    with trio.move_on_after(_PATIENCE_S):
        while not await is_served(cycle, cycle.others(node)[0], node, _own(cycle, node)):
            await trio.sleep(0.02)
        return cycle.mesh.nodes[node].pair.fingerprint == pair.fingerprint
    return False


def _own(cycle: Cycle, node: int) -> Pair:
    """What one of the others shows."""
    return cycle.mesh.nodes[cycle.others(node)[0]].pair


async def _write_on(cycle: Cycle, node: int, refused: list[int]) -> None:
    """Write on a node until cancelled; keeps what was not confirmed."""
    while True:
        one = await write(cycle, node, title_of(cycle, "meanwhile"))
        if one.status != CREATED:
            refused.append(one.status)
        await trio.sleep(_PROBE_S)


# --- F34 ----------------------------------------------------------------------------------------


@fault("F34")
async def expired(cycle: Cycle) -> None:
    """A node's certificate has ended: before it starts, or while it is linked."""
    node = cycle.pick()
    process = cycle.mesh.nodes[node]
    folder = cycle.mesh.folder / "rotated"
    good = kept_copy(process, folder)
    linked = cycle.rng.random() < 0.4
    before = await _expired_seen(cycle, node)
    async with _mended(cycle, node):
        try:
            if linked:
                await _ends_while_linked(cycle, node, good, folder)
            else:
                ended = renew(good, folder, f"{process.name}-ended", not_after=day_before())
                _both_pins(cycle, node, ended)
                await _restart_with(cycle, node, ended)
            cycle.inject("a certificate has ended", node=node, while_linked=linked)
            await _expect_outside(cycle, node, before)
        finally:
            put_pair(process, good)
    if not linked and cycle.rng.random() < 0.5:
        await _restart_with(cycle, node, good)
    cycle.healed("it has a good certificate again", node=node)
    cycle.expect("it serves again", await serves(cycle, node), node=node)
    shut = await _served_by(cycle, node, good, wanted=True)
    cycle.expect("it is let in again", not shut, doors=shut)


async def _ends_while_linked(cycle: Cycle, node: int, good: Pair, folder: Path) -> None:
    """The node gets a certificate that ends in a moment; then its links break."""
    process = cycle.mesh.nodes[node]
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=_SOON_S)
    brief = renew(good, folder, f"{process.name}-brief", not_after=ends)
    _both_pins(cycle, node, brief)
    put_pair(process, brief)
    process.signal(signal.SIGHUP)
    cycle.prove("it shows the new certificate", await _shows(cycle, node, brief))
    left = (ends - dt.datetime.now(dt.UTC)).total_seconds()
    await cycle.hold(max(0.0, left) + 1.0)
    for other in cycle.others(node):
        cycle.mesh.wires.reset(node, other)


async def _expect_outside(cycle: Cycle, node: int, before: Mapping[int, float]) -> None:
    """Nobody takes part in anything with a certificate that has ended."""
    ended = cycle.mesh.nodes[node].pair
    doors = [one for one in cycle.others(node) if await is_served(cycle, node, one, ended)]
    cycle.expect("it is refused before anything is parsed", not doors, doors=doors)
    after = await _expired_seen(cycle, node)
    more = {cycle.mesh.names[n]: count - before.get(n, 0.0) for n, count in after.items()}
    cycle.prove("the others count refusals of ended certificates", all(more.values()), more=more)
    await cycle.hold()
    linked = await _linked_to(cycle, node)
    cycle.expect("nobody is linked to it", not linked, linked=linked)
    if cycle.mesh.shape.quorum_writes > 1:
        await cycle.expect_refusal(node)
    one = await write(cycle, cycle.others(node)[0], title_of(cycle, "without"))
    cycle.expect("the others confirm without it", one.status == CREATED, got=one.status)


async def _expired_seen(cycle: Cycle, node: int) -> dict[int, float]:
    """How many handshakes each of the others has refused for an ended certificate."""
    found: dict[int, float] = {}
    for other in cycle.others(node):
        answer = await cycle.mesh.client.ask(other, "GET", "/metrics")
        found[other] = figure(str(answer.body), _REFUSED_EXPIRED)
    return found


def figure(page: str, name: str) -> float:
    """A figure of a page of metrics; 0 when it is not there."""
    found = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
    return next((float(value) for label, _, value in found if label == name), 0.0)
