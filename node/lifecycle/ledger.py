"""What was begun to be forgotten and is not finished, and what was answered: on disk, aside.

Law: kept beside the store and never replicated. A row is on the disk before the first record
ends, and goes when everything that follows is done, so a crash in between forgets nothing: the
node goes on from the row. What is finished leaves its counts for a day, by which a retry is
told what the first request was. No row holds words of a memory; ids and names of agents only.

Keys: `i` and a number of 8 bytes: an intent. `a` and 16 bytes that stand for agent and key of a
request: an answer. Values: msgpack.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Final

import lmdb
import msgpack

from node.contracts import Caller, RetryKey
from node.errors import DiskFull
from node.lifecycle.toll import Doomed
from node.store.small import SmallTable

FOLDER: Final = "forgetting"
ANSWERS_MS: Final = 24 * 3_600_000
_NAME_BYTES: Final = 16
_NUMBER_BYTES: Final = 8
_MAP_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A request that was begun.

    Attributes:
        name: a number, unlike that of any other that is not finished.
        caller: who asked, and by what right.
        administrator: whether it reaches what is private to others.
        everything: also what links alone say was derived ends.
        asked: memories that end first; what follows, follows from those that did.
        beside: links and other records.
        counts, missing: the answer.
        retry: how a retry is known.
        sent: whether all that was asked was minted, some of it to wait for approval.
    """

    name: bytes
    caller: Caller
    administrator: bool
    everything: bool
    asked: Sequence[Doomed]
    beside: Sequence[Doomed]
    counts: Mapping[str, int]
    missing: Sequence[str] = ()
    retry: RetryKey | None = None
    sent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a request was told that is done."""

    body: bytes
    at_ms: int
    counts: dict[str, int]
    missing: list[str]


class Ledger:
    """The rows of one node; all of them are held in memory.

    Args:
        folder: where; made when absent. None keeps them in memory alone.
        now_ms: wall clock, milliseconds since the epoch.
    """

    def __init__(self, folder: Path | None = None, now_ms: Callable[[], int] = int) -> None:
        self._now_ms = now_ms
        self._table = None if folder is None else SmallTable(folder, map_bytes=_MAP_BYTES)
        self._intents: dict[bytes, Intent] = {}
        self._answers: dict[bytes, Answered] = {}
        self._busy: set[bytes] = set()
        self._number = 0
        if self._table is not None:
            self._load(self._table.rows())

    def _load(self, rows: Iterator[tuple[bytes, bytes]]) -> None:
        for key, value in rows:
            if key[:1] == b"i":
                intent = _intent(key[1:], value)
                if intent is not None:
                    self._intents[intent.name] = intent
            else:
                answer = _answered(value)
                if answer is not None:
                    self._answers[key[1:]] = answer

    # Reading.

    def resting(self) -> list[Intent]:
        """What was begun and is in nobody's hands now."""
        return [one for name, one in self._intents.items() if name not in self._busy]

    def begun(self, retry: RetryKey | None) -> Intent | None:
        """The request that this is a retry of, when it is not finished."""
        same = (one for one in self._intents.values() if retry is not None and one.retry == retry)
        return next(same, None)

    def is_busy(self, intent: Intent) -> bool:
        """Whether somebody is at it."""
        return intent.name in self._busy

    def answer(self, retry: RetryKey | None) -> Answered | None:
        """What the first request of a retry was told."""
        found = None if retry is None else self._answers.get(_scope(retry))
        return (
            found if found is not None and retry is not None and found.body == retry.body else None
        )

    # Writing.

    async def begin(self, intent: Intent) -> Intent:
        """Put a request on the disk; returns it with its name.

        Raises:
            node.errors.DiskFull: the disk does not take it; nothing was begun.
        """
        self._number = max((self._number, *map(_number, self._intents))) + 1
        named = replace(intent, name=self._number.to_bytes(_NUMBER_BYTES, "big"))
        await self._save({b"i" + named.name: _packed(named)})
        self._intents[named.name] = named
        return named

    @contextmanager
    def hold(self, intent: Intent) -> Iterator[None]:
        """Be at it: nobody else goes on with it meanwhile."""
        self._busy.add(intent.name)
        try:
            yield
        finally:
            self._busy.discard(intent.name)

    async def note_sent(self, intent: Intent) -> Intent:
        """All that was asked is minted, and some of it waits.

        Raises:
            node.errors.DiskFull: the disk does not take it.
        """
        sent = replace(intent, sent=True)
        self._intents[intent.name] = sent
        await self._save({b"i" + intent.name: _packed(sent)})
        return sent

    async def drop(self, intent: Intent) -> None:
        """It came to nothing.

        Raises:
            node.errors.DiskFull: the disk does not take it; it will be looked at again.
        """
        await self._save({b"i" + intent.name: None})
        self._intents.pop(intent.name, None)

    async def finish(self, intent: Intent) -> None:
        """Everything is done: only the answer stays, for retries.

        Raises:
            node.errors.DiskFull: the disk does not take it; it will be finished again.
        """
        now, rows = self._now_ms(), dict[bytes, bytes | None]()
        rows[b"i" + intent.name] = None
        for scope in [s for s, one in self._answers.items() if one.at_ms < now - ANSWERS_MS]:
            del self._answers[scope]
            rows[b"a" + scope] = None
        retry = intent.retry
        if retry is not None:
            told = Answered(
                body=retry.body, at_ms=now, counts=dict(intent.counts), missing=[*intent.missing]
            )
            self._answers[_scope(retry)] = told
            rows[b"a" + _scope(retry)] = msgpack.packb(astuple(told))
        await self._save(rows)
        self._intents.pop(intent.name, None)

    async def _save(self, rows: Mapping[bytes, bytes | None]) -> None:
        if self._table is None:
            return
        try:
            await asyncio.to_thread(self._table.write, rows)
        except (OSError, lmdb.Error) as error:
            raise DiskFull(
                "what is to be forgotten could not be written down",
                why=str(error),
                fix="Make room on the disk of the data directory, then ask again",
            ) from error

    def close(self) -> None:
        """Close it, once a write that is under way is over."""
        if self._table is not None:
            self._table.close()


