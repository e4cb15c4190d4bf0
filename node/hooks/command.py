"""One run of a command: what it is given, how long it may take, how much it may say.

Law: no shell, ever. The command leads a session and a process group of its own; when it is not
done by its deadline, or says too much, the whole group is killed, and nobody waits for more of
it. It gets the environment that it was promised and no open file but its three pipes.
"""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, cast

OUT_BYTES_MAX: Final = 64 * 1024
_STDOUT: Final = 1
_REAPED_SECONDS: Final = 1.0


class CommandFailed(Exception):  # noqa: N818 - it says what happened
    """There is no exit code to go by; the text says why and quotes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A finished run.

    Attributes:
        code: exit code; negative is the signal that ended it.
        said: stdout.
        complained: stderr.
    """

    code: int
    said: bytes
    complained: bytes


class _Child(asyncio.SubprocessProtocol):
    """Collects what a process says; `over` is set when all of it has ended."""

    def __init__(self, over: asyncio.Future[None]) -> None:
        self.said: dict[int, bytearray] = {_STDOUT: bytearray(), 2: bytearray()}
        self._open = {_STDOUT, 2}
        self.exited = asyncio.Event()
        self._over = over

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep what it says, up to the limit."""
        kept = self.said[fd]
        kept += data
        if len(kept) > OUT_BYTES_MAX:
            self._end(CommandFailed(f"it said more than {OUT_BYTES_MAX} bytes"))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """A pipe is closed; that of stdin says nothing."""
        del exc
        self._open.discard(fd)
        self._settle()

    def process_exited(self) -> None:
        """It ended; what it started may still hold a pipe."""
        self.exited.set()
        self._settle()

    def _settle(self) -> None:
        if self.exited.is_set() and not self._open:
            self._end(None)

    def _end(self, error: CommandFailed | None) -> None:
        if self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)


async def run(
    command: Sequence[str], given: bytes, *, environment: Mapping[str, str], seconds: float
) -> Ran:
    """Run a command to its end.

    Args:
        command: program and arguments.
        given: its stdin.
        environment: all of its environment.
        seconds: longest time.

    Raises:
        CommandFailed: it cannot be run, or says too much.
        TimeoutError: it takes too long; it is killed.
    """
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    try:
        transport, child = await loop.subprocess_exec(
            lambda: _Child(over),
            *command,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise CommandFailed(f"it cannot be run: {reason}") from error
    try:
        _feed(cast("Any", transport.get_pipe_transport(0)), given)
        async with asyncio.timeout(seconds):
            await over
        code = transport.get_returncode()
        return Ran(
            code=-signal.SIGKILL if code is None else code,
            said=bytes(child.said[_STDOUT]),
            complained=bytes(child.said[2]),
        )
    finally:
        if not over.done() or over.cancelled() or over.exception() is not None:
            _kill(transport.get_pid())
        try:
            async with asyncio.timeout(_REAPED_SECONDS):
                await child.exited.wait()  # a process that was killed is gone at once
        except TimeoutError:
            pass
        finally:
            transport.close()


def _feed(stdin: Any, given: bytes) -> None:
    """Give a command its stdin; one that ended before it was fed did not want it."""
    with suppress(RuntimeError, OSError):
        stdin.write(given)
        stdin.close()  # once all of it is written


def _kill(group: int) -> None:
    """End what is left of a run; a group without members has no name any more."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
