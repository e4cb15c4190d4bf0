"""Orders for the failpoints of real nodes, and the deeds that make each point be hit.

Law: an order is a file, as any harness gives it; the node's word that it obeyed is the renamed
file. `DEEDS` names, for every point, what is done so that the first node hits it; a deed bears
that the node dies of it, and leaves all other nodes running.
"""

import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from node.failpoints import FIRED, VARIABLE
from node.store.folder import current_path
from node.store.schema import SCHEMA_VERSION
from node.store.version import stored_schema
from tests.integration.rig import RealNode, content_hash, until, until_level
from tests.integration.rig_hooks import Receiver
from tests.integration.rig_mesh import list_of
from tests.integration.rig_signed import bound, send
from tests.unit.store.rig_migrations import turn_back

SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "storage": {
        "log_bytes_max": 1 << 20,
        "log_bytes_min": 0,
        "maintenance_interval_secs": 0.1,
    },
    "subscriptions": {"allow_loopback_webhooks": True},
}
"""A mesh whose log is soon cut, and whose webhooks may lead to this machine."""

_GONE: Final = (OSError, EOFError)


def folder_of(node: RealNode) -> Path:
    """Where orders for a node are put."""
    return Path(node.environment[VARIABLE])


def arm(node: RealNode) -> None:
    """Make the points of a node alive from its next start on."""
    folder = node.data_dir.parent / f"{node.name}.faults"
    folder.mkdir(exist_ok=True)
    node.environment[VARIABLE] = str(folder)


def order(node: RealNode, point: str, text: str) -> None:
    """Order something, in one step: the node never sees half of it."""
    folder = folder_of(node)
    (folder / f"{point}{FIRED}").unlink(missing_ok=True)
    draft = folder / f".{point}"
    draft.write_text(text, encoding="ascii")
    draft.rename(folder / point)


def cancel(node: RealNode, point: str) -> None:
    """Take an order back."""
    (folder_of(node) / point).unlink(missing_ok=True)


def fired(node: RealNode, point: str) -> bool:
    """Whether the node carried an order out."""
    return (folder_of(node) / f"{point}{FIRED}").exists()


def until_fired(node: RealNode, point: str) -> None:
    until(lambda: fired(node, point), f"{node.name} hits {point}", seen=node.tail)


def ended(node: RealNode) -> int | None:
    """The exit code of a process that has ended; None while it runs."""
    return None if node.process is None else node.process.poll()


def revive(node: RealNode) -> None:
    """Start a node that ended."""
    if node.process is not None:
        node.process.wait(20)
        node.process = None
    node.start()


class Stage:
    """A mesh whose first node is to fail, and what was promised to its agents.

    Args:
        nodes: of the mesh; the first obeys orders.
        receiver: of webhooks.

    Attributes:
        promised: id -> content hash of what was acknowledged.
        serial: makes names that do not repeat.
    """

    def __init__(self, nodes: list[RealNode], receiver: Receiver) -> None:
        self.nodes = nodes
        self.receiver = receiver
        self.promised: dict[str, str] = {}
        self.serial = 0

    def write(self, node: RealNode, size: int = 10) -> None:
        """Store one memory; what is acknowledged is promised, all else may or may not be."""
        self.serial += 1
        memory = {"title": f"m{self.serial}", "content": "word " * size}
        with suppress(*_GONE):
            reply = node.ask("POST", "/memories", memory)
            if reply.status == 201:
                self.promised[reply.body["id"]] = content_hash(memory)

    def fill(self, node: RealNode) -> None:
        """Write more than a log keeps."""
        for _ in range(6):
            items = [{"title": f"f{n}", "content": "filler " * 600} for n in range(50)]
            with suppress(*_GONE):
                node.ask("POST", "/memories/bulk", items)

    def wait_end(self) -> None:
        """Wait until the first node has ended."""
        until(lambda: ended(self.nodes[0]) is not None, "it ends", seen=self.nodes[0].tail)


def _restart(stage: Stage) -> None:
    node = stage.nodes[0]
    if ended(node) is None:
        node.stop()
    node.process = None
    node.spawn()


def _migrate(stage: Stage) -> None:
    """The first starts over a store as an older program would have left it."""
    first = stage.nodes[0]
    if ended(first) is None:
        first.stop()
    first.process = None
    store = current_path(first.data_dir)
    assert store is not None
    if stored_schema(store) == SCHEMA_VERSION:
        turn_back(store)
    first.spawn()


def _write(stage: Stage) -> None:
    stage.write(stage.nodes[0])


def _be_written_to(stage: Stage) -> None:
    stage.write(stage.nodes[1])


