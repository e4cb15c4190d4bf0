"""Keeps the chain of this node: takes events from anywhere, writes them on one thread.

Law: `record` never waits. An entry is claimed (`head`) only when it is on the disk; what was
recorded before an orderly stop is in the chain after it. The queue is bounded: what does not
fit is counted, and the count is an entry. A full disk holds the queue and is tried again; any
other failure of the disk ends the keeping and is told once, as a failing disk is everywhere.
"""

import errno
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from node import failpoints
from node.audit.chain import Link, Owner, Sign, write_entry
from node.audit.events import Fact, check_names, harmless
from node.audit.files import GrowingChain
from node.audit.flood import Flood
from node.audit.mirror import Mirror
from node.audit.segments import Tail

QUEUE_ENTRIES_MAX: Final = 20_000
_RETRY_SECONDS: Final = 0.25
_TICK_SECONDS: Final = 1.0
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MS_PER_DAY: Final = 86_400_000
_STALLED: Final = "audit_stalled"
_MIRROR_FAILED: Final = "audit_mirror_failed"

Record = Callable[..., None]
"""`record(event, **facts)`: what other parts are given of a keeper."""


def unrecorded(event: str, **facts: object) -> None:
    """Stands in for a keeper where there is none; the names are checked all the same."""
    check_names(event, facts)


class _Event(NamedTuple):
    at: int
    name: str
    facts: dict[str, Fact]


