"""What happens to a real mesh is told to the hooks of the node where it happens, once.

One node has a hook for every event there is, a webhook that remembers; agents, operators and
peers do what there is to do. Events that only a broken disk or a wrong clock brings about are
fired by their lines in `tests/unit/hooks/test_hooks_every_event.py`.
"""

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from node.events.names import HOOK_NAMES
from node.settings.toml_file import read_config, write_config
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until, until_level, until_linked
from tests.integration.rig_commands import newcomer, told
from tests.integration.rig_hooks import Receiver, receiving

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WRITES = (
    *("write", "store", "update", "delete", "forget", "promote", "move", "archive", "restore"),
    *("consolidate", "import", "entity", "link", "unlink", "message", "decision", "policy_set"),
    *("agent_register", "role_grant", "member_add", "member_remove", "recall", "search"),
)
FIRED = {f"before_{name}" for name in WRITES} | {
    *("memory_store", "memory_update", "memory_delete", "memory_erased", "memory_promote"),
    *("memory_moved", "memory_archived", "memory_restored", "memory_consolidated"),
    *("entity_created", "entity_updated", "memory_link_created"),
    *("memory_link_invalidated", "memory_link_deleted", "message_received"),
    *("approval_requested", "approval_granted", "approval_rejected"),
    *("policy_set", "policy_cleared", "agent_registered", "role_granted", "mode_changed"),
    *("member_added", "member_removed", "member_ready"),
    *("memory_recalled", "memory_searched", "import_finished", "quorum_not_met"),
    "backup_done",
    *("node_started", "node_stopping", "peer_connected", "peer_disconnected", "write_refused"),
    *("settings_reloaded", "settings_refused"),
}
NEW: dict[str, Any] = {"title": "t", "content": "c"}
ANN = {"X_Agent_Id": "ann"}


def items(receiver: Receiver) -> list[dict[str, Any]]:
    """Every item of every document."""
    return [item for document in receiver.events for item in document["items"]]


def _about_memories(node: RealNode) -> None:
    one, two = node.store("one", agent_id="ann")["id"], node.store("two", agent_id="ann")["id"]
    node.tell("PUT", f"/memories/{one}", {"title": "other"}, **ANN)
    node.tell("POST", f"/memories/{one}/promote", {}, **ANN)
    node.tell("POST", f"/memories/{one}/promote", {"to_namespace": "team"}, **ANN)
    link = {"source_id": one, "target_id": two, "relation": "related_to"}
    node.tell("POST", "/links", link, **ANN)
    node.tell("POST", "/kg/invalidate", link, **ANN)
    node.tell("DELETE", "/links", link, **ANN)
    node.tell("POST", f"/archive/{two}", {}, **ANN)
    node.tell("POST", f"/archive/{two}/restore", {}, **ANN)
    node.tell("POST", "/entities", {"canonical_name": "Ada", "aliases": ["A"]}, **ANN)
    node.tell("POST", "/entities", {"canonical_name": "Ada", "aliases": ["B"]}, **ANN)
    parts = [node.store(f"part {n}", agent_id="ann")["id"] for n in range(2)]
    node.tell("POST", "/consolidate", {"ids": parts}, **ANN)
    node.tell("POST", "/import", {"memories": [{**NEW, "id": "imported-1"}]}, **ANN)
    node.tell("DELETE", f"/memories/{two}", None, **ANN)
    gone = node.store("gone", agent_id="ann")["id"]
    node.tell("POST", f"/memories/{gone}/forget", {"erase": True}, **ANN)
    node.tell("POST", "/notify", {"to": "bob", "subject": "s", "body": "b"}, **ANN)
    node.tell("POST", "/recall", {"context": "other"}, **ANN)
    node.tell("GET", "/search?q=other", **ANN)
    node.tell("POST", "/subscriptions", {"events": ["memory_store"]}, **ANN)


