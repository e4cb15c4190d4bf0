"""One item of a push on its way through the funnel, and what that made of it.

Law: an item is judged and minted in one step, without waiting in between, so that it rests on
exactly what was seen. What the gate or governance refuses is `refused` and changes nothing;
what is stored here and not yet on W members is applied all the same, and told as a shortfall.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from crdt.dot import Dot
from crdt.op_codec import OpError
from node import errors
from node.contracts import Caller, Receipt, RetryKey
from node.foreign.entries import Entry
from node.foreign.report import APPLIED, DUPLICATE, INVALID, REFUSED, Result
from node.memory.problems import RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The foreign peer that an item comes from.

    Attributes:
        key: under which it is remembered: the fingerprint of its certificate.
        name: its id; acts where an item names nobody.
    """

    key: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one item.

    Attributes:
        result: what the sender is told.
        entries: what to remember, by kind and id.
        receipt: of what was written for it.
        shortfall: the write is here and not on W members.
    """

    result: Result
    entries: Mapping[tuple[str, str], Entry] = field(default_factory=dict)
    receipt: Receipt | None = None
    shortfall: errors.QuorumNotMet | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A write that is stored here.

    Attributes:
        receipt: what is known of it.
        shortfall: fewer than W members hold it.
    """

    receipt: Receipt
    shortfall: errors.QuorumNotMet | None = None

    @property
    def dots(self) -> tuple[Dot, ...]:
        """Its operations."""
        return self.receipt.dots

    @property
    def pending_id(self) -> str:
        """Under which it waits for approval; empty when it does not."""
        return self.receipt.pending_id or ""

    def done(self, kind: str, ident: str, entries: Mapping[tuple[str, str], Entry]) -> Done:
        """The outcome of the item that it was written for."""
        status = DUPLICATE if self.receipt.replayed else APPLIED
        return Done(
            result=Result(kind=kind, id=ident, status=status, pending_id=self.pending_id),
            entries=entries,
            receipt=self.receipt,
            shortfall=self.shortfall,
        )


async def landed(write: Awaitable[Receipt]) -> Landed:
    """Wait for a write; a shortfall is an answer like others.

    Raises:
        node.errors.WriteError: nothing was minted, or it is not known to be stored here.
    """
    shortfall = None
    try:
        receipt = await write
    except errors.QuorumNotMet as error:
        if not isinstance(error.receipt, Receipt) or not error.receipt.local:
            raise
        receipt, shortfall = error.receipt, error
    return Landed(receipt=receipt, shortfall=shortfall)


async def settled(kind: str, ident: str, work: Awaitable[Done]) -> Done:
    """The outcome of one item; what concerns it alone becomes its result.

    Raises:
        node.errors.WriteError: the node takes no writes now; nothing of the item was written.
    """
    try:
        return await work
    except (errors.Denied, errors.QuotaExceeded) as error:
        return Done(result=Result(kind=kind, id=ident, status=REFUSED, error=_words(error)))
    except (RequestError, OpError, errors.RetryKeyReused) as error:
        return Done(result=Result(kind=kind, id=ident, status=INVALID, error=_words(error)))


def _words(error: Exception) -> str:
    code = error.code if isinstance(error, errors.NodeError) else ""
    return f"{code}: {error}" if code else str(error)


def retry_key(caller: Caller, sender: Sender, *parts: str) -> RetryKey:
    """By which the same item of the same peer is known again, on any node that has seen it."""
    said = "\x00".join((sender.key, *parts))
    digest = hashlib.sha256(said.encode())
    return RetryKey(agent=caller.agent, key=f"sync-{digest.hexdigest()}", body=digest.digest())


async def in_turn(works: Sequence[Callable[[], Awaitable[Done]]], at_once: int) -> list[Done]:
    """Run items, at most so many at once, each begun in its turn.

    All that began are waited for, whatever becomes of one.

    Raises:
        node.errors.WriteError: the node takes no writes now; carries what was done before as
            `done` of `Interrupted`.
    """
    done: list[Done] = []
    for start in range(0, len(works), at_once):
        batch = [work() for work in works[start : start + at_once]]
        found = await asyncio.gather(*batch, return_exceptions=True)
        done += [one for one in found if isinstance(one, Done)]
        for one in found:
            if isinstance(one, BaseException):
                raise Interrupted(done) from one
    return done


class Interrupted(Exception):  # noqa: N818 - it says what happened
    """The node stopped taking items; the cause says why.

    Attributes:
        done: what became of those before.
    """

    def __init__(self, done: list[Done]) -> None:
        super().__init__("the node stopped taking items")
        self.done = done


def dots_text(dots: Sequence[Dot]) -> str:
    """Operations as one short text, for the name of a retry."""
    state = hashlib.sha256()
    for dot in sorted(dots):
        state.update(dot.actor + dot.seq.to_bytes(8, "big"))
    return state.hexdigest()[:32]
