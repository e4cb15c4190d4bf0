"""`mnemesh hooks`: which hooks are declared, and what one of them says.

Law: the configuration file is read as `serve` would read it; no node is needed and none is
changed. Nothing of a secret is shown.
"""

import os
import socket
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from node.cli.options import AsJson, ConfigFile, DataDir, KeyDir, paths_of
from node.cli.output import Output, table
from node.errors import Exit, NodeError, UsageError
from node.hooks.offline import known_event, runner_of, tell_hooks, try_hook
from node.hooks.verdict import Outcome
from node.paths import Paths
from node.settings import Settings, load_settings
from node.settings.hook_tables import Hook

_EXITS = {
    Outcome.OK: Exit.OK,
    Outcome.REFUSED: Exit.REFUSED,
    Outcome.FAILED: Exit.ERROR,
    Outcome.TIMEOUT: Exit.ERROR,
}


def _settings(data_dir: DataDir, key_dir: KeyDir, config: ConfigFile) -> Settings:
    return load_settings(
        paths_of(data_dir, key_dir, config),
        environ=os.environ,
        hostname=socket.gethostname().split(".")[0] or "node",
        config_required=config is not None,
    )


def tell(out: Output, paths: Paths, event: str, about: Mapping[str, Any]) -> None:
    """Tell the hooks of a configuration what a command did; nothing of it stops the command."""
    try:
        settings = load_settings(paths, environ=os.environ)
        now_ms = time.time_ns() // 1_000_000
        tell_hooks(settings, event, about, environ=os.environ, now_ms=now_ms, say=out.say)
    except NodeError as error:
        out.say(f"no hook was told: {error}")


def list_hooks(
    *,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the hooks of the configuration, and whether they can be run."""
    settings = _settings(data_dir, key_dir, config)
    rows = [_row(hook, settings) for hook in settings.hooks]
    shown = [
        (r["name"], ", ".join(r["events"]), r["runs"], r["timeout_ms"], r["on_failure"], r["state"])
        for r in rows
    ]
    head = ("NAME", "EVENTS", "RUNS", "MS", "ON FAILURE", "STATE")
    people = [table(head, shown)] if rows else ["No hooks are declared."]
    Output(as_json=as_json).answer({"hooks": rows}, people)


def _row(hook: Hook, settings: Settings) -> dict[str, Any]:
    declared = hook.table
    state = "ready"
    try:
        runner_of(hook, settings, os.environ, 0)
    except (UsageError, OSError) as error:
        state = str(error)
    return {
        "name": hook.name,
        "events": sorted(hook.events),
        "runs": declared.url or declared.command[0],
        "timeout_ms": declared.timeout_ms,
        "on_failure": declared.on_failure,
        "content": declared.content,
        "state": state,
    }


def try_hooks(
    event: Annotated[str, typer.Argument(help="Event, as before_store or after_delete.")],
    *,
    hook: Annotated[
        str | None, typer.Option("--hook", help="Only this one.", show_default=False)
    ] = None,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Run the hooks of an event once, with a sample, and show what they say.

    The exit code is 0 when all agreed, 4 when one refused, 1 when one failed.
    """
    settings = _settings(data_dir, key_dir, config)
    events = known_event(event)
    chosen = _chosen(settings, events, hook, event)
    now_ms = time.time_ns() // 1_000_000
    rows: list[dict[str, Any]] = []
    for one in chosen:
        asked = next(name for name in events if name in one.events)
        verdict, complained = try_hook(one, asked, settings, os.environ, now_ms)
        rows.append(
            {
                "hook": one.name,
                "event": asked,
                "outcome": verdict.outcome.value,
                "reason": verdict.reason,
                "why": verdict.why,
                "stderr": complained.decode(errors="replace"),
            }
        )
    shown = [(r["hook"], r["event"], r["outcome"], r["reason"] or r["why"]) for r in rows]
    out = Output(as_json=as_json)
    out.answer({"runs": rows}, [table(("HOOK", "EVENT", "OUTCOME", "SAID"), shown)])
    for row in rows:
        if row["stderr"]:
            out.say(f"{row['hook']} wrote to stderr: {row['stderr'].strip()}")
    worst = [code for code in (Exit.ERROR, Exit.REFUSED) if _any(rows, code)]
    if worst:
        raise typer.Exit(int(worst[0]))


def _any(rows: list[dict[str, Any]], code: Exit) -> bool:
    return any(_EXITS[Outcome(row["outcome"])] is code for row in rows)


def _chosen(
    settings: Settings, events: tuple[str, ...], name: str | None, asked: str
) -> list[Hook]:
    """The hooks to run.

    Raises:
        UsageError: none is declared for that.
    """
    known = [one.name for one in settings.hooks]
    if name is not None and name not in known:
        raise UsageError(
            f"there is no hook {name!r}", fix="Declared are: " + (", ".join(known) or "none")
        )
    chosen = [
        one
        for one in settings.hooks
        if name in (None, one.name) and any(event in one.events for event in events)
    ]
    if not chosen:
        raise UsageError(f"no hook waits for {asked}", fix="See which do: mnemesh hooks list")
    return chosen
