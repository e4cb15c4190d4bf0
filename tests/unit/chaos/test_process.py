"""A node as a process: started as an operator would, ended by its own pid, its own end noticed."""

import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from chaos.certs import Pair
from chaos.network.places import Place
from chaos.process import NodeEndedError, NodeProcess

WAITS = "import signal, time; print('up', flush=True); time.sleep(600)"
DEAF = (
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
)
DECENT = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\nprint('up', flush=True)\n"
    "time.sleep(600)"
)
DIES = "import os, sys; print('up'); print('the disk is gone'); sys.stdout.flush(); os._exit(7)"
ENVIRONMENT = (
    "import os, time\n"
    "print(sorted(k for k in os.environ if k.startswith(('MNEMESH_', 'XDG_', 'OWN'))))\n"
    "print('up', flush=True)\ntime.sleep(600)"
)


def node(tmp_path: Path, code: str) -> NodeProcess:
    (tmp_path / "n1").mkdir()
    files = Pair(certificate=tmp_path / "c", key=tmp_path / "k", fingerprint="f")
    return NodeProcess(
        place=Place(name="n1", host="127.0.0.1", port=1, agent_port=2),
        data_dir=tmp_path / "n1",
        pair=files,
        allowlist=tmp_path / "allowed",
        flags=["--quorum-writes", "2"],
        program=(sys.executable, "-c", code),
    )


async def until(holds: Callable[[], bool]) -> None:
    deadline = trio.current_time() + 20
    while not holds():
        assert trio.current_time() < deadline
        await trio.sleep(0.01)


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def play(one: NodeProcess, story: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        try:
            one.start()
            with trio.fail_after(20):
                await until(lambda: "up" in one.log.read_text())
                await story()
        finally:
            if one.process is not None:
                one.process.kill()
                one.process.wait()

    trio.run(run)


def test_the_command_line_is_that_of_an_operator(tmp_path: Path) -> None:
    words = node(tmp_path, WAITS).command()
    text = " ".join(words)
    assert f"serve --data-dir {tmp_path}/n1 --name n1 --host 127.0.0.1 --port 1" in text
    assert "--agent-listen 127.0.0.1:2" in text
    assert f"--mtls-allowlist {tmp_path}/allowed --quorum-writes 2" in text
    assert "--pdeathsig KILL" in text or "setpriv" not in text


def test_a_kill_is_seen_by_its_signal_and_is_no_death_of_its_own(tmp_path: Path) -> None:
    one = node(tmp_path, WAITS)

    async def story() -> None:
        pid = one.pid
        with pytest.raises(NodeEndedError, match="n1 runs already"):
            one.start()
        await one.kill()
        assert not one.runs
        assert not is_there(pid)
        one.note_death()
        assert one.deaths == []
        with pytest.raises(NodeEndedError, match="n1 does not run"):
            _ = one.pid
        one.start()
        assert one.pid != pid
        await one.kill()
        assert await one.ended() == 0, "nothing to wait for"

    play(one, story)


def test_it_ends_decently_when_it_may(tmp_path: Path) -> None:
    one = node(tmp_path, DECENT)

    async def story() -> None:
        one.pause()
        one.resume()
        assert await one.stop() == 3

    play(one, story)


def test_who_does_not_end_in_time_is_killed_and_said_so(tmp_path: Path) -> None:
    one = node(tmp_path, DEAF)

    async def story() -> None:
        pid = one.pid
        one.signal(signal.SIGTERM)
        with pytest.raises(NodeEndedError, match=r"n1 did not end within 0.1 s: up"):
            await one.ended(0.1)
        assert not is_there(pid)

    play(one, story)


def test_an_end_of_its_own_is_noted_with_its_last_words(tmp_path: Path) -> None:
    one = node(tmp_path, DIES)

    async def story() -> None:
        await until(lambda: not one.runs)
        one.note_death()
        one.note_death()
        assert one.deaths == ["n1 ended with 7: up\nthe disk is gone"]
        assert one.process is None

    play(one, story)


def test_an_end_of_its_own_is_noted_by_a_start_too(tmp_path: Path) -> None:
    one = node(tmp_path, DIES)

    async def story() -> None:
        await until(lambda: not one.runs)
        one.start()
        assert len(one.deaths) == 1

    play(one, story)


def test_of_the_environment_a_node_gets_its_own_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNEMESH_PORT", "9")
    monkeypatch.setenv("XDG_DATA_HOME", "/x")
    one = node(tmp_path, ENVIRONMENT)
    one.environment["OWN"] = "1"

    async def story() -> None:
        assert one.log.read_text().splitlines()[0] == "['MNEMESH_FAULTS', 'OWN']"
        assert one.resident_bytes() > 1_000_000

    play(one, story)


def test_orders_are_whole_files_and_a_new_one_takes_back_the_proof_of_the_old(
    tmp_path: Path,
) -> None:
    one = node(tmp_path, WAITS)
    one.order("commit", "eio after 3")
    assert (one.orders / "commit").read_text() == "eio after 3\n"
    assert not one.fired("commit")
    (one.orders / "commit").rename(one.orders / "commit.fired")
    assert one.fired("commit")
    one.order("commit", "crash")
    assert not one.fired("commit")
    one.clear_orders()
    assert list(one.orders.iterdir()) == []
    one.clear_orders()


def test_the_tail_of_a_log_is_short(tmp_path: Path) -> None:
    one = node(tmp_path, WAITS)
    assert one.tail() == "(no log)"
    one.log.write_text("".join(f"{number} {'x' * 1000}\n" for number in range(50)))
    lines = one.tail().splitlines()
    assert len(lines) == 6
    assert lines[-1].startswith("49 ")
    assert max(map(len, lines)) == 300
