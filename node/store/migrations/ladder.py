"""Which step follows which, as data.

Law: each step begins where the one before ended, the last ends at today's schema, and none is
ever taken away: whoever has the oldest store climbs them all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from node.store.errors import StoreTooOld
from node.store.migrations import step_1_to_2
from node.store.migrations.stage import Rows, Stage
from node.store.schema import SCHEMA_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From one schema to the next.

    Attributes:
        source: the schema it reads; it writes the one after.
        what: what becomes of the store, for people.
        growth: how many times its present size the file may grow by.
        check: reads every row of a store of the old schema; returns how many there are.
        weights: (key, checksum) of every record in a store of the old schema.
        work: makes the new tables in the transaction of its stage; returns the rows written.
    """

    source: int
    what: str
    growth: float
    check: Callable[[Stage], int]
    weights: Callable[[Stage], Rows]
    work: Callable[[Stage], int]

    @property
    def target(self) -> int:
        """The schema it writes."""
        return self.source + 1


LADDER: Final[tuple[Step, ...]] = (
    Step(
        source=1,
        what="records stand in the feed; their own table says where",
        growth=1.5,
        check=step_1_to_2.check_old,
        weights=step_1_to_2.weights_before,
        work=step_1_to_2.work,
    ),
)


def steps_from(schema: int, ladder: Sequence[Step] = LADDER) -> tuple[Step, ...]:
    """The steps that bring a store of a schema up to today's; none when it is today's.

    Raises:
        StoreTooOld: no step begins there.
    """
    steps = tuple(step for step in ladder if step.source >= schema)
    if schema < SCHEMA_VERSION and (not steps or steps[0].source != schema):
        raise StoreTooOld(
            f"the store has schema {schema}, which no step of this program reads",
            fix="Remove the file CURRENT beside the store and let the node rebuild from its "
            "peers; the store was left untouched",
        )
    return steps
