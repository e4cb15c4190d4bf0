"""Hooks without a node: tried by hand, and told of what commands do."""

import json
from pathlib import Path

import pytest

from node.errors import ConfigError
from node.events.moments import BACKUP_FAILED, RESTORED
from node.events.names import TABLE
from node.hooks.offline import known_event, sample, tell_hooks, try_hook
from node.hooks.verdict import Outcome
from node.paths import resolve_paths
from node.settings import Settings, load_settings
from tests.unit.hooks.hooked import script


def settings_with(folder: Path, text: str, *on: str) -> Settings:
    program = script(folder, text)
    (folder / "config.toml").write_text(
        f"[hooks.one]\non = {json.dumps(on)}\ncommand = [{json.dumps(program)}]\n"
    )
    return load_settings(resolve_paths({}, folder, data_dir=folder), environ={})


@pytest.mark.parametrize("event", [BACKUP_FAILED, RESTORED])
def test_a_command_tells_the_hooks_that_want_to_know(tmp_path: Path, event: str) -> None:
    seen = tmp_path / "seen"
    settings = settings_with(tmp_path, f"cat > {seen}", event)
    said: list[str] = []
    tell_hooks(settings, event, {"path": "x"}, environ={}, now_ms=1, say=said.append)
    document = json.loads(seen.read_text())
    assert document["event"] == event
    assert document["items"] == [{"index": 0, "event": event, "path": "x"}]
    seen.unlink()
    tell_hooks(settings, "node_started", {}, environ={}, now_ms=1, say=said.append)
    assert not seen.exists()
    assert said == []


def test_a_hook_that_fails_is_said_and_stops_nothing(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "exit 3", RESTORED)
    said: list[str] = []
    tell_hooks(settings, RESTORED, {}, environ={}, now_ms=1, say=said.append)
    assert said == ["the hook one was not told: it ended with code 3"]
    (tmp_path / "hook.sh").unlink()
    tell_hooks(settings, RESTORED, {}, environ={}, now_ms=1, say=said.append)
    assert "no such program" in said[1]


def test_every_event_has_a_sample_that_a_hook_can_be_tried_with(tmp_path: Path) -> None:
    for row in TABLE:
        document = sample(row.name, content=True)
        assert (document["event"], document["test"]) == (row.name, True)
    settings = settings_with(tmp_path, "echo no; echo why >&2; exit 1", "before_store")
    verdict, complained = try_hook(settings.hooks[0], "before_store", settings, {}, 1)
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUSED, "no")
    assert complained == b"why\n"


def test_a_name_of_no_event_is_refused() -> None:
    assert known_event("after_delete") == ("memory_delete",)
    with pytest.raises(ConfigError):
        known_event("after_lunch")
