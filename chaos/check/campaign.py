"""A whole history, cycle by cycle, and the reads of whole stores at its end.

Law: it streams: of a cycle that is judged, only the verdict is kept, and of each record that was
there then, its hash. What a cycle left behind must be there at the end of the campaign, on every
node, as it was, through all the faults of the cycles after it. A change or a new record is
accepted only where a write of that cycle was never settled.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from chaos.check import convergence
from chaos.check.cycle import Judged, check_cycle
from chaos.check.gathering import gather
from chaos.history import (
    Anomaly,
    Begin,
    Completion,
    CycleStart,
    Event,
    FinalRead,
    Invoke,
    Resume,
    Verdict,
)

NAME = "campaign"


@dataclass(kw_only=True)
class Campaign:
    """What is known of a campaign so far.

    Attributes:
        begin: its first line.
        judged: cycles that were played to their end, in order.
        unfinished: cycles that were begun and have neither a verdict nor been read on all nodes.
        anomalies: of the reads of whole stores, and that a node was not read.
    """

    begin: Begin | None = None
    judged: list[Judged] = field(default_factory=list)
    unfinished: list[int] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)


def check_campaign(events: Iterable[Event]) -> Campaign:
    """Judge a history.

    Args:
        events: of one file, in order; read once.

    Raises:
        ValueError: a cycle has a workload that no checker knows, or lines that it never writes.
    """
    campaign = Campaign()
    left: dict[int, Mapping[str, str]] = {}
    whole: list[FinalRead] = []
    for block in _blocks(events, campaign, whole):
        _judge(block, campaign, left)
        # Whole stores are read at the end of every run: about the cycles until then.
        campaign.anomalies.extend(check_whole(whole, left, campaign.judged))
        whole.clear()
    # A run may have read them and begun no cycle.
    campaign.anomalies.extend(check_whole(whole, left, campaign.judged))
    return campaign


def _blocks(
    events: Iterable[Event], campaign: Campaign, whole: list[FinalRead]
) -> Iterator[list[Event]]:
    """The events of each cycle; one that was begun anew, be it later, is one with its first try."""
    block: list[Event] = []
    begun: dict[int, list[Event]] = {}
    number: int | None = None
    for event in events:
        match event:
            case Begin():
                campaign.begin = event
            case FinalRead() if event.scope == "all":
                whole.append(event)
            case CycleStart() if event.cycle != number:
                if number is not None and not _is_judged(block):
                    begun[number] = block
                elif block:
                    yield block
                number = event.cycle
                block = [*begun.pop(number, ()), event]
            case _ if number is not None:
                block.append(event)
            case Invoke() | Completion():
                block.append(event)  # before any cycle: nobody's, but never nothing
            case _:
                pass
    yield from (rows for rows in (block, *begun.values()) if rows)


def _is_judged(block: list[Event]) -> bool:
    """Whether a cycle came to its verdict, or to final reads after which no harness ended."""
    resumed = False
    for event in reversed(block):
        if isinstance(event, Verdict):
            return True
        if isinstance(event, FinalRead):
            return not resumed
        resumed = resumed or isinstance(event, Resume)
    return False


def _judge(block: list[Event], campaign: Campaign, left: dict[int, Mapping[str, str]]) -> None:
    cycle = gather(block)
    if cycle.start is None:
        campaign.anomalies.append(Anomaly(NAME, "stray", "operations before the first cycle"))
        return
    number = cycle.start.cycle
    nodes = campaign.begin.nodes if campaign.begin else ()
    unread = sorted({*nodes} - {final.node for final in cycle.finals})
    if cycle.verdict is None and (unread or not cycle.finals):
        campaign.unfinished.append(number)
        return
    try:
        judged = check_cycle(block)
    except (AttributeError, KeyError, TypeError) as error:
        what = f"{type(error).__name__} {error}"
        raise ValueError(f"cycle {number}: not what its workload writes: {what}") from error
    campaign.judged.append(judged)
    if judged.verdict == "pass":
        campaign.anomalies.extend(
            Anomaly(NAME, "unread", f"cycle {number} was not read on {node}") for node in unread
        )
    for final in cycle.finals:
        if final.error is None:
            left[number] = _hashes(final)
            break


def _hashes(final: FinalRead) -> dict[str, str]:
    return {id_: held.hash for id_, held in final.records.items() if held.present}


def check_whole(
    finals: Iterable[FinalRead],
    left: Mapping[int, Mapping[str, str]],
    judged: Iterable[Judged],
) -> list[Anomaly]:
    """Compare the reads of whole stores with each other and with what cycles left.

    Args:
        finals: of scope `all`: a line for each node and each cycle whose namespaces were read;
            cycle 0 is what belongs to none.
        left: the hashes of a cycle's records when it ended.
        judged: tells which cycles have unsettled writes.
    """
    by_cycle: defaultdict[int, list[FinalRead]] = defaultdict(list)
    for final in finals:
        by_cycle[final.cycle].append(final)
    unsettled = {each.cycle for each in judged if each.unsettled}
    found: list[Anomaly] = []
    nodes = {final.node for group in by_cycle.values() for final in group}
    for number, group in sorted(by_cycle.items()):
        found.extend(
            one._replace(detail=f"cycle {number}, at the end: {one.detail}")
            for one in convergence.compare(group)
        )
        if number in left:
            found.extend(_kept(number, group, left[number], settled=number not in unsettled))
    if nodes:
        found.extend(
            Anomaly(NAME, "lost", f"cycle {number}: nothing of it is left")
            for number in sorted(left.keys() - by_cycle.keys())
            if left[number]
        )
    found.extend(
        Anomaly(NAME, "unread", f"cycle {number} was not read on {node}")
        for number, group in sorted(by_cycle.items())
        for node in sorted(nodes - {final.node for final in group})
    )
    return found


def _kept(
    number: int, group: Iterable[FinalRead], left: Mapping[str, str], *, settled: bool
) -> Iterator[Anomaly]:
    for final in group:
        if final.error is not None:
            continue
        held = _hashes(final)
        for id_ in sorted(left.keys() - held.keys()):
            if not id_.startswith("link:"):  # whole stores are read without links
                yield Anomaly(NAME, "lost", f"cycle {number}: {id_} is gone from {final.node}")
        if not settled:
            continue
        for id_, mark in sorted(held.items()):
            if id_ not in left:
                yield Anomaly(NAME, "invented", f"cycle {number}: {id_} came to {final.node}")
            elif left[id_] != mark:
                yield Anomaly(NAME, "hashes", f"cycle {number}: {id_} changed on {final.node}")
