"""What was promised to clients, and whether an image keeps it.

Law: an answer that was received before the crash binds; a request that was sent before it may
have had its effect; anything else in an image is invented. A record is one of the states that
its only writer gave it, whole, or it is not there.

Times are nanoseconds of CLOCK_REALTIME, as in the trace: the crash of an image lies after its
`at_ns`, and the call that would come next had not begun, so nothing that was answered before
`at_ns` may depend on it.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


def content_hash(title: str, content: str, tags: Sequence[str]) -> str:
    """What stands for one state of a record: SHA-256 of title, content and tags."""
    told = json.dumps([title, content, sorted(tags)], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def hash_of(row: Mapping[str, Any]) -> str:
    """The same of a row as it goes over the wire."""
    return content_hash(row["title"], row["content"], row.get("tags", ()))


@dataclass(slots=True)
class Step:
    """One write of one record.

    Attributes:
        state: what it leaves; None: nothing.
        sent_ns: when it was sent.
        kept_ns: when a success was received; None: not yet, or nothing was promised.
        refused: whether it was refused, for good.
    """

    state: str | None
    sent_ns: int
    kept_ns: int | None = None
    refused: bool = False


class Anomaly(NamedTuple):
    """What is wrong with an image."""

    rule: str
    detail: str


@dataclass(slots=True)
class Promises:
    """Every write of every record, in the order of its one writer. Safe among threads."""

    steps: dict[str, list[Step]] = field(default_factory=dict)
    entries: list[tuple[int, int]] = field(default_factory=list)
    """(when it was told, number of the last audit entry that was told then)."""
    clock: Callable[[], int] = time.time_ns
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sent(self, name: str, state: str | None) -> Step:
        """A write is about to be sent."""
        with self._lock:
            step = Step(state, self.clock())
            self.steps.setdefault(name, []).append(step)
            return step

    def kept(self, *steps: Step) -> None:
        """A success was received for these."""
        now = self.clock()
        for step in steps:
            step.kept_ns = now

    def refused(self, *steps: Step) -> None:
        """A refusal was received: they have had no effect and will have none."""
        for step in steps:
            step.refused = True

    @property
    def acknowledged(self) -> int:
        """How many writes were promised."""
        return sum(step.kept_ns is not None for steps in self.steps.values() for step in steps)

    @property
    def attempted(self) -> int:
        """How many were sent."""
        return sum(len(steps) for steps in self.steps.values())

    def allowed(self, name: str, at_ns: int) -> set[str | None]:
        """States that a record may be in after a crash at a moment."""
        states: set[str | None] = {None}
        for step in self.steps.get(name, ()):
            if step.sent_ns >= at_ns:
                break
            if step.refused:
                continue
            if step.kept_ns is not None and step.kept_ns < at_ns:
                states = {step.state}
            else:
                states.add(step.state)
        return states

    def promised(self, at_ns: int) -> int:
        """How many records an image of that moment must hold, in some state."""
        return sum(None not in self.allowed(name, at_ns) for name in self.steps)

    def entry(self, at_ns: int) -> int:
        """The last audit entry that was told before a moment."""
        return max((seq for told, seq in self.entries if told < at_ns), default=0)

    def judge(self, held: Mapping[str, str], at_ns: int) -> Iterator[Anomaly]:
        """Compare what an image holds (id -> content hash) with what was promised."""
        for name in held:
            if name not in self.steps:
                yield Anomaly("invented", f"{name} was never written")
        for name, steps in self.steps.items():
            state, allowed = held.get(name), self.allowed(name, at_ns)
            if state in allowed:
                continue
            sent = [step for step in steps if step.sent_ns < at_ns and not step.refused]
            known = any(step.state == state for step in sent)
            if state is None:
                yield Anomaly("lost", f"{name} was acknowledged and is not there")
            elif not known:
                yield Anomaly("invented", f"{name} holds what nobody had written")
            elif None in allowed:
                yield Anomaly("back", f"{name} is there, and its deletion was acknowledged")
            else:
                yield Anomaly("reverted", f"{name} holds an earlier state than the acknowledged")
