"""Causality: who sees an effect sees its cause.

Law: whoever writes an effect had read its cause, and passes on the causal token of that read. A
read with that token names as `after` the causes it covers, all the way back; it must find what it
asks for, if it is one of them, or say 412. After the heal no effect is anywhere without its cause.
Beside that it is a set: nothing acknowledged is lost, nothing is invented.

Source: Lamport, "Time, clocks, and the ordering of events in a distributed system", 1978; Lloyd et
al., "Don't settle for eventual", SOSP 2011.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chaos.check import set as elements_of
from chaos.check.gathering import Found, Operation, State, gather, judge_states
from chaos.history import Anomaly, Event

NAME = "causal"


def check(history: Iterable[Event]) -> list[Anomaly]:
    """Anomalies of one cycle of the causal workload.

    It reads `add` as the set's checker does, with `metadata.of` in the fields, and `read` with
    `id` and `after` (ids) and `found`.
    """
    cycle = gather(history)
    asked = dict(elements_of.elements(cycle.writes("add")))

    def judge(state: State) -> Iterator[Found]:
        yield from elements_of.judge(state, asked)
        yield from _effects(state, asked)

    return [*judge_states(cycle, NAME, judge), *_reads(cycle.writes("read"))]


def _effects(
    state: State, asked: Mapping[str, tuple[Operation, Mapping[str, Any]]]
) -> Iterator[Found]:
    for id_, held in state.records.items():
        cause = (held.get("metadata") or {}).get("of")
        if cause is not None and cause not in state.records:
            operation, _ = asked.get(str(held.get("content")), (None, None))
            ops = () if operation is None else (operation.op,)
            yield Found("effect_without_cause", id_, f"{id_} without {cause}", ops)


def _reads(reads: Iterable[Operation]) -> Iterator[Anomaly]:
    for each in reads:
        wanted = each.args.get("id")
        if each.ok and not each.values.get("found") and wanted in (each.args.get("after") or ()):
            detail = f"{each.node} has not {wanted}, and did not say 412"
            yield Anomaly(NAME, "effect_without_cause", detail, (each.op,))
