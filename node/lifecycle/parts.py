"""One request that changes many records, in as few bundles as hold it.

Law: what fits into one bundle is one call of the funnel: all of it or nothing. Of what does
not, everything is asked of governance before the first part is minted, and the parts of a
wave are minted one after the other in one step; a part is known by the key of the request and
its number, so a retry tells what was done and finishes what was begun.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from crdt.dot import Dot
from crdt.op import Draft, Op
from node.contracts import Receipt, RetryKey
from node.errors import QuorumNotMet
from node.memory.memories import Ask, Memories
from node.memory.problems import Shortfall

PART_OPS_MAX: Final = 500
PART_BYTES_MAX: Final = 1 << 20
_WAVE: Final = 8
_STRIDE: Final = 64
_OP_BYTES: Final = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work(Generic[T]):
    """What a request changes.

    Attributes:
        items: what it is about, each a piece that is never cut.
        drafts_of: the drafts of an item as things stand; none when there is nothing left to do.
    """

    items: Sequence[T]
    drafts_of: Callable[[T], Sequence[Draft]]


async def write_all(
    memories: Memories, work: Work[T], ask: Ask, action: str, **facts: object
) -> Receipt | None:
    """Write everything; None when there was nothing to write.

    Parts are numbered on from those that the key of the request is known by already.

    Raises:
        Shortfall: stored here, not on W members; told with the facts.
        node.errors.WriteError: nothing was minted; of a request of many parts perhaps earlier
            ones, which a retry with the same key tells of.
    """
    parts = _packed([list(work.drafts_of(item)) for item in work.items[:PART_OPS_MAX]])
    if len(work.items) <= PART_OPS_MAX and len(parts) <= 1:
        number = len(known_parts(memories, ask.retry))
        one = replace(ask, retry=_numbered(ask.retry, number))
        return await memories.commit(parts[0], one, action, **facts) if parts else None
    await _check(memories, work, ask)
    done, number = Sum(), len(known_parts(memories, ask.retry))
    for start in range(0, len(work.items), _WAVE * PART_OPS_MAX):
        wave = work.items[start : start + _WAVE * PART_OPS_MAX]
        parts = _packed([list(work.drafts_of(item)) for item in wave])
        await done.add(memories, parts, ask, action, number)
        number += len(parts)
    return done.outcome(facts)


async def replayed(memories: Memories, ask: Ask, action: str, **facts: object) -> Receipt:
    """What is known by now of a request that was made before, all of its parts together.

    Raises:
        Shortfall: stored here, not on W members; told with the facts.
    """
    done = Sum()
    count = len(known_parts(memories, ask.retry))
    await done.add(memories, [[] for _ in range(count)], ask, action, 0)
    return done.outcome(facts) or nothing_written(memories)


def nothing_written(memories: Memories) -> Receipt:
    """Of having had nothing to write: true at once, everywhere."""
    token = memories.funnel.reader().token()
    return Receipt(dots=(), local=True, acks=0, needed=0, peers=(), token=token)


def known_parts(memories: Memories, retry: RetryKey | None) -> list[tuple[Dot, ...]]:
    """The operations of each part of a request that was made before; empty when it is new.

    Raises:
        node.errors.RetryKeyReused: the key came with another request before.
    """
    found: list[tuple[Dot, ...]] = []
    while retry is not None:
        dots = memories.known(_numbered(retry, len(found)))
        if dots is None:
            break
        found.append(dots)
    return found


def known_ops(memories: Memories, retry: RetryKey | None) -> list[Op]:
    """The operations of an earlier request, as far as they are in the log."""
    dots = [dot for part in known_parts(memories, retry) for dot in part]
    return memories.funnel.reader().written(dots)


def was_cut_short(memories: Memories, retry: RetryKey | None) -> bool:
    """Whether an earlier request had many parts, so that some of them may never have begun."""
    parts = known_parts(memories, retry)
    return len(parts) > 1 or (bool(parts) and len(parts[0]) >= PART_OPS_MAX // 2)


@dataclass(slots=True)
class Sum:
    """What is known of all parts together: the weakest of each."""

    receipt: Receipt | None = None
    shortfall: QuorumNotMet | None = None

    async def add(
        self,
        memories: Memories,
        parts: Sequence[Sequence[Draft]],
        ask: Ask,
        action: str,
        first: int,
    ) -> None:
        """Write parts, begun in their order, and wait for all of them."""
        writes = [
            memories.funnel.write(
                part, caller=ask.caller, action=action, retry=_numbered(ask.retry, first + place)
            )
            for place, part in enumerate(parts)
        ]
        for outcome in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(outcome, Receipt):
                self._weigh(outcome)
            elif isinstance(outcome, QuorumNotMet) and isinstance(outcome.receipt, Receipt):
                self._weigh(outcome.receipt)
                self.shortfall = outcome
            else:
                raise outcome

    def outcome(self, facts: dict[str, object]) -> Receipt | None:
        """What is known of the whole request.

        Raises:
            Shortfall: a part is not on W members.
        """
        if self.shortfall is not None:
            raise Shortfall(self.shortfall, facts) from self.shortfall
        return self.receipt

    def _weigh(self, one: Receipt) -> None:
        held = self.receipt
        if held is None:
            self.receipt = one
            return
        self.receipt = replace(
            one,
            dots=(*held.dots, *one.dots),
            acks=min(held.acks, one.acks),
            needed=max(held.needed, one.needed),
            peers=tuple(peer for peer in held.peers if peer in one.peers),
            replayed=held.replayed or one.replayed,
            pending_id=held.pending_id or one.pending_id,
            held={**held.held, **one.held},
        )


async def _check(memories: Memories, work: Work[T], ask: Ask) -> None:
    """Ask governance about everything before anything of it is minted.

    Raises:
        node.errors.Denied: it refuses a part.
    """
    for step, item in enumerate(work.items, start=1):
        for draft in work.drafts_of(item):
            memories.check_allowed(draft, ask.caller)
        if step % _STRIDE == 0:
            await asyncio.sleep(0)


def _numbered(retry: RetryKey | None, number: int) -> RetryKey | None:
    """By which one part of a request is known; no client can send such a key."""
    if retry is None or not number:
        return retry
    return replace(retry, key=f"{retry.key}\0{number}")


def _packed(groups: Sequence[list[Draft]]) -> list[list[Draft]]:
    """Drafts in parts that fit; a group is never cut."""
    parts: list[list[Draft]] = []
    size = 0
    for group in groups:
        weight = sum(_weight(draft) for draft in group)
        full = not parts or len(parts[-1]) + len(group) > PART_OPS_MAX
        if group and (full or size + weight > PART_BYTES_MAX):
            parts.append([])
            size = 0
        if group:
            parts[-1] += group
            size += weight
    return parts


def _weight(draft: Draft) -> int:
    said = (value for value in draft.set.values() if isinstance(value, (str, bytes)))
    return _OP_BYTES + sum(len(value) for value in said)
