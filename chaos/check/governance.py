"""Governance: one policy everywhere, the strictest of concurrent ones, and it binds who has it.

Law: strictness is any < approve < deny. A node that acknowledged a policy takes no write that it
refuses, until a looser one may have arrived; what it holds for approval stays hidden. A policy
that nobody can have seen when they wrote another is among the versions at the end, so the answer
is not looser than it; one that an acknowledged policy saw is not. Nobody's policy is there. What
was acknowledged, under whatever policy, is there.

Rolling a store back takes a node's knowledge of its policies back with it, so under the classes
that do so the second sentence is not asked.

Source: docs/design.md, "Governance".
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from chaos.check import set as elements_of
from chaos.check.gathering import Cycle, Found, Operation, State, gather, judge_states
from chaos.history import Anomaly, Event

NAME = "governance"
STRICTNESS: Final[Mapping[str, int]] = {"any": 0, "approve": 1, "deny": 2}
ROLLED_BACK: Final = frozenset({"F38", "F39"})


def check(history: Iterable[Event]) -> list[Anomaly]:
    """Anomalies of one cycle of the governance workload.

    It reads `policy` (`space`, `write`: a level, `saw`: dots of the versions that were read there)
    with `dot`, `add` (`fields` with `namespace`) with `pending`, and the `standards` of finals.
    """
    cycle = gather(history)
    policies: defaultdict[str, list[Operation]] = defaultdict(list)
    for each in cycle.writes("policy"):
        policies[str(each.args["space"])].append(each)
    adds = list(cycle.writes("add"))
    plain = dict(elements_of.elements(each for each in adds if not each.values.get("pending")))
    held = {
        str(each.args["fields"]["content"]): each for each in adds if each.values.get("pending")
    }

    def judge(state: State) -> Iterator[Found]:
        shown = {i: r for i, r in state.records.items() if str(r.get("content")) not in held}
        visible = State(nodes=state.nodes, records=shown, standards=state.standards)
        yield from elements_of.judge(visible, plain)
        for id_ in state.records.keys() - shown.keys():
            each = held[str(state.records[id_]["content"])]
            yield Found("bypassed", id_, f"{id_} shows, nobody approved it", (each.op,))
        yield from _standing(state, policies)

    return [*judge_states(cycle, NAME, judge), *_bypassed(cycle, adds, policies)]


def _strictness(each: Operation) -> int:
    return STRICTNESS[str(each.args["write"])]


def _standing(state: State, policies: Mapping[str, list[Operation]]) -> Iterator[Found]:
    for space, asked in policies.items():
        versions = state.standards.get(space) or []
        levels = [str((one.get("governance") or {}).get("write", "any")) for one in versions]
        dots = [str(one.get("dot")) for one in versions]
        possible = {str(each.args["write"]) for each in asked if each.possible}
        for level in levels:
            if level not in possible:
                yield Found("invented", space, f"{space}: nobody set {level}")
        hidden = {str(dot): each for each in asked if each.ok for dot in each.args.get("saw") or ()}
        for dot in dots:
            if dot in hidden:
                detail = f"{space}: {dot} was replaced by who saw it"
                yield Found("stale", space, detail, (hidden[dot].op,))
        yield from _last(space, asked, levels, dots)


def _last(
    space: str, asked: Iterable[Operation], levels: list[str], dots: list[str]
) -> Iterator[Found]:
    """The policy that nobody can have seen, if there is one: it must stand."""
    possible = [each for each in asked if each.possible]
    if not possible:
        return
    last = max(possible, key=lambda each: each.began)
    if not last.ok or not all(each.before(last) for each in possible if each is not last):
        return
    answer = max((STRICTNESS.get(level, 0) for level in levels), default=0)
    if answer < _strictness(last):
        detail = f"{space} answers {'/'.join(levels) or 'any'}, {last.args['write']} was set last"
        yield Found("looser", space, detail, (last.op,))
    elif last.values.get("dot") and last.values["dot"] not in dots:
        yield Found("lost", space, f"{space}: the last policy is not there", (last.op,))


def _bypassed(
    cycle: Cycle, adds: Iterable[Operation], policies: Mapping[str, list[Operation]]
) -> Iterator[Anomaly]:
    if cycle.start is not None and cycle.start.fault_class in ROLLED_BACK:
        return
    binding = {
        (space, level): _Binding(asked, level)
        for space, asked in policies.items()
        for level in ("approve", "deny")
    }
    for each in adds:
        space = str(each.args["fields"].get("namespace"))
        if not each.ok or space not in policies:
            continue
        for level in ("deny",) if each.values.get("pending") else ("approve", "deny"):
            policy = binding[space, level].over(each)
            if policy is not None:
                detail = f"{each.node} took a write to {space} after it took {level}"
                yield Anomaly(NAME, "bypassed", detail, (policy.op, each.op))
                break


class _Binding:
    """Which policy of one namespace and level a write cannot have escaped; each answer O(log n)."""

    def __init__(self, asked: Iterable[Operation], level: str) -> None:
        strict = STRICTNESS[level]
        policies = sorted(asked, key=lambda each: each.began)
        looser = [each for each in policies if each.possible and _strictness(each) < strict]
        self._began = [each.began for each in looser]
        self._latest = list(accumulate((each.ended for each in looser), max))
        self._acknowledged: defaultdict[str, list[Operation]] = defaultdict(list)
        for each in policies:
            if each.ok and _strictness(each) == strict:
                self._acknowledged[each.node].append(each)
        self._ends = {
            node: list(accumulate((each.ended for each in found), max))
            for node, found in self._acknowledged.items()
        }

    def over(self, write: Operation) -> Operation | None:
        """The last policy its node had acknowledged before, if no looser one can have come."""
        at = bisect_left(self._ends.get(write.node, []), write.began)
        if at == 0:
            return None
        policy = self._acknowledged[write.node][at - 1]
        earlier = bisect_left(self._began, write.ended)
        if earlier and self._latest[earlier - 1] >= policy.began:
            return None
        return policy
