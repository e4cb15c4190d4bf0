"""What is known of the integrity of a store, as one value.

Law: plain values, gathered once; nothing here reads a clock, a file or a socket.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrityFacts:
    """The integrity of one node's store.

    Attributes:
        store: id of the store; another one after it was set aside or replaced.
        scrub_interval_hours: how often the store is read through by itself; 0 for never.
        last_pass_ms: when a full pass over the store ended last, milliseconds since the epoch;
            None when none ever did in this data directory.
        last_pass_rows: how many rows that pass read.
        passes: how many came to their end since the process started, for good or ill.
        running: whether a pass is under way.
        done_ratio: how far the pass under way is, 0 to 1; 0 when none is.
        corrupt: damaged rows found since the process started.
        repaired: of those, made whole again.
        left: damaged rows that are still there, by table; empty when the store is whole.
        quarantined: how many records are not served because their row is damaged.
        no_peer: of those, how many no peer can give back (private ones): a backup can.
        aside: folders of damaged stores that were set aside and still lie in the data directory.
        trouble: why the last repair did not come to its end; empty when it did.
    """

    store: str = ""
    scrub_interval_hours: float
    last_pass_ms: int | None = None
    last_pass_rows: int = 0
    passes: int = 0
    running: bool = False
    done_ratio: float = 0.0
    corrupt: int = 0
    repaired: int = 0
    left: Mapping[str, int]
    quarantined: int = 0
    no_peer: int = 0
    aside: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def whole(self) -> bool:
        """Whether nothing damaged is known of."""
        return not self.left and not self.quarantined
