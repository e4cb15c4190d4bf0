"""The register: what is shown was written, and nothing acknowledged was hidden unseen.

Law: what lives at the end is what nobody hid. So the shown value and its conflicts together are
all acknowledged values that no later write saw, and beside them only `info` ones; a value that a
write saw before it wrote is dead. Which of several living values is shown is not judged: they are
concurrent, all nodes must show the same, and convergence looks at that.

Source: version vectors with exact supersession (docs/design.md, "Operations and records"); every
write here is conditional (`If-Match`), so what it hid is known and not guessed from time.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chaos.check.gathering import Found, Operation, State, gather, judge_states
from chaos.check.supersession import Descent, descent
from chaos.history import Anomaly, Event

NAME = "register"


def check(history: Iterable[Event]) -> list[Anomaly]:
    """Anomalies of one cycle of the register workload.

    It reads `create` and `write` with `register`, `value` and `saw`, `read` with `content`, and
    of records `content`, `conflicts` (a number) and `siblings` (the values that lost). `saw` is one
    value, or a list where the reader was shown several.
    """
    cycle = gather(history)
    made = descent(cycle.writes("create", "write"))
    reads = [each for each in cycle.writes("read") if each.ok and each.values.get("content")]
    return [
        *judge_states(cycle, NAME, lambda state: judge(state, made, reads)),
        *invented_reads(NAME, reads, made),
    ]


def judge(state: State, made: Descent, reads: Iterable[Operation]) -> Iterator[Found]:
    """Judge what some nodes hold."""
    seen = [str(each.values["content"]) for each in reads]
    shown = {register: living(held) for register, held in state.records.items()}
    seen.extend(value for values in shown.values() for value in values)
    dead = made.dead(seen)
    for register, values in shown.items():
        yield from _one(register, values, state.records[register], made, dead)
    meant: defaultdict[str, list[str]] = defaultdict(list)
    for value, write in made.writes.items():
        if write.ok and value not in dead:
            meant[str(write.args["register"])].append(value)
    for register, values in meant.items():
        for value in sorted(set(values) - set(shown.get(register, ()))):
            detail = f"{register}: {value!r} was acknowledged and never overwritten"
            yield Found("lost", value, detail, (made.writes[value].op,))


def _one(
    register: str,
    values: list[str],
    held: Mapping[str, Any],
    made: Descent,
    dead: set[str],
) -> Iterator[Found]:
    for value, times in Counter(values).items():
        write = made.writes.get(value)
        if write is None or not write.possible or write.args["register"] != register:
            ops = () if write is None else (write.op,)
            yield Found("invented", value, f"{register}: nobody wrote {value!r} there", ops)
        elif value in dead:
            yield Found("stale", value, f"{register}: {value!r} was overwritten", (write.op,))
        if times > 1:
            yield Found("duplicated", value, f"{register}: {value!r} lives {times} times")
    if int(held.get("conflicts") or 0) != len(values) - 1:
        detail = f"{register} tells {held.get('conflicts') or 0} conflicts, has {len(values) - 1}"
        yield Found("conflicts", register, detail)


def living(held: Mapping[str, Any]) -> list[str]:
    """The shown value of a record and those that lost to it."""
    return [str(held.get("content")), *map(str, held.get("siblings") or ())]


def invented_reads(name: str, reads: Iterable[Operation], made: Descent) -> Iterator[Anomaly]:
    """Reads of what nobody wrote, was refused, or was asked for only later."""
    for each in reads:
        value = str(each.values["content"])
        write = made.writes.get(value)
        if write is None or not write.possible or write.began > each.ended:
            yield Anomaly(name, "invented", f"{each.node} showed {value!r}", (each.op,))
