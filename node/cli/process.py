"""Starting and ending node processes from outside.

Law: a process is known by the directory lock it holds, never by a remembered pid, so nobody
else's process is ever signalled. Each wait has a deadline.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from node.errors import Exit, NodeError, Refused
from node.facts import LastExit, ListenerFacts
from node.lock import Holder, find_holder
from node.paths import Paths

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 15.0
_STEP_SECONDS: Final = 0.02
_TAIL_BYTES: Final = 4000

T = TypeVar("T")


class StartFailed(NodeError):  # noqa: N818 -- says what happened, like its siblings
    """A background node ended, or said nothing, before it listened."""

    code = "start_failed"

    def __init__(self, what: str, *, why: str, fix: str, exit_code: int) -> None:
        super().__init__(what, why=why, fix=fix)
        try:
            self.exit_code = Exit(exit_code)  # type: ignore[misc]  # that of the child
        except ValueError:
            self.exit_code = Exit.ERROR  # type: ignore[misc]  # killed by a signal


def serve_command(arguments: Sequence[str]) -> list[str]:
    """The command line of a node process; works from any folder.

    `-P` keeps a folder named `node` in the working folder from being taken for this package.
    """
    return [sys.executable, "-P", "-m", "node", "serve", *arguments]


class Spawned:
    """A process that shall outlive us; not a `Popen`, which complains when it does.

    Attributes:
        pid: its id.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Exit code (negative: the signal that ended it), or None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code


def spawn(command: Sequence[str], paths: Paths) -> Spawned:
    """Start a node in a session of its own; its output goes to `node.log`.

    Raises:
        Refused: the log cannot be written.
    """
    try:
        paths.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(
            f"cannot write {paths.log}",
            why=error.strerror or str(error),
            fix="Give the data directory to this user",
        ) from error
    try:
        pid = os.posix_spawn(
            command[0],
            list(command),
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(log)
    return Spawned(pid)


def wait_listening(
    process: Spawned, paths: Paths, *, seconds: float = START_SECONDS
) -> ListenerFacts:
    """Wait until a node that was just started has opened its listeners.

    Raises:
        StartFailed: it ended first, or took too long.
    """

    def listening() -> ListenerFacts | None:
        facts = ListenerFacts.read(paths.facts)
        if facts is not None and facts.pid == process.pid:
            return facts
        code = process.poll()
        if code is not None:
            raise _ended(code, paths)
        return None

    facts = wait_for(listening, seconds)
    if facts is None:
        raise StartFailed(
            f"the node on {paths.data_dir} does not listen after {seconds:g} s",
            why=last_line(paths.log),
            fix=f"See {paths.log}; stop it with mnemesh stop --force",
            exit_code=Exit.ERROR,
        )
    return facts


def _ended(code: int, paths: Paths) -> StartFailed:
    last = LastExit.read(paths.last_exit)
    words = last.what if last is not None and last.what else last_line(paths.log)
    return StartFailed(
        f"the node on {paths.data_dir} ended with code {code} before it listened",
        why=words,
        fix=f"See {paths.log}",
        exit_code=code,
    )


def last_line(path: Path) -> str:
    """The last line of a log, or nothing."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def wait_for(poll: Callable[[], T | None], seconds: float) -> T | None:
    """Ask again and again until there is an answer or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        found = poll()
        if found is not None or time.monotonic() >= deadline:
            return found
        time.sleep(_STEP_SECONDS)


def signal_node(paths: Paths, number: signal.Signals) -> Holder | None:
    """Send a signal to whoever holds the data directory; returns it, or None.

    Raises:
        Refused: the process belongs to another user.
    """
    holder = find_holder(paths.lock)
    if holder is None or not holder.pid:
        return None
    try:
        os.kill(holder.pid, number)
    except ProcessLookupError:
        return None
    except PermissionError as error:
        raise Refused(
            f"cannot signal process {holder.pid}",
            why="it belongs to another user",
            fix="Run this as the user that runs the node",
        ) from error
    return holder


def wait_gone(paths: Paths, holder: Holder, seconds: float) -> bool:
    """Wait until that holder has let go of the data directory."""

    def gone() -> bool | None:
        now = find_holder(paths.lock)
        return True if now is None or now.pid != holder.pid else None

    return wait_for(gone, seconds) is not None


def stop_node(
    paths: Paths, *, force: bool, seconds: float = STOP_SECONDS, asked: bool = False
) -> int | None:
    """End the node on a data directory: SIGTERM, and after the wait SIGKILL if forced.

    Args:
        paths: of the node.
        force: whether to kill what does not stop in time.
        seconds: how long to wait.
        asked: SIGTERM was sent already; a second one would end it at once, drained or not.

    Returns:
        The pid that was ended, or None when nothing ran.

    Raises:
        NodeError: it is still there and `force` was not given.
    """
    holder = find_holder(paths.lock) if asked else signal_node(paths, signal.SIGTERM)
    if holder is None:
        return None
    if wait_gone(paths, holder, seconds):
        return holder.pid
    if not force:
        raise NodeError(
            f"process {holder.pid} still runs after {seconds:g} s",
            why="it did not finish what is in flight",
            fix="Wait, or end it at once with mnemesh stop --force; nothing acknowledged is lost",
        )
    signal_node(paths, signal.SIGKILL)
    wait_gone(paths, holder, seconds)
    return holder.pid
