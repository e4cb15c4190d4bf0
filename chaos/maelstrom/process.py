"""One node: a process of any program that speaks the protocol.

Law: a process is ended by the handle it was started with and by nothing else, on every way
out. If this harness dies, the end of its pipe is the end of a node that keeps the protocol.
What it prints that is no message is written down as its fault, and it may go on.
"""

import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import trio

from chaos.maelstrom.message import MalformedError, Message, read

LINE_BYTES_MAX: Final = 64 * 2**20
_QUEUE_MESSAGES_MAX: Final = 100_000
_READ_BYTES: Final = 256 * 1024
_TAIL_LINES: Final = 32
_FAULTS_MAX: Final = 100
_GRACE_S: Final = 2.0


class NodeProcess:
    """A running node.

    Args:
        name: its id in the network.
        command: program and arguments.
        send: takes what it says.

    Attributes:
        faults: what it did against the protocol, for people.
        tail: its last words on standard error.
        gone: set when it has ended.
    """

    def __init__(self, name: str, command: Sequence[str], send: Callable[[Message], None]) -> None:
        self.name = name
        self.faults: list[str] = []
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._command, self._send = list(command), send
        self._into, self._queue = trio.open_memory_channel[bytes](_QUEUE_MESSAGES_MAX)
        self._ended = False
        self.gone = trio.Event()

    def deliver(self, message: Message) -> None:
        """Give it a message; one that it does not read for long is a fault of its own."""
        try:
            self._into.send_nowait(message.line)
        except trio.WouldBlock:
            self._fault("does not read what it is sent")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it is gone, which is reported where it ended

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Play the process until cancelled.

        Raises:
            OSError: the program cannot be started.
        """
        process = await trio.lowlevel.open_process(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            task_status.started()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, process)
                nursery.start_soon(self._say, process)
                nursery.start_soon(self._read, process)
                status = await process.wait()
                self.gone.set()
                if not self._ended:
                    self._fault(f"ended by itself with {status}")
        finally:
            with trio.CancelScope(shield=True):
                await self._end(process)

    def ending(self) -> None:
        """From now on its end is no fault."""
        self._ended = True

    async def _end(self, process: trio.Process) -> None:
        """First by the end of its input, then by force."""
        if process.stdin is not None:
            await process.stdin.aclose()
        with trio.move_on_after(_GRACE_S):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                await stream.aclose()

    async def _write(self, process: trio.Process) -> None:
        assert process.stdin is not None  # noqa: S101 - it was asked for above
        try:
            async for line in self._queue:
                await process.stdin.send_all(line)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def _read(self, process: trio.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        rest = b""
        while data := await process.stdout.receive_some(_READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._said(line)
            if len(rest) > LINE_BYTES_MAX:
                self._fault(f"said a line of more than {LINE_BYTES_MAX} bytes")
                return

    def _said(self, line: bytes) -> None:
        try:
            message = read(line)
        except MalformedError as error:
            self._fault(str(error))
            return
        if message.src != self.name:
            self._fault(f"spoke as {message.src[:40]!r}")
            return
        self._send(message)

    async def _say(self, process: trio.Process) -> None:
        assert process.stderr is not None  # noqa: S101 - it was asked for above
        rest = b""
        while data := await process.stderr.receive_some(_READ_BYTES):
            *lines, rest = (rest[-_READ_BYTES:] + data).split(b"\n")
            self.tail.extend(line.decode("utf-8", "replace") for line in lines)

    def _fault(self, what: str) -> None:
        if len(self.faults) < _FAULTS_MAX:
            self.faults.append(f"{self.name} {what}")
