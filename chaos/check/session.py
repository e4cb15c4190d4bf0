"""Sessions: who carries a causal token reads its own writes, and never goes back.

Law: a read names as `after` the values that its token covers: what the session wrote with an
acknowledgement, and what it read. It may show any of them, anything made from them, or a value
that is concurrent with them; an ancestor of one of them, or nothing at all, is a breach. A node
that cannot know says so (412), which breaks nothing. What is left after the heal is judged as a
register.

Source: Terry et al., "Session guarantees for weakly consistent replicated data", PDIS 1994.
"""

from collections.abc import Iterable, Iterator

from chaos.check import register
from chaos.check.gathering import Operation, gather, judge_states
from chaos.check.supersession import Descent, descent
from chaos.history import Anomaly, Event

NAME = "session"


def check(history: Iterable[Event]) -> list[Anomaly]:
    """Anomalies of one cycle of the session workload.

    It reads what the register's checker reads, and `after` of reads, a list of values.
    """
    cycle = gather(history)
    made = descent(cycle.writes("create", "write"))
    reads = [each for each in cycle.writes("read") if each.ok]
    full = [each for each in reads if each.values.get("content") is not None]
    return [
        *(anomaly for each in reads for anomaly in _breaches(each, made)),
        *judge_states(cycle, NAME, lambda state: register.judge(state, made, full)),
        *register.invented_reads(NAME, full, made),
    ]


def _breaches(read: Operation, made: Descent) -> Iterator[Anomaly]:
    shown = read.values.get("content")
    for value in map(str, read.args.get("after") or ()):
        if shown is not None and not made.is_older(str(shown), value):
            continue
        write = made.writes.get(value)
        own = write is not None and write.ok and write.process == read.process
        rule = "read_your_writes" if own else "monotonic_reads"
        ops = (read.op,) if write is None else (write.op, read.op)
        yield Anomaly(NAME, rule, f"{read.node} showed {shown!r} after {value!r}", ops)
