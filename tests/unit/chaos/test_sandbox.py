"""What a machine gives is tried, not guessed; where it gives no room, nothing was started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos import cli, sandbox
from chaos.sandbox import Means, is_inside, libc_call, means, play_inside, with_system_tools


def test_who_is_not_the_first_process_is_not_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node of a campaign inherits the environment, and is not the room's first."""
    assert not is_inside()
    monkeypatch.setenv("MNEMESH_CHAOS_ROOM", "1")
    assert not is_inside()


def test_without_a_room_a_machine_has_no_means() -> None:
    assert means() == Means()


def test_where_there_is_no_unshare_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert play_inside([sys.executable, "-c", "raise SystemExit(5)"]) is None


def test_where_unshare_is_not_allowed_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert play_inside([sys.executable, "-c", "raise SystemExit(5)"]) is None


@pytest.mark.skipif(not sandbox._can_unshare(), reason="this machine gives no room")
@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(3)", 3),
        ("import os; assert os.getpid() == 1; raise SystemExit(4)", 4),
    ],
)
def test_the_code_of_the_first_process_is_that_of_the_room(code: str, ends: int) -> None:
    play = (
        "import sys; from chaos.sandbox import play_inside;"
        f"sys.exit(play_inside([sys.executable, '-c', {code!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", play], capture_output=True, check=False)
    assert done.returncode == ends, done.stderr


def test_the_c_library_says_why_it_says_no() -> None:
    with pytest.raises(OSError, match="setns"):
        libc_call("setns", -1, sandbox.CLONE_NEWNET)


def test_a_command_is_needed_and_help_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 2
    text = cli.parser().format_help()
    assert all(word in text for word in ("run", "list", "check", "report", "power", "maelstrom"))
    capsys.readouterr()


def test_a_room_finds_the_tools_of_the_system_whatever_shell_began_it() -> None:
    assert with_system_tools("/usr/bin:/bin") == "/usr/bin:/bin:/usr/sbin:/sbin"
    assert with_system_tools("/usr/sbin:/bin") == "/usr/sbin:/bin:/sbin"
    assert with_system_tools("") == "/usr/sbin:/sbin"