def _serve_catchup(stage: Stage) -> None:
    """The third comes back behind, and the first alone can help it."""
    _, two, three = stage.nodes
    three.kill()
    stage.write(two)
    until_level([stage.nodes[0], two])
    two.kill()
    three.start()
    until(lambda: _settled(stage, three), "the third is helped or the first ended")
    two.start()


def _settled(stage: Stage, newcomer: RealNode) -> bool:
    first = stage.nodes[0]
    if ended(first) is not None:
        return True
    with suppress(*_GONE, AssertionError):
        return bool(first.mesh()["clock"] == newcomer.mesh()["clock"])
    return False


def _serve_snapshot(stage: Stage) -> None:
    """The third lost its disk, and the first alone can help it."""
    first, two, three = stage.nodes
    stage.fill(two)
    until(lambda: first.metric("mnemesh_log_floor_ops") > 0, "the first cut its log")
    until_level(stage.nodes)
    three.kill()
    two.kill()
    lose_disk(three)
    three.start()
    until(
        lambda: _settled(stage, three) or first.events("snapshot_failed"),
        "the third is helped, or not",
        seen=first.tail,
    )
    two.start()


def lose_disk(node: RealNode) -> None:
    """All that a node had but its keys and settings."""
    for path in node.data_dir.iterdir():
        if path.name not in {"keys", "config.toml"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _lose_disk_and_start(stage: Stage) -> None:
    first, two, three = stage.nodes
    stage.fill(two)
    until(lambda: all(n.metric("mnemesh_log_floor_ops") > 0 for n in (two, three)), "logs are cut")
    until_level(stage.nodes)
    first.kill()
    lose_disk(first)
    first.spawn()


def _fill(stage: Stage) -> None:
    stage.fill(stage.nodes[1])


def _compact(stage: Stage) -> None:
    with suppress(*_GONE):
        stage.nodes[0].ask("POST", "/compact", {})


def _touch_list(stage: Stage) -> None:
    with list_of(stage.nodes[0]).open("a", encoding="ascii") as file:
        file.write("# touched\n")


def _sign(stage: Stage) -> None:
    first = stage.nodes[0]
    stage.serial += 1
    name = f"ai:signer-{stage.serial}"
    agent = bound(first, name)
    with suppress(*_GONE):
        send(first, agent.memory(f"n{stage.serial}"))


def _register(stage: Stage) -> None:
    """Something that every node writes into its chain."""
    stage.serial += 1
    body = {"agent_id": f"ai:agent-{stage.serial}", "agent_type": "system"}
    stage.nodes[1].tell("POST", "/agents", body)


def _hook(stage: Stage) -> None:
    first = stage.nodes[0]
    if not first.tell("GET", "/subscriptions")["subscriptions"]:
        body = {"url": stage.receiver.url, "agent_id": "ai:me"}
        first.tell("POST", "/subscriptions", body)
    stage.write(first)


def _stop(stage: Stage) -> None:
    process = stage.nodes[0].process
    assert process is not None
    process.send_signal(signal.SIGTERM)


Deed = Callable[[Stage], None]
DEEDS: Final[Mapping[str, Deed]] = {
    "identity.read": _restart,
    "certificate.read": _restart,
    "store.open": _restart,
    "store.schema": _restart,
    "migration.snapshot": _migrate,
    "migration.copied": _migrate,
    "migration.saved": _migrate,
    "migration.step": _migrate,
    "migration.stepped": _migrate,
    "migration.proven": _migrate,
    "start.facts": _restart,
    "shutdown.drain": _stop,
    "shutdown.close": _stop,
    "write.minted": _write,
    "push.before_send": _write,
    "push.sent": _write,
    "store.commit.before": _write,
    "feed.append": _write,
    "store.commit.written": _write,
    "store.commit.synced": _write,
    "ack.before_send": _write,
    "answer.before": _write,
    "link.greeting": _restart,
    "push.received": _be_written_to,
    "bundle.taken": _be_written_to,
    "catchup.page": _serve_catchup,
    "snapshot.freeze": _serve_snapshot,
    "snapshot.chunk": _serve_snapshot,
    "snapshot.staged": _lose_disk_and_start,
    "snapshot.join": _lose_disk_and_start,
    "snapshot.adopt.before": _lose_disk_and_start,
    "snapshot.adopt.after": _lose_disk_and_start,
    "join.note": _restart,
    "log.truncate": _fill,
    "erase.copy": _compact,
    "erase.copied": _compact,
    "erase.built": _compact,
    "erase.swap": _compact,
    "erase.swapped": _compact,
    "audit.append": _register,
    "audit.countersign": _be_written_to,
    "allowlist.reload": _touch_list,
    "nonce.commit": _sign,
    "recall.commit": _write,
    "webhook.deliver": _hook,
    "webhook.delivered": _hook,
}
