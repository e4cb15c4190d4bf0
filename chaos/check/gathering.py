"""One cycle of a history, put in order for its checkers.

Law: an operation is what was asked and what came back; the order of lines is the order of time.
An operation without a completion, or with `info`, may have had its effect at any moment after
it was asked, or never. What is read after the heal is judged once for all nodes that hold the
same, so one fault on five nodes is one anomaly.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from chaos.history import (
    Anomaly,
    Completion,
    CycleStart,
    Event,
    Expect,
    Fault,
    FinalRead,
    Invoke,
    Outcome,
    Verdict,
)

READS: Final = frozenset({"read", "list", "look"})
"""Every other `f` is a write."""
ANSWERED: Final = frozenset({400, 401, 403, 404, 409, 412, 413})
"""A node that answers so is up and right; such a write was never meant to be acknowledged."""


@dataclass(slots=True, kw_only=True)
class Operation:
    """What was asked, and what came back.

    Attributes:
        began: place of its line; `ended` is that of its completion, infinite without an answer
            that settles it.
    """

    op: int
    process: str
    node: str
    f: str
    args: Mapping[str, Any]
    began: int
    ended: float = math.inf
    outcome: Outcome = "info"
    status: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """It was acknowledged."""
        return self.outcome == "ok"

    @property
    def possible(self) -> bool:
        """It may have had its effect."""
        return self.outcome != "fail"

    @property
    def writes(self) -> bool:
        """It was meant to change something."""
        return self.f not in READS

    def before(self, other: "Operation") -> bool:
        """Whether it was answered before the other was asked."""
        return self.ended < other.began


class Found(NamedTuple):
    """An anomaly of one state, before the nodes that hold that state are known."""

    rule: str
    subject: str
    detail: str
    ops: tuple[int, ...] = ()


Records = Mapping[str, Mapping[str, Any]]
"""What a node holds: the fields of a record by its id."""


@dataclass(slots=True, kw_only=True)
class State:
    """What some nodes hold alike.

    Attributes:
        standards: what was set for each namespace.
    """

    nodes: list[str]
    records: Records
    standards: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Cycle:
    """One cycle, gathered."""

    start: CycleStart | None = None
    operations: list[Operation] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    expects: list[Expect] = field(default_factory=list)
    finals: list[FinalRead] = field(default_factory=list)
    verdict: Verdict | None = None
    strays: list[int] = field(default_factory=list)  # completions of what was never asked

    def writes(self, *names: str) -> Iterator[Operation]:
        """Operations called so; all that write when none is named."""
        for each in self.operations:
            if each.f in names or (not names and each.writes):
                yield each

    def states(self) -> list[State]:
        """What is there after the heal, once for all nodes that hold the same."""
        values = {
            (id_, held.hash): held.value
            for final in self.finals
            for id_, held in final.records.items()
            if held.value is not None
        }
        found: dict[str, State] = {}
        for final in self.finals:
            if final.error is not None:
                continue
            held = {i: one.hash for i, one in final.records.items() if one.present}
            mark = content_hash([held, final.standards])
            if mark in found:
                found[mark].nodes.append(final.node)
                continue
            found[mark] = State(
                nodes=[final.node],
                records={i: values.get((i, digest)) or {} for i, digest in held.items()},
                standards=final.standards,
            )
        return list(found.values())


def gather(history: Iterable[Event]) -> Cycle:
    """The cycle that these events are about, one begun anew with what its first try wrote.

    Reads of the whole store are left out.
    """
    cycle = Cycle()
    asked: dict[int, Operation] = {}
    for place, event in enumerate(history):
        match event:
            case Invoke():
                asked[event.op] = made = Operation(
                    op=event.op,
                    process=event.process,
                    node=event.node,
                    f=event.f,
                    args=event.args,
                    began=place,
                )
                cycle.operations.append(made)
            case Completion():
                _complete(cycle, asked, event, place)
            case CycleStart():
                cycle.start = event
                # Of a first try that was cut off only the writes count: its proof was of a fault
                # that is gone, and what was read then was not yet all.
                cycle.faults.clear()
                cycle.finals.clear()
            case FinalRead() if event.scope == "cycle":
                cycle.finals.append(event)
            case Fault():
                cycle.faults.append(event)
            case Expect():
                cycle.expects.append(event)
            case Verdict():
                cycle.verdict = event
            case _:
                pass
    return cycle


def _complete(cycle: Cycle, asked: Mapping[int, Operation], event: Completion, place: int) -> None:
    operation = asked.get(event.op)
    if operation is None:
        cycle.strays.append(event.op)
        return
    operation.outcome = event.outcome
    operation.status = event.status
    operation.values = event.values
    if event.outcome != "info":
        operation.ended = place


def judge_states(
    cycle: Cycle, checker: str, judge: Callable[[State], Iterable[Found]]
) -> list[Anomaly]:
    """Judge every distinct state, and name the nodes that hold it."""
    found: dict[tuple[str, str], tuple[Found, list[str]]] = {}
    for state in cycle.states():
        for one in judge(state):
            _, nodes = found.setdefault((one.rule, one.subject), (one, []))
            nodes.extend(state.nodes)
    return [
        Anomaly(checker, one.rule, f"{one.detail} (on {', '.join(sorted(set(nodes)))})", one.ops)
        for one, nodes in found.values()
    ]


def content_hash(value: object) -> str:
    """SHA-256, in hex, of canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
