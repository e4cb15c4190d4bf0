"""What happens to the bytes from one node to another.

Law: one flow for each ordered pair, whoever dialled. Bytes are never reordered within a
connection, for TCP does not either; what is cut is held and comes later, what is reset is gone.
Every fault is undone by `heal`.
"""

import random
from dataclasses import dataclass, field

import trio

CHUNK_BYTES = 64 * 1024
_QUEUE_CHUNKS = 64  # of a direction, before reading stops and TCP pushes back


class EndOfFlowError(Exception):
    """This connection is to be reset here."""


@dataclass(slots=True, kw_only=True)
class Flow:
    """The state of one direction between two nodes.

    Attributes:
        delay_s: added to every chunk.
        jitter_s: up to so much more, drawn for each chunk.
        bytes_per_s: most that passes; 0 is no bound.
        truncate_after: bytes after which connections are reset; None is never.
        repeat_next: the next chunk is sent twice.
        passed: bytes that went through, ever.
        held: whether nothing passes now.
        rng: draws the jitter.
    """

    rng: random.Random = field(repr=False)
    delay_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: int = 0
    truncate_after: int | None = None
    repeat_next: bool = False
    passed: int = 0
    held: bool = False
    _open: trio.Event = field(default_factory=trio.Event, repr=False)

    def __post_init__(self) -> None:
        """It begins open."""
        self._open.set()

    def cut(self) -> None:
        """Let nothing pass; what arrives is held back."""
        if not self.held:
            self.held = True
            self._open = trio.Event()

    def release(self) -> None:
        """Let pass what is held, and all that follows."""
        self.held = False
        self._open.set()

    def heal(self) -> None:
        """Be a wire again."""
        self.delay_s = self.jitter_s = 0.0
        self.bytes_per_s = 0
        self.truncate_after = None
        self.repeat_next = False
        self.release()

    async def carry(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        """Carry bytes until the source ends or the connection is to be reset.

        Raises:
            EndOfFlowError: reset both sides now.
            trio.BrokenResourceError: a side is gone.
        """
        put, take = trio.open_memory_channel[tuple[float, bytes]](_QUEUE_CHUNKS)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, source, put)
            await self._write(take, sink)
            nursery.cancel_scope.cancel()

    async def _read(
        self, source: trio.SocketStream, put: trio.MemorySendChannel[tuple[float, bytes]]
    ) -> None:
        due = 0.0
        async with put:
            while data := await source.receive_some(CHUNK_BYTES):
                wait = self.delay_s + (self.rng.random() * self.jitter_s if self.jitter_s else 0.0)
                due = max(due, trio.current_time() + wait)  # a stream keeps its order
                await put.send((due, data))

    async def _write(
        self, take: trio.MemoryReceiveChannel[tuple[float, bytes]], sink: trio.SocketStream
    ) -> None:
        async for due, data in take:
            if due > trio.current_time():
                await trio.sleep_until(due)
            while self.held:
                await self._open.wait()
            await self._pass(data, sink)
            if self.repeat_next:
                self.repeat_next = False
                await self._pass(data, sink)
        await sink.send_eof()

    async def _pass(self, data: bytes, sink: trio.SocketStream) -> None:
        if self.truncate_after is not None:
            kept, self.truncate_after = (
                data[: self.truncate_after],
                self.truncate_after - len(data),
            )
            if self.truncate_after < 0:
                self.truncate_after = None
                if kept:
                    await sink.send_all(kept)
                    self.passed += len(kept)
                raise EndOfFlowError
        while data and self.bytes_per_s:
            part, data = data[: max(1, self.bytes_per_s // 20)], data[self.bytes_per_s // 20 or 1 :]
            while self.held:
                await self._open.wait()
            await sink.send_all(part)
            self.passed += len(part)
            with trio.move_on_after(len(part) / (self.bytes_per_s or 1)):
                await trio.sleep_forever()
        if data:
            await sink.send_all(data)
            self.passed += len(data)
