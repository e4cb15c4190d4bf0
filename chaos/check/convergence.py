"""Whether all nodes are one after the heal.

Law: content is compared, never counts. Every node that was meant to answer did, and all of them
have the same ids, the same hash for each, the same clock, the same policies and the same digest;
each hash is that of the value beside it. The clock covers every acknowledged dot, and a dot names
one request for ever.
"""

from collections.abc import Iterable, Iterator, Mapping

from chaos.check.gathering import Cycle, Operation, content_hash, gather
from chaos.history import Anomaly, Event, FinalRead

NAME = "convergence"
_SHOWN_MAX = 3


def check(history: Iterable[Event]) -> list[Anomaly]:
    """Anomalies of one cycle, or of the reads of the whole store when `whole` cut them out."""
    cycle = gather(history)
    return [
        *compare(cycle.finals),
        *_unread(cycle),
        *_hashes_of_values(cycle.finals),
        *_dots_covered(cycle),
        *_dots_once(cycle.operations),
        *(Anomaly(NAME, "stray", "answered, never asked", (op,)) for op in cycle.strays),
    ]


def compare(finals: Iterable[FinalRead]) -> Iterator[Anomaly]:
    """What nodes hold unlike the first of them."""
    read = []
    for final in finals:
        if final.error is not None:
            yield Anomaly(NAME, "unread", f"{final.node} did not answer: {final.error}")
        else:
            read.append(final)
    if not read:
        return
    first, *others = read
    ours = {i: held.hash for i, held in first.records.items() if held.present}
    for other in others:
        pair = f"{first.node} and {other.node}"
        theirs = {i: held.hash for i, held in other.records.items() if held.present}
        if ours.keys() != theirs.keys():
            yield Anomaly(NAME, "ids", f"{pair}: {_some(ours.keys() ^ theirs.keys())}")
        unlike = {i for i in ours.keys() & theirs.keys() if ours[i] != theirs[i]}
        if unlike:
            yield Anomaly(NAME, "hashes", f"{pair}: {_some(unlike)}")
        if first.clock != other.clock:
            yield Anomaly(NAME, "clocks", f"{pair}: {_unlike(first.clock, other.clock)}")
        if first.policies != other.policies:
            what = _unlike(first.policies, other.policies)
            yield Anomaly(NAME, "policies", f"{pair}: {what}")
        if first.digest != other.digest:
            yield Anomaly(NAME, "digests", f"{pair}: {first.digest} and {other.digest}")


def _unread(cycle: Cycle) -> Iterator[Anomaly]:
    if not cycle.finals and any(each.writes for each in cycle.operations):
        yield Anomaly(NAME, "unread", "nothing was read after the heal")


def _hashes_of_values(finals: Iterable[FinalRead]) -> Iterator[Anomaly]:
    known: set[tuple[str, str]] = set()
    bare: set[tuple[str, str]] = set()
    for final in finals:
        for id_, held in final.records.items():
            if held.value is None:
                bare.add((id_, held.hash))
            elif content_hash(held.value) != held.hash:
                yield Anomaly(NAME, "hash_of_value", f"{final.node}: {id_} is not what it hashes")
            else:
                known.add((id_, held.hash))
        for space, held_hash in final.policies.items():
            if content_hash(final.standards.get(space, [])) != held_hash:
                yield Anomaly(NAME, "hash_of_value", f"{final.node}: policy of {space}")
    for id_, digest in sorted(bare - known):
        yield Anomaly(NAME, "hash_of_value", f"{id_}: nobody showed what hashes to {digest[:16]}")


def _dots_covered(cycle: Cycle) -> Iterator[Anomaly]:
    """An acknowledged write that the clock of a node does not cover is lost, seen or not."""
    for final in cycle.finals:
        if final.error is not None or isinstance(final.clock, str):
            continue
        for each in cycle.operations:
            actor, _, seq = str(each.values.get("dot") or "").rpartition(":")
            if each.ok and each.writes and actor and final.clock.get(actor, 0) < int(seq):
                detail = f"{final.node} does not cover {actor}:{seq}"
                yield Anomaly(NAME, "dot_missing", detail, (each.op,))


def _dots_once(operations: Iterable[Operation]) -> Iterator[Anomaly]:
    owners: dict[str, Operation] = {}
    for each in operations:
        dot = each.values.get("dot")
        if not each.ok or not each.writes or not dot:
            continue
        first = owners.setdefault(str(dot), each)
        same_request = each.args.get("key") and each.args.get("key") == first.args.get("key")
        if first is not each and not same_request:
            yield Anomaly(NAME, "dot_reused", str(dot), (first.op, each.op))


def _some(ids: Iterable[str]) -> str:
    listed = sorted(ids)
    more = f" and {len(listed) - _SHOWN_MAX} more" if len(listed) > _SHOWN_MAX else ""
    return ", ".join(listed[:_SHOWN_MAX]) + more


def _unlike(ours: Mapping[str, object] | str, theirs: Mapping[str, object] | str) -> str:
    if isinstance(ours, str) or isinstance(theirs, str):
        return f"{ours} and {theirs}"
    return _some(name for name in ours.keys() | theirs if ours.get(name) != theirs.get(name))