def _about_governance(node: RealNode) -> None:
    for agent in ("hana", "bob"):
        node.tell("POST", "/agents", {"agent_id": agent, "agent_type": "human"})
    kept = {"namespace": "kept", "governance": {"write": "approve"}}
    node.tell("POST", "/namespaces", kept, X_Agent_Id="ann")
    for vote in ("approve", "reject"):
        asked = node.tell("POST", "/memories", {**NEW, "namespace": "kept", "agent_id": "cat"})
        node.tell("POST", f"/pending/{asked['pending_id']}/{vote}", {}, X_Agent_Id="hana")
    node.tell("DELETE", "/namespaces?namespace=kept", X_Agent_Id="ann")
    alone = node.ask("POST", "/memories", {**NEW, "agent_id": "cat"}, X_Agent_Id="cat")
    assert alone.status < 400
    node.tell("POST", "/agents/bob/role", {"role": "agent-reader"}, **ANN)
    refused = node.ask("POST", "/memories", {**NEW, "agent_id": "bob"}, X_Agent_Id="bob")
    assert refused.status == 403


def _reloaded(node: RealNode, **permissions: str) -> None:
    """Write other settings and have them read."""
    config = node.data_dir / "config.toml"
    values = read_config(config)
    values["permissions"] = dict(permissions)
    write_config(config, values)
    assert node.process is not None
    node.process.send_signal(signal.SIGHUP)


def test_every_event_reaches_the_hook_that_waits_for_it(found: Found, tmp_path: Path) -> None:
    with receiving() as receiver:
        hook = {
            "on": list(HOOK_NAMES), "url": receiver.url, "loopback": True, "timeout_ms": 10_000,
            "content": True, "everywhere": True,
        }  # fmt: skip
        node, other = found(2, config={"hooks": {"all": hook}, "admin": {"agent_ids": ["ann"]}})
        until_level([node, other])
        here = bytes.fromhex(str(node.mesh()["node_id"])).hex()

        def seen(name: str) -> bool:
            return any(
                item["event"] == name
                for document in receiver.events
                if document["node"]["node_id"] == here
                for item in document["items"]
            )

        _about_memories(node)
        _about_governance(node)
        until(lambda: seen("role_granted"), "the log is told of")
        late = newcomer(tmp_path / "late", "late")
        try:
            for member in (node, other):
                told("node", "allow", late.fingerprint, "--name", "late", node=member)
                told("node", "allow", member.fingerprint, "--name", member.name, node=late)
            told("node", "join", node.url, "--fingerprint", node.fingerprint, node=late)
            late.start()
            until_linked([node, other, late])
            told("node", "remove", "late", "--yes", "--agent-id", "ann", node=node)
            until(lambda: seen("member_removed"), "the removal is told of")
        finally:
            late.clean_up()
        note = node.data_dir / "last_backup.json"
        note.write_text(json.dumps({"id": "b-1", "at_ms": 1, "path": "x"}))
        _reloaded(node, mode="advisory")
        until(lambda: seen("settings_reloaded"), "a reload is told of")
        until(lambda: seen("mode_changed"), "the mode is told of")
        _reloaded(node, mode="enforce")
        config = node.data_dir / "config.toml"
        good = config.read_text()
        config.write_text(good + "\n[nothing]\n")
        assert node.process is not None
        node.process.send_signal(signal.SIGHUP)
        until(lambda: seen("settings_refused"), "a refused reload is told of")
        config.write_text(good)
        other.stop()
        until(lambda: seen("peer_disconnected"), "the end of a link is told of")
        short = node.ask("POST", "/memories", {**NEW, "agent_id": "ann"})
        assert short.status == 503
        fired = FIRED - {"node_stopping"}
        until(lambda: all(map(seen, fired)), "all is told", seen=lambda: missing(fired, seen))
        assert node.stop() == 0
        assert seen("node_stopping")
        dots = Counter(
            (item["event"], item["dot"])
            for document in receiver.events
            if document["node"]["node_id"] == here
            for item in document["items"]
            if "dot" in item and not item["event"].startswith("approval_")
        )
        twice = [key for key, count in dots.items() if count > 1]
        assert not twice, "each is told once"


def missing(wanted: set[str], seen: Any) -> str:
    """The events that did not come."""
    return ", ".join(sorted(name for name in wanted if not seen(name)))