def _number(name: bytes) -> int:
    return int.from_bytes(name, "big")


def _scope(retry: RetryKey) -> bytes:
    return hashlib.sha256(f"{retry.agent}\0{retry.key}".encode()).digest()[:_NAME_BYTES]


def _packed(intent: Intent) -> bytes:
    caller, retry = intent.caller, intent.retry
    spaces = None if caller.namespaces is None else list(caller.namespaces)
    packed: bytes = msgpack.packb(
        [
            [caller.agent, caller.role, spaces, caller.attested],
            intent.administrator,
            intent.everything,
            [astuple(one) for one in intent.asked],
            [astuple(one) for one in intent.beside],
            dict(intent.counts),
            list(intent.missing),
            None if retry is None else astuple(retry),
            intent.sent,
        ]
    )
    return packed


def _intent(name: bytes, value: bytes) -> Intent | None:
    try:
        parts: Any = msgpack.unpackb(value)
        (agent, role, spaces, attested), administrator, everything, *rest = parts
        asked, beside, counts, missing, retry, sent = rest
        return Intent(
            name=name,
            caller=Caller(
                agent=agent,
                role=role,
                namespaces=None if spaces is None else tuple(spaces),
                local=True,
                attested=attested,
            ),
            administrator=administrator,
            everything=everything,
            asked=tuple(_doomed(one) for one in asked),
            beside=tuple(_doomed(one) for one in beside),
            counts=counts,
            missing=tuple(missing),
            retry=None if retry is None else RetryKey(agent=retry[0], key=retry[1], body=retry[2]),
            sent=sent,
        )
    except (ValueError, TypeError, msgpack.UnpackException):
        return None  # another version wrote it; what was composed is looked after without it


def _doomed(row: Sequence[Any]) -> Doomed:
    collection, ident, private, owner, space, grant = row
    return Doomed(
        collection=collection, id=ident, private=private, owner=owner, space=space, grant=grant
    )


def _answered(value: bytes) -> Answered | None:
    try:
        body, at_ms, counts, missing = msgpack.unpackb(value)
        return Answered(body=body, at_ms=at_ms, counts=counts, missing=missing)
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
