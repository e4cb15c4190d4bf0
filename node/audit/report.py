"""What `verify` says: both kinds of chain, and who vouches for their ends.

Law: it holds only when everything holds. The first thing wrong is named once, at the top, in
the same words as further down.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.audit.books import WitnessBook
from node.audit.chain import Link, Owner, Verdict
from node.audit.heads import ActorHead
from node.audit.ops_walk import OpsVerdict
from node.audit.segments import verify_folder

EVENTS: Final = "events"
"""Stands for the actor where the chain of events is meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What others have seen of this node: ends of its chains, signed by both sides."""

    links: tuple[Link, ...]
    actors: tuple[ActorHead, ...]


def claims_of(book: WitnessBook) -> Claims:
    """Everything that a book vouches for, contradicted heads included."""
    heads = [witness.head for witness in (*book.newest.values(), *book.disputed)]
    return Claims(
        links=tuple(head.link for head in heads),
        actors=tuple(actor for head in heads for actor in head.actors),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One verification.

    Attributes:
        ops: the log of operations; None where there is no store yet.
        events: the chain of events; None where there is none yet.
        book: countersignatures, after the peers that can be reached were asked.
        asked: members that answered just now; None when no node runs.
    """

    ops: OpsVerdict | None
    events: Verdict | None
    book: WitnessBook
    asked: int | None

    @property
    def holds(self) -> bool:
        """Whether everything does."""
        return self.first_bad is None

    @property
    def first_bad(self) -> dict[str, Any] | None:
        """What is first wrong."""
        if self.ops is not None and self.ops.first_bad is not None:
            return self.ops.first_bad._asdict()
        if self.events is not None and self.events.first_bad is not None:
            return {"actor": EVENTS, **self.events.first_bad._asdict()}
        if self.book.unread:
            return {"actor": "witnesses", "seq": 0, "reason": "countersignature_does_not_hold"}
        return None

    def countersigned(self) -> int:
        """How many members vouch for an end of the chain of events that it still has."""
        if self.events is None or not self.events.holds:
            return 0
        return len(self.book.newest)

    def data(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        ops, events = self.ops or OpsVerdict(), self.events
        rows = events.rows_checked if events is not None else 0
        bad = events.first_bad if events is not None else None
        return {
            "chain_holds": self.holds,
            "rows_checked": ops.bundles + rows,
            "first_bad": self.first_bad,
            "heads_countersigned": self.countersigned(),
            "ops": {
                "holds": ops.first_bad is None,
                "actors": ops.actors,
                "bundles": ops.bundles,
                "operations": ops.operations,
                "truncated": ops.truncated,
            },
            "events": {
                "holds": bad is None,
                "entries": rows,
                "head": events.head.seq if events is not None else 0,
                "head_hash": events.head.hash if events is not None else "",
            },
            "witnesses": [
                {
                    "node_id": node.hex(),
                    "seq": witness.head.seq,
                    "at": witness.at,
                }
                for node, witness in sorted(self.book.newest.items())
            ],
            "peers_asked": self.asked,
        }


def verify_events(
    folder: Path,
    owner: Owner,
    claims: Claims,
    *,
    head: Link | None = None,
    step: Callable[[int], None] = lambda _rows: None,
) -> Verdict:
    """Verify the chain of events in a folder.

    Args:
        folder: where it lies.
        owner: whose it has to be.
        claims: what others have countersigned.
        head: the end that a running node knows; nothing beyond it is looked at.
        step: told now and then how many entries were verified.
    """
    known: Iterable[Link] = (*claims.links, head) if head is not None and head.seq else claims.links
    upto = None if head is None else head.seq
    return verify_folder(folder, owner, claims=known, upto=upto, step=step)
