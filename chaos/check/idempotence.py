"""Retries: one key and one body are one effect, whoever was asked, however often.

Law: all acknowledged tries of a request name the same ids; after the heal each element is one
record if any try was acknowledged, and at most one if none was. A node that acknowledged a key
refuses another body under it (409); another node may not have heard of the key, and then both
bodies stand.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chaos.check import set as elements_of
from chaos.check.gathering import Operation, content_hash, gather, judge_states
from chaos.history import Anomaly, Event

NAME = "idempotence"


def check(history: Iterable[Event]) -> list[Anomaly]:
    """Anomalies of one cycle of the idempotence workload.

    It reads `add` as the set's checker does, with `key`; acknowledged ones tell `id` or `ids`.
    """
    cycle = gather(history)
    tries = list(cycle.writes("add"))
    asked = _best(tries)
    return [
        *judge_states(cycle, NAME, lambda state: elements_of.judge(state, asked)),
        *_ids(tries),
        *_reused(tries),
    ]


def _best(tries: Iterable[Operation]) -> dict[str, tuple[Operation, Mapping[str, Any]]]:
    """For each element the try that promises most: acknowledged, else possible, else refused."""
    worth = {"ok": 2, "info": 1, "fail": 0}
    best: dict[str, tuple[Operation, Mapping[str, Any]]] = {}
    for value, (each, fields) in elements_of.elements(tries):
        if value not in best or worth[each.outcome] > worth[best[value][0].outcome]:
            best[value] = (each, fields)
    return best


def _body(each: Operation) -> str:
    return content_hash(each.args.get("many") or each.args["fields"])


def _ids(tries: Iterable[Operation]) -> Iterator[Anomaly]:
    told: dict[tuple[str, str], Operation] = {}
    for each in tries:
        if not each.ok:
            continue
        first = told.setdefault((str(each.args["key"]), _body(each)), each)
        if _told(first) != _told(each):
            detail = f"{each.args['key']}: {first.node} and {each.node} told different ids"
            yield Anomaly(NAME, "ids_differ", detail, (first.op, each.op))


def _told(each: Operation) -> list[str]:
    return list(map(str, each.values.get("ids") or [each.values.get("id")]))


def _reused(tries: Iterable[Operation]) -> Iterator[Anomaly]:
    taken: defaultdict[tuple[str, str], list[tuple[str, Operation]]] = defaultdict(list)
    for each in tries:
        if not each.ok:
            continue
        known = taken[str(each.args["key"]), each.node]
        for body, first in known[:1]:
            if body != _body(each) and first.before(each):
                detail = f"{each.node} took two bodies under {each.args['key']}"
                yield Anomaly(NAME, "key_reused", detail, (first.op, each.op))
        known.append((_body(each), each))
