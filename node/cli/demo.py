"""`mnemesh demo`: a real mesh, real text, a real murder, and an accounting at the end.

Law: the last line on stdout is one JSON object, and the exit code is 0 only when every write
that was confirmed is on every node and all nodes are equal. Whatever happens, Ctrl-C included,
the processes it started are ended by their ids, and the folder it made is removed.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from node.cli import demo_acts as acts
from node.cli.demo_agents import Agents
from node.cli.demo_ledger import Ledger, Verdict
from node.cli.demo_mesh import NODES, DemoMesh
from node.cli.demo_stage import Stage
from node.cli.demo_text import DATA_VARIABLE, around, read_texts
from node.errors import Exit, NodeError, UsageError
from transport.errors import TransportError

_INTERRUPTED: Final = 130
_ROOT: Final = Path(__file__).parents[2]


def run(*, directory: Path | None, as_json: bool) -> int:
    """Tell the whole story.

    Args:
        directory: where to work; kept. A temporary folder that is removed when None.
        as_json: put nothing but the result on stdout.

    Returns:
        The exit code: 0 only when every promise was kept.
    """
    stage = Stage(as_json=as_json)
    _forget_settings()
    with _folder(directory) as folder, _processes() as mesh:
        texts = read_texts(_ROOT, os.environ)
        story = acts.Story(mesh, Agents(Ledger()), stage, texts, around(texts.turns))
        try:
            with asyncio.Runner() as runner:
                verdict = runner.run(_tell(story, folder))
            result = _result(story, verdict)
        except (KeyboardInterrupt, asyncio.CancelledError):
            stage.say("Interrupted; ending the nodes.")
            return _end({"demo": "interrupted", "nodes": NODES}, _INTERRUPTED)
        except (NodeError, TransportError, ExceptionGroup, OSError) as error:
            stage.say(f"It did not go as it should: {_words(error)}")
            for node in mesh.nodes:
                stage.say(f"log of {node.name}: {_tail(node.paths.log)}")
            failed = {"demo": "failed", "nodes": NODES, "error": _words(error)}
            return _end(failed, int(Exit.ERROR))
    # Everything is cleaned up when the last line is printed.
    return _end(result, int(Exit.OK if result["demo"] == "ok" else Exit.ERROR))


async def _tell(story: acts.Story, folder: Path) -> Verdict:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 -- a coroutine that runs has a task
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    with story.stage.open():
        async with story.agents, asyncio.TaskGroup() as group:
            watching = group.create_task(story.watch())
            await acts.found(story, folder)
            await acts.write_everywhere(story)
            await acts.edit_across_a_cut(story)
            await acts.kill_under_load(story)
            await acts.fall_short(story)
            await acts.refuse_a_stranger(story, folder)
            await acts.come_back(story)
            verdict = await acts.judge_all(story)
            watching.cancel()
    return verdict


def _result(story: acts.Story, verdict: Verdict) -> dict[str, Any]:
    promised = len(story.agents.ledger.acknowledged)
    good = promised > 0 and not verdict.lost and verdict.converged
    return {
        "demo": "ok" if good else "failed",
        "nodes": NODES,
        "acknowledged": promised,
        "lost": len(verdict.lost),
        "converged": verdict.converged,
        "catchup_ops": story.catchup_ops,
        "catchup_seconds": story.catchup_seconds,
    }


def _end(result: dict[str, Any], code: int) -> int:
    sys.stdout.write(json.dumps(result, separators=(",", ":")) + "\n")
    sys.stdout.flush()
    return code


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def _tail(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return "none"
    return lines[-1][:300] if lines else "empty"


def _forget_settings() -> None:
    """The nodes of the demonstration are set by their own files alone."""
    for name in [name for name in os.environ if name.startswith("MNEMESH_")]:
        if name != DATA_VARIABLE:
            del os.environ[name]


@contextlib.contextmanager
def _folder(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(f"{directory} is not an empty folder", fix="Name a new one")
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield directory.absolute()
        return
    made = Path(tempfile.mkdtemp(prefix="mnemesh-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def _processes() -> Iterator[DemoMesh]:
    mesh = DemoMesh()
    try:
        yield mesh
    finally:
        # A second Ctrl-C must not leave processes behind.
        before = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)}
        mesh.end()
        for number, handler in before.items():
            signal.signal(number, handler)
