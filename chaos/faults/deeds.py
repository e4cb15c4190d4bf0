"""What leads a node to the rarer of the points where it can be told to fail.

Law: a deed is what an operator, an agent or a peer would do: a list that is edited, a signed
write, a webhook, a log that is cut, a disk that is lost. What it needs in the configuration is
taken back before the cycle ends, and so is what it subscribed to.
"""

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import trio
from nacl.signing import SigningKey

from chaos.campaign.cycle import Cycle
from chaos.config_file import Sections, with_settings
from chaos.faults.copies import lose
from chaos.faults.probes import OK, back, several

SETTINGS: Final[Sections] = {
    "storage": {
        "log_bytes_max": 1_048_576,
        "log_bytes_min": 0,
        "maintenance_interval_secs": 0.1,
    },
    "subscriptions": {"allow_loopback_webhooks": True},
}
_KEPT: Final = frozenset({"keys", "config.toml"})
_CUT_S: Final = 20.0
_FLOOR: Final = "mnemesh_log_floor_ops"
_BULKS: Final = 6
_BULK_ITEMS: Final = 50
_AGENT: Final = "ai:hooked"


# --- settings ---------------------------------------------------------------------------------


@asynccontextmanager
async def set_up(cycle: Cycle) -> AsyncIterator[None]:
    """A mesh whose log is soon cut, and whose webhooks may lead to this machine."""
    files = [node.data_dir / "config.toml" for node in cycle.mesh.nodes]
    before = [file.read_text() for file in files]
    after = {node: with_settings(text, SETTINGS) for node, text in enumerate(before)}
    try:
        await _restart_all(cycle, after)
        yield
    finally:
        for file, text in zip(files, before, strict=True):
            file.write_text(text)
    await _restart_all(cycle, {})


async def _restart_all(cycle: Cycle, configs: Mapping[int, str]) -> None:
    for node in cycle.mesh.nodes:
        node.clear_orders()
    cycle.stage.live.clear()
    await cycle.mesh.kill(*cycle.everyone)
    for at, text in configs.items():
        (cycle.mesh.nodes[at].data_dir / "config.toml").write_text(text)
    await back(cycle, *cycle.everyone)
    await cycle.mesh.until_linked()


# --- lists, signatures, webhooks ----------------------------------------------------------------


async def touch_list(cycle: Cycle, node: int) -> None:
    """Edit a node's allowlist in a way that changes nothing."""
    path = cycle.mesh.nodes[node].allowlist
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    path.write_text("\n".join([*lines, f"# {cycle.rng.getrandbits(32):08x}", ""]))
    await cycle.until(lambda: not cycle.mesh.nodes[node].runs, seconds=1)


async def sign(cycle: Cycle, node: int) -> None:
    """Write as an agent that has bound a key; the node remembers the nonce."""
    key = SigningKey(cycle.rng.randbytes(32))
    name = f"ai:{cycle.rng.getrandbits(48):012x}"
    public = base64.b64encode(bytes(key.verify_key)).decode()
    body = {"agent_id": name, "agent_type": "system", "public_key": public}
    ask = cycle.mesh.client.ask
    await ask(node, "POST", "/agents", body, headers={"x-agent-id": name}, timeout_s=3)
    memory = {"title": name, "content": "signed", "namespace": cycle.stage.namespace + "/probe"}
    data = json.dumps(memory).encode()
    nonce = f"{cycle.rng.getrandbits(64):016x}"
    told = f"POST\n/api/v1/memories\n\n{hashlib.sha256(data).hexdigest()}\n{nonce}"
    signature = base64.b64encode(key.sign(told.encode()).signature).decode()
    headers = {
        "x-agent-id": name,
        "x-agent-nonce": nonce,
        "x-agent-sig": f"ed25519={signature}",
    }
    await ask(node, "POST", "/memories", data, headers=headers, timeout_s=3)


async def hook(cycle: Cycle, node: int) -> None:
    """Subscribe a receiver that takes everything, and write."""
    place = cycle.mesh.nodes[node].place
    ask = cycle.mesh.client.ask
    with place.entered():
        listener = trio.socket.socket()
    await listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    port = listener.getsockname()[1]
    body = {"url": f"http://127.0.0.1:{port}/hook", "agent_id": _AGENT}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, _take, [trio.SocketListener(listener)])
        await ask(node, "POST", "/subscriptions", body, timeout_s=3)
        memory = {"title": f"hook {cycle.rng.getrandbits(48):012x}", "content": "told"}
        memory["namespace"] = cycle.stage.namespace + "/probe"
        await ask(node, "POST", "/memories", memory, timeout_s=3)
        await cycle.until(lambda: not cycle.mesh.nodes[node].runs, seconds=3)
        nursery.cancel_scope.cancel()
    other = cycle.others(node)[0]
    told = await ask(other, "GET", "/subscriptions", timeout_s=3)
    for row in _rows(told.body, "subscriptions"):
        await ask(other, "DELETE", f"/subscriptions/{row['id']}", timeout_s=3)


async def _take(stream: trio.SocketStream) -> None:
    try:
        await stream.receive_some(65_536)
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    except trio.BrokenResourceError:
        return
    finally:
        stream.socket.close()


def _rows(body: Any, name: str) -> list[dict[str, Any]]:
    return list(body.get(name, ())) if isinstance(body, dict) else []


# --- logs that are cut, disks that are lost -----------------------------------------------------


async def fill(cycle: Cycle, node: int) -> None:
    """Write more than a short log keeps, on another node."""
    other = cycle.rng.choice(cycle.others(node))
    mark = f"{cycle.rng.getrandbits(48):012x}"
    for bulk in range(_BULKS):
        items = [
            {
                "title": f"{mark} {bulk} {number}",
                "content": "filler " * 600,
                "namespace": f"{cycle.stage.namespace}/filler",
            }
            for number in range(_BULK_ITEMS)
        ]
        await cycle.mesh.client.ask(other, "POST", "/memories/bulk", items, timeout_s=8)


async def _until_cut(cycle: Cycle, nodes: list[int]) -> None:
    with trio.move_on_after(_CUT_S):
        for node in nodes:
            while not await _floor(cycle, node):
                await trio.sleep(0.05)


async def _floor(cycle: Cycle, node: int) -> float:
    answer = await cycle.mesh.client.ask(node, "GET", "/metrics", timeout_s=3)
    text = answer.body if answer.status == OK and isinstance(answer.body, str) else ""
    lines = [line for line in text.splitlines() if line.startswith(_FLOOR)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def lose_disk_and_start(cycle: Cycle, node: int) -> None:
    """Lose a node's disk when the logs of the others no longer reach back."""
    await before_coming_back(cycle, node, empty=True)
    process = cycle.mesh.nodes[node]
    process.start()
    await cycle.until(lambda: not process.runs, seconds=_CUT_S)


async def before_coming_back(cycle: Cycle, node: int, *, empty: bool) -> None:
    """End a node, and let it have something to be helped with."""
    if empty:
        await fill(cycle, node)
        await _until_cut(cycle, cycle.others(node))
    cycle.stage.live.discard(node)
    await cycle.mesh.kill(node)
    if empty:
        await trio.to_thread.run_sync(lose, cycle.mesh.nodes[node].data_dir, _KEPT)
    else:
        await several(cycle, cycle.others(node)[0], "behind")


async def come_back_behind(cycle: Cycle, node: int) -> None:
    """Start a node that has missed something."""
    cycle.mesh.nodes[node].start()


async def come_back_empty(cycle: Cycle, node: int) -> None:
    """Start a node that has lost its disk."""
    cycle.mesh.nodes[node].start()