class _Job(NamedTuple):
    work: Callable[[], Any]
    done: Callable[[Any, BaseException | None], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperSettings:
    """What a keeper is told once.

    Attributes:
        folder: where the chain lies.
        mirror: a file that gets the same lines; None for none.
        retention_days: age above which closed segments go.
        queue_entries_max: most entries that may wait for the disk.
    """

    folder: Path
    mirror: Path | None = None
    retention_days: float = 365.0
    queue_entries_max: int = QUEUE_ENTRIES_MAX


class Keeper:
    """The chain of one node.

    Args:
        settings: where and how much.
        owner: whose chain it is.
        sign: by the node's key.
        now_ms: wall clock.
        failed: told once, on the keeper's thread, when the disk failed.
        trouble: told, on the keeper's thread, of what passes: (event of `node.logs`, error).
    """

    def __init__(
        self,
        settings: KeeperSettings,
        *,
        owner: Owner,
        sign: Sign,
        now_ms: Callable[[], int],
        failed: Callable[[BaseException], None],
        trouble: Callable[[str, str], None] = lambda _event, _error: None,
    ) -> None:
        self.settings = settings
        self.owner = owner
        self._sign = sign
        self._now_ms = now_ms
        self._failed = failed
        self._trouble = trouble
        self._chain = GrowingChain(settings.folder, owner)
        self.head: Link = self._chain.link
        """The last entry that is on the disk."""
        self.found: Tail = self._chain.found
        """The end of the chain as it was found at the start."""
        self.counts: Counter[str] = Counter()
        """Entries made by this process, by event."""
        self.dropped = 0
        self.dead = False
        self._mirror = Mirror(settings.mirror) if settings.mirror is not None else None
        self._flood = Flood()
        self._queue: deque[_Event] = deque()
        self._jobs: deque[_Job] = deque()
        self._missing = 0
        self._closing = False
        self._troubled: set[str] = set()
        self._wake = threading.Condition(threading.Lock())
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._say_what_was_found()
        self._thread.start()

    def _say_what_was_found(self) -> None:
        found = self._chain.found
        if self._chain.replaced:
            self.record("chain_recovered", reason="another_key")
        if found.torn_bytes and not found.reason:
            self.record("chain_recovered", cut_bytes=found.torn_bytes, after=found.link.seq)
        if found.reason:
            self.record("chain_broken", seq=found.bad_seq, reason=found.reason)

    # --- from any thread --------------------------------------------------------------

    def record(self, event: str, **facts: object) -> None:
        """Take an event; returns at once.

        Raises:
            UnknownEventError: the event, or the name of a fact, is not for the chain.
        """
        check_names(event, facts)
        made = _Event(self._now_ms(), event, harmless(facts))
        with self._wake:
            if self._flood.admits(event, made.at):
                self._put(made)
            self._wake.notify()

    def _put(self, event: _Event) -> None:
        if len(self._queue) >= self.settings.queue_entries_max or self.dead:
            self._missing += 1
            self.dropped += 1
        else:
            self._queue.append(event)

    def run(
        self, work: Callable[[], Any], done: Callable[[Any, BaseException | None], object]
    ) -> None:
        """Do something on the keeper's thread, between two batches; for notes beside the chain.

        Args:
            work: must be short.
            done: told the result or the error, on that thread.
        """
        with self._wake:
            self._jobs.append(_Job(work, done))
            self._wake.notify()

    def drop_old(self) -> None:
        """Drop closed segments whose last entry is older than the retention."""
        before = self._now_ms() - int(self.settings.retention_days * _MS_PER_DAY)
        self.run(lambda: self._drop(before), self._dropped)

    def _drop(self, before: int) -> Link | None:
        return self._chain.drop(before, at=self._now_ms(), sign=self._sign)

    def _dropped(self, through: Link | None, error: BaseException | None) -> None:
        if error is not None:
            self._trouble("maintenance_failed", str(error))
        elif through is not None:
            self.record("segments_dropped", through=through.seq)

    def close(self, seconds: float = 5.0) -> None:
        """Put everything that was recorded on the disk, and end."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(seconds)

    # --- the thread -------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(self._has_work, timeout=self._patience())
                closing = self._closing
                events, jobs = self._take(closing=closing)
            done = self._append(events)
            for job in jobs:
                _carry_out(job)
            if self.dead or (closing and done and not self._has_more()):
                break
            if not done:
                if closing:
                    break
                self._pause()
        self._chain.close()
        if self._mirror is not None:
            self._mirror.close()

    def _has_work(self) -> bool:
        return bool(self._queue or self._jobs or self._missing or self._closing)

    def _has_more(self) -> bool:
        with self._wake:
            return bool(self._queue or self._jobs)

    def _patience(self) -> float | None:
        waits = self._flood.waiting or (self._mirror is not None and self._mirror.waiting)
        return _TICK_SECONDS if waits else None

    def _pause(self) -> None:
        """The disk is full: wait a moment, or until the end."""
        with self._wake:
            self._wake.wait_for(lambda: self._closing, timeout=_RETRY_SECONDS)

    def _take(self, *, closing: bool) -> tuple[list[_Event], list[_Job]]:
        now = self._now_ms()
        events = list(self._queue)
        events += [_Event(now, *over) for over in self._flood.take(None if closing else now)]
        if self._missing:
            events.append(_Event(now, "entries_dropped", {"count": self._missing}))
        self._queue.clear()
        self._missing = 0
        jobs = list(self._jobs)
        self._jobs.clear()
        return events, jobs

    def _append(self, events: list[_Event]) -> bool:
        """Write a batch; returns False when the disk is full and the batch waits again."""
        lines, link = [], self._chain.link
        for event in events:
            link, line = write_entry(
                link,
                at=event.at,
                event=event.name,
                facts=event.facts,
                node_id=self.owner.node_id,
                sign=self._sign,
            )
            lines.append(line + b"\n")
        try:
            if lines:
                failpoints.hit("audit.append")
                self._chain.append(lines, link)
        except Exception as error:  # noqa: BLE001 - whatever it is, the chain ends here
            return self._not_written(events, error)
        self._troubled.discard(_STALLED)
        self.head = link
        self.counts.update(event.name for event in events)
        if self._mirror is not None and (lines or self._mirror.waiting):
            self._reflect(self._mirror, lines)
        return True

    def _not_written(self, events: list[_Event], error: Exception) -> bool:
        if not isinstance(error, OSError) or error.errno not in _FULL:
            self.dead = True
            self._failed(error)
            return False
        self._complain(_STALLED, error)
        with self._wake:
            self._queue.extendleft(reversed(events))
            while len(self._queue) > self.settings.queue_entries_max:
                self._queue.pop()
                self._missing += 1
                self.dropped += 1
        return False

    def _reflect(self, mirror: Mirror, lines: list[bytes]) -> None:
        error = mirror.write(lines)
        if error is not None:
            self._complain(_MIRROR_FAILED, error)
        else:
            self._troubled.discard(_MIRROR_FAILED)

    def _complain(self, event: str, error: OSError) -> None:
        """Once, until it passes."""
        if event not in self._troubled:
            self._troubled.add(event)
            self._trouble(event, error.strerror or str(error))


def _carry_out(job: _Job) -> None:
    try:
        result = job.work()
    except Exception as error:  # noqa: BLE001 - whoever asked is told, whatever it is
        job.done(None, error)
    else:
        job.done(result, None)
