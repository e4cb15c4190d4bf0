"""A command that is run as a hook: its pipes, its environment, its end."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from node.errors import ConfigError, LooseModes
from node.hooks.command import OUT_BYTES_MAX
from node.hooks.running import Runner
from node.hooks.verdict import Outcome, Verdict
from tests.integration.rig import until
from tests.unit.hooks.hooked import declared, script, surroundings


async def ran(folder: Path, text: str, *args: str, **further: Any) -> Verdict:
    command = (script(folder, text), *args)
    environ = further.pop("environ", {"PATH": os.environ["PATH"]})
    hook = declared("check", "before_store", command=command, **further)
    return await Runner(hook, surroundings(**environ)).run({"event": "before_store", "n": 1})


async def test_the_document_is_on_its_stdin(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    assert (await ran(tmp_path, f"cat > {seen}")).outcome is Outcome.OK
    document = json.loads(seen.read_text())
    assert document["hook"] == "check"
    assert document["node"] == {"node_id": "ab" * 32, "name": "here"}
    assert (document["event"], document["n"]) == ("before_store", 1)


async def test_it_gets_no_variable_but_the_promised_ones(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    environ = {"PATH": os.environ["PATH"], "MNEMESH_SECRET": "s", "WANTED": "w", "OTHER": "o"}
    await ran(tmp_path, f"env > {seen}", environ=environ, environment=("WANTED",))
    names = {line.partition("=")[0] for line in seen.read_text().splitlines()}
    assert {"PATH", "WANTED", "MNEMESH_HOOK", "MNEMESH_HOOK_EVENT"} <= names
    assert not names & {"MNEMESH_SECRET", "OTHER"}


async def test_a_document_that_cannot_be_written_is_a_failure_and_no_defect_of_the_node() -> None:
    hook = declared("check", "after_store")
    verdict = await Runner(hook, surroundings()).run({"event": "memory_store", "why": "\udcff"})
    assert verdict.outcome is Outcome.FAILED


async def test_no_shell_reads_its_arguments(tmp_path: Path) -> None:
    seen, trap = tmp_path / "seen", tmp_path / "trap"
    argument = f"$(touch {trap}); `touch {trap}` && x"
    await ran(tmp_path, f'printf %s "$1" > {seen}', argument)
    assert seen.read_text() == argument
    assert not trap.exists()


async def test_a_no_has_its_reason(tmp_path: Path) -> None:
    verdict = await ran(tmp_path, "echo not today; exit 1")
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUSED, "not today")


async def test_every_run_is_counted_by_how_it_ended_and_timed(tmp_path: Path) -> None:
    around = surroundings(PATH=os.environ["PATH"])
    for text in ("exit 0", "echo no; exit 1", "exit 3"):
        hook = declared("check", "before_store", command=(script(tmp_path, text),))
        await Runner(hook, around).run({"event": "before_store"})
    page = around.metrics.render(process=False).decode()
    for outcome in ("ok", "refused", "failed"):
        assert f'hook_runs_total{{hook="check",outcome="{outcome}"}} 1.0' in page
    assert 'hook_run_seconds_count{hook="check"} 3.0' in page


async def test_a_command_that_does_not_read_is_no_trouble(tmp_path: Path) -> None:
    hook = declared("check", "before_store", command=(script(tmp_path, "exit 0"),))
    verdict = await Runner(hook, surroundings()).run({"event": "e", "much": "x" * 1_000_000})
    assert verdict.outcome is Outcome.OK


def test_the_loop_of_a_node_runs_what_ends_before_it_is_fed(tmp_path: Path) -> None:
    command = (script(tmp_path, "exit 0"),)

    async def often() -> set[Outcome]:
        hook = declared("check", "before_store", command=command)
        runner = Runner(hook, surroundings(PATH=os.environ["PATH"]))
        document = {"event": "before_store", "much": "x" * 100_000}
        return {(await runner.run(document)).outcome for _ in range(15)}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(often()) == {Outcome.OK}


async def test_at_its_deadline_all_of_it_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = f"sleep 60 & echo $! > {pids}; echo $$ >> {pids}; trap '' TERM INT; sleep 60"
    began = time.monotonic()
    verdict = await ran(tmp_path, text, timeout_ms=300)
    assert verdict.outcome is Outcome.TIMEOUT
    assert time.monotonic() - began < 5
    for pid in map(int, pids.read_text().split()):
        until(lambda pid=pid: not alive(pid), f"process {pid} ends", 5)


def alive(pid: int) -> bool:
    """Whether a process lives; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_what_it_leaves_behind_with_its_pipe_open_is_not_waited_for(tmp_path: Path) -> None:
    verdict = await ran(tmp_path, "sleep 60 & exit 0", timeout_ms=300)
    assert verdict.outcome is Outcome.TIMEOUT


async def test_who_says_too_much_has_said_nothing(tmp_path: Path) -> None:
    verdict = await ran(tmp_path, f"yes | head -c {OUT_BYTES_MAX + 1}; exit 1", timeout_ms=5000)
    assert verdict.outcome is Outcome.FAILED
    assert "bytes" in verdict.why


async def test_waiting_for_a_turn_counts(tmp_path: Path) -> None:
    command = (script(tmp_path, "sleep 0.4"),)
    hook = declared("check", "before_store", command=command, at_once_max=1, timeout_ms=600)
    runner = Runner(hook, surroundings(PATH=os.environ["PATH"]))
    both = await asyncio.gather(runner.run({}), runner.run({}))
    assert sorted(one.outcome for one in both) == [Outcome.OK, Outcome.TIMEOUT]


def test_what_cannot_be_run_is_refused_before(tmp_path: Path) -> None:
    hook = declared("check", "before_store", command=(str(tmp_path / "none"),))
    with pytest.raises(ConfigError, match="no such program"):
        Runner(hook, surroundings())


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    secret.chmod(0o644)
    further: dict[str, Any] = {"command": (), "url": "https://example.org/", "secret_file": secret}
    hook = declared("check", "before_store", **further)
    with pytest.raises(LooseModes):
        Runner(hook, surroundings())
    secret.chmod(0o600)
    Runner(hook, surroundings())


@pytest.mark.parametrize("where", ["the program", "its folder", "behind a link"])
def test_a_program_that_everybody_can_change_is_not_run(tmp_path: Path, where: str) -> None:
    folder = tmp_path / "hooks"
    folder.mkdir()
    path = Path(script(folder, "exit 0"))
    named = tmp_path / "link" if where == "behind a link" else path
    if named != path:
        named.symlink_to(path)
    loose = folder if where == "its folder" else path
    Runner(declared("check", "before_store", command=(str(named),)), surroundings())
    loose.chmod(0o777)
    with pytest.raises(LooseModes, match="every user") as refused:
        Runner(declared("check", "before_store", command=(str(named),)), surroundings())
    assert str(loose) in refused.value.fix
    folder.chmod(0o1777)  # as /tmp: nobody can take away what is another's
    path.chmod(0o755)
    Runner(declared("check", "before_store", command=(str(named),)), surroundings())
