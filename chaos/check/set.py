"""The set: every acknowledged element is there once, as it was written, and no other is.

Law: an element is its `value`, unique in the campaign; the id may have been drawn by the node.
`ok` is there. `info` is there or not. `fail` and what was never asked is not. What is there has
the fields that were asked for. A request for many elements is one promise about all of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chaos.check.gathering import Found, Operation, State, gather, judge_states
from chaos.history import Anomaly, Event

NAME = "set"


def check(history: Iterable[Event]) -> list[Anomaly]:
    """Anomalies of one cycle of the set workload.

    It reads `add` with `fields` (one element) or `many` (a list of them), whose `content` is the
    value, and `read` with `content` that was shown.
    """
    cycle = gather(history)
    asked = dict(elements(cycle.writes("add")))
    return [
        *judge_states(cycle, NAME, lambda state: judge(state, asked)),
        *_reads(cycle.writes("read"), asked),
    ]


def elements(
    adds: Iterable[Operation],
) -> Iterator[tuple[str, tuple[Operation, Mapping[str, Any]]]]:
    """Every element that was asked for: its value, the operation and the fields."""
    for each in adds:
        for fields in each.args.get("many") or [each.args["fields"]]:
            yield str(fields["content"]), (each, fields)


def judge(
    state: State, asked: Mapping[str, tuple[Operation, Mapping[str, Any]]]
) -> Iterator[Found]:
    """Judge what some nodes hold."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for id_, held in state.records.items():
        places[str(held.get("content"))].append(id_)
    for value, ids in places.items():
        if value not in asked:
            yield Found("invented", value, f"{ids[0]}: nobody wrote {value!r}")
            continue
        operation, fields = asked[value]
        if not operation.possible:
            yield Found("invented", value, f"{ids[0]}: {value!r} was refused", (operation.op,))
        if len(ids) > 1:
            yield Found("duplicated", value, f"{value!r} is {len(ids)} records", (operation.op,))
        for id_ in ids:
            yield from _altered(id_, state.records[id_], fields, operation)
    for value, (operation, _) in asked.items():
        if operation.ok and value not in places:
            yield Found("lost", value, f"{value!r} was acknowledged", (operation.op,))


def _altered(
    id_: str, held: Mapping[str, Any], fields: Mapping[str, Any], operation: Operation
) -> Iterator[Found]:
    told = operation.values.get("id")
    if told and told != id_ and not operation.args.get("many"):
        yield Found("altered", id_, f"{id_} was acknowledged as {told}", (operation.op,))
    for name, wanted in fields.items():
        shown = held.get(name)
        if name == "tags":
            alike = sorted(shown or ()) == sorted(wanted)
        elif isinstance(wanted, Mapping):
            alike = isinstance(shown, Mapping) and wanted.items() <= shown.items()
        else:
            alike = shown == wanted
        if not alike:
            yield Found("altered", id_, f"{id_}.{name} is {shown!r}", (operation.op,))


def _reads(
    reads: Iterable[Operation], asked: Mapping[str, tuple[Operation, Mapping[str, Any]]]
) -> Iterator[Anomaly]:
    for each in reads:
        shown = each.values.get("content") if each.ok else None
        if shown is None:
            continue
        operation, _ = asked.get(str(shown), (None, None))
        if operation is None or not operation.possible or operation.began > each.ended:
            yield Anomaly(NAME, "invented", f"a read on {each.node} showed {shown!r}", (each.op,))
