"""The counter: it counts every acknowledged increment once.

Law: an increment is a named unit added to a counter: a link with a relation of its own, or a tag.
The sum is the number of units, so it lies between the acknowledged ones and these with the
unsettled ones; and because units have names, a lost one cannot hide behind an invented one.

Source: the operation-based grow-only counter of Shapiro et al., "A comprehensive study of
convergent and commutative replicated data types", 2011, kept as a set of its increments.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chaos.check.gathering import Found, Operation, State, gather, judge_states
from chaos.history import Anomaly, Event

NAME = "counter"


def check(history: Iterable[Event]) -> list[Anomaly]:
    """Anomalies of one cycle of the counter workload.

    It reads `create` with `counter`, `increment` with `counter` and `unit`, `read` with `units`,
    of records `tags`, and records of links (`source_id`, `relation`).
    """
    cycle = gather(history)
    asked = {str(each.args["unit"]): each for each in cycle.writes("increment")}
    created = {str(each.args["counter"]): each for each in cycle.writes("create")}
    return [
        *judge_states(cycle, NAME, lambda state: judge(state, asked, created)),
        *_reads(cycle.writes("read"), asked),
    ]


def judge(
    state: State, asked: Mapping[str, Operation], created: Mapping[str, Operation]
) -> Iterator[Found]:
    """Judge what some nodes hold."""
    held = units_of(state.records)
    for counter in {*held, *(i for i, each in created.items() if each.ok)}:
        made = created.get(counter)
        if made is None or not made.possible:
            yield Found("invented", counter, f"nobody made the counter {counter}")
        elif made.ok and counter not in state.records:
            yield Found("lost", counter, f"the counter {counter} was acknowledged", (made.op,))
        for unit, times in held[counter].items():
            operation = asked.get(unit)
            if operation is None or not operation.possible or operation.args["counter"] != counter:
                ops = () if operation is None else (operation.op,)
                yield Found("invented", unit, f"{counter}: nobody added {unit}", ops)
            elif times > 1:
                yield Found("duplicated", unit, f"{counter} counts {unit} twice", (operation.op,))
    for unit, operation in asked.items():
        counter = str(operation.args["counter"])
        if operation.ok and unit not in held[counter]:
            yield Found("lost", unit, f"{counter}: {unit} was acknowledged", (operation.op,))


def units_of(records: Mapping[str, Mapping[str, Any]]) -> defaultdict[str, Counter[str]]:
    """The units that each counter holds, with how often."""
    held: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for id_, fields in records.items():
        if "relation" in fields:
            held[str(fields["source_id"])][str(fields["relation"])] += 1
        elif (fields.get("metadata") or {}).get("counter"):
            held[id_].update(map(str, fields.get("tags") or ()))
    return held


def _reads(reads: Iterable[Operation], asked: Mapping[str, Operation]) -> Iterator[Anomaly]:
    for each in reads:
        for unit in (each.values.get("units") or ()) if each.ok else ():
            operation = asked.get(str(unit))
            if operation is None or not operation.possible or operation.began > each.ended:
                detail = f"{each.node} counted {unit}"
                yield Anomaly(NAME, "invented", detail, (each.op,))
