"""Which nonces were used: a memory that survives floods and restarts.

Law: a nonce is accepted once. Looked up and put in by one thread in one transaction, and on
the disk before the answer; all that waited while the last transaction ran share the next one,
so a flood costs one fsync per batch. It stands in an environment of its own, because a store
may be restored or swapped, and a replay must be refused all the same. Old nonces go by whole
generations, one per round at most, so that a clock that jumps does not forget everything.
"""

import asyncio
import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import lmdb

from node import failpoints
from node.errors import IntegrityError, Overloaded, Unavailable
from node.store.schema import Transaction
from node.store.small import opened

_GENERATION_MS: Final = 100 * 86_400_000
_GENERATIONS_KEPT: Final = 5
"""The present one and four before it: at least 400 days."""
_GENERATIONS_MAX: Final = 16
_PREFIX: Final = b"nonces-"
_MAP_BYTES: Final = 1 << 36
KEY_BYTES: Final = 16
_BATCH_MAX: Final = 10_000
_WAITING_MAX: Final = 100_000
_PRUNE_SECONDS: Final = 6 * 3600.0


class NonceMemory(Protocol):
    """Remembers nonces."""

    async def take(self, kind: str, ident: str, nonce: str) -> bool:
        """Whether this nonce is fresh; it is used up and on the disk then.

        Args:
            kind: `agent` or `peer`: a nonce of one is none of the other.
            ident: whose nonce it is.
            nonce: the text.

        Raises:
            node.errors.Unavailable: it cannot be remembered, so it must not be accepted.
        """
        ...


class NoNonces:
    """For a face that has no disk: nothing that needs a nonce is accepted."""

    async def take(self, kind: str, ident: str, nonce: str) -> bool:
        """Refuse, as a memory that cannot remember must."""
        del kind, ident, nonce
        raise Unavailable("this node cannot remember nonces", why="it has no place for them")


def nonce_key(kind: str, ident: str, nonce: str) -> bytes:
    """16 bytes that stand for a nonce; no two triples run together."""
    state = hashlib.sha256()
    for part in (kind, ident, nonce):
        data = part.encode(errors="surrogateescape")
        state.update(len(data).to_bytes(4, "big"))
        state.update(data)
    return state.digest()[:KEY_BYTES]


@dataclass(frozen=True, slots=True)
class _Waiting:
    key: bytes
    answer: "asyncio.Future[bool]"


class NonceStore:
    """Nonces in an LMDB environment, and the thread that alone writes it.

    Args:
        path: folder of the environment; made (0700) when absent.
        post: brings calls back to the loop: `loop.call_soon_threadsafe`.
        now_ms: wall clock, milliseconds since the epoch.
        prune_seconds: time between two looks for old generations.

    Raises:
        node.errors.IntegrityError: the environment cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        post: Callable[..., object],
        now_ms: Callable[[], int],
        prune_seconds: float = _PRUNE_SECONDS,
    ) -> None:
        try:
            self._env = opened(path, map_bytes=_MAP_BYTES, dbs_max=_GENERATIONS_MAX)
        except lmdb.Error as error:
            raise _damaged(path, error) from error
        self._post = post
        self._now_ms = now_ms
        self._prune_seconds = prune_seconds
        self._tables: dict[int, Any] = {}
        self._waiting: deque[_Waiting] = deque()
        self._wake = threading.Condition(threading.Lock())
        self._changing = threading.Lock()
        self._closing = False
        self.transactions = 0
        try:
            self._open_tables()
        except (lmdb.Error, ValueError) as error:
            self._env.close()
            raise _damaged(path, error) from error
        self._thread = threading.Thread(target=self._run, name="nonces", daemon=True)
        self._thread.start()

    async def take(self, kind: str, ident: str, nonce: str) -> bool:
        """Whether this nonce is fresh; see `NonceMemory.take`."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        with self._wake:
            if self._closing:
                raise Unavailable("no nonce is taken any more", why="the node is shutting down")
            if len(self._waiting) >= _WAITING_MAX:
                raise Overloaded("too many signed requests wait for the disk")
            self._waiting.append(_Waiting(nonce_key(kind, ident, nonce), answer))
            self._wake.notify()
        return await answer

    def learn(self, key: bytes) -> None:
        """Remember a nonce that was used elsewhere; best effort, nobody waits for it."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(_seen)
        with self._wake:
            if not self._closing and len(self._waiting) < _WAITING_MAX:
                self._waiting.append(_Waiting(key, answer))
                self._wake.notify()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Answer what waits, then end the thread and let go of the files."""
        with self._wake:
            if self._closing:
                return
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout_seconds)
        if not self._thread.is_alive():
            self._env.close()

    # -- on the thread -------------------------------------------------------------------

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            with self._wake:
                left = due - time.monotonic()
                if not (self._waiting or self._closing) and left > 0:
                    self._wake.wait(left)
                if not self._waiting and self._closing:
                    return
                count = min(len(self._waiting), _BATCH_MAX)
                batch = [self._waiting.popleft() for _ in range(count)]
            if batch:
                self._serve(batch)
            if time.monotonic() >= due:
                due = time.monotonic() + self._prune_seconds
                with suppress(Exception):  # comes round again; the thread must live
                    self.prune()

    def _serve(self, batch: list[_Waiting]) -> None:
        try:
            fresh = self._commit([one.key for one in batch])
        except Exception as error:  # noqa: BLE001 - the thread must live; nothing is accepted
            refusal = Unavailable("a nonce cannot be remembered", why=str(error))
            self._tell(lambda: _refuse(batch, refusal))
            return
        self.transactions += 1
        self._tell(lambda: _answer(batch, fresh))

    def _tell(self, call: Callable[[], None]) -> None:
        # A loop that is gone has nobody left to answer.
        with suppress(RuntimeError):
            self._post(call)

    def _commit(self, keys: list[bytes]) -> list[bool]:
        while True:
            try:
                with self._changing:
                    table, older = self._present()
                    failpoints.hit("nonce.commit")
                    with self._env.begin(write=True) as txn:
                        return [self._put(txn, key, table, older) for key in keys]
            except lmdb.MapFullError:
                self._env.set_mapsize(self._env.info()["map_size"] * 2)

    @staticmethod
    def _put(txn: Transaction, key: bytes, table: Any, older: list[Any]) -> bool:
        if any(txn.get(key, db=one) is not None for one in older):
            return False
        return bool(txn.put(key, b"", db=table, overwrite=False))

    def _present(self) -> tuple[Any, list[Any]]:
        """(the table of now, all others)."""
        # Never behind the newest: a clock set back must not fill a generation about to go.
        number = max([self._now_ms() // _GENERATION_MS, *self._tables])
        if number not in self._tables:
            self._tables[number] = self._env.open_db(_PREFIX + b"%d" % number)
        return self._tables[number], [t for n, t in self._tables.items() if n != number]

    def _open_tables(self) -> None:
        with self._env.begin() as txn:
            names = [bytes(name) for name, _ in txn.cursor()]
        for name in names:
            if name.startswith(_PREFIX):
                self._tables[int(name.removeprefix(_PREFIX))] = self._env.open_db(name)

    def prune(self) -> bool:
        """Drop the oldest generation when it is old enough; whether one went."""
        with self._changing:
            oldest = min(self._tables, default=None)
            present = self._now_ms() // _GENERATION_MS
            if oldest is None or oldest > present - _GENERATIONS_KEPT:
                return False
            with self._env.begin(write=True) as txn:
                txn.drop(self._tables.pop(oldest), delete=True)
        return True


def _seen(answer: "asyncio.Future[bool]") -> None:
    """Whatever became of it: nobody asked."""
    if not answer.cancelled():
        answer.exception()


def _answer(batch: list[_Waiting], fresh: list[bool]) -> None:
    for one, good in zip(batch, fresh, strict=True):
        if not one.answer.done():  # its request was given up; the nonce is used all the same
            one.answer.set_result(good)


def _refuse(batch: list[_Waiting], error: Exception) -> None:
    for one in batch:
        if not one.answer.done():
            one.answer.set_exception(error)


def _damaged(path: Path, error: Exception) -> IntegrityError:
    return IntegrityError(
        f"the memory of nonces in {path} cannot be opened",
        why=str(error),
        fix="Set the folder aside; what was signed before can then be replayed once",
    )
