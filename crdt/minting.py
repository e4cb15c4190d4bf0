"""From the drafts of one request to its operations.

Law: all or none, and nothing of the replica changes by it but the clock that stamps. Creations
under ids that nothing has belong to nothing, so each is minted as if it came alone.
"""

from collections.abc import Sequence
from typing import Protocol

from crdt.applying import Applying
from crdt.dot import DATA, PRIVATE, Dot
from crdt.hlc import HybridClock
from crdt.mint import Author, creation, operation
from crdt.op import Draft, Kind, record_key
from crdt.op_codec import check_op
from crdt.record import Record
from crdt.request import HalfHeldError, Request
from crdt.view import Approvals


class Minter(Approvals, Protocol):
    """The replica, as far as minting looks at it."""

    hlc: HybridClock
    applying: Applying

    def read(self, key: bytes) -> Record | None:
        """The newest local record under a key."""
        ...

    def next_dot(self, lane: bytes, place: int = 1) -> Dot:
        """The dot of the operation that comes next in a lane, or that many places on."""
        ...


def minted(replica: Minter, drafts: Sequence[Draft], author: Author, now_ms: int) -> Request:
    """The operations of a request of several drafts.

    Raises:
        DeniedError, crdt.mint.MissingRecordError, crdt.op_codec.OpError: as `Replica.mint`.
    """
    keys = _fresh_keys(drafts)
    if keys is not None:
        return _created(replica, drafts, keys, author, now_ms)
    try:
        return _together(replica, drafts, author, now_ms)
    except HalfHeldError:
        # The held part first: then the rest is held with it.
        return _together(replica, list(reversed(drafts)), author, now_ms)


def _fresh_keys(drafts: Sequence[Draft]) -> list[bytes] | None:
    """The keys of drafts that only create, each under an id that nothing has; else None."""
    keys = [
        record_key(PRIVATE if draft.private else DATA, draft.collection, draft.id)
        for draft in drafts
        if draft.fresh and draft.kind is Kind.CREATE
    ]
    return keys if len(keys) == len(drafts) == len(set(keys)) else None


def _created(
    replica: Minter, drafts: Sequence[Draft], keys: list[bytes], author: Author, now_ms: int
) -> Request:
    request, tick, verdict = Request(), replica.hlc.tick, replica.applying.verdict
    following: dict[bytes, Dot] = {}
    for draft, key in zip(drafts, keys, strict=True):
        lane = key[:1]
        dot = following.get(lane) or replica.next_dot(lane)
        following[lane] = Dot(dot.actor, dot.seq + 1)
        op = creation(draft, None, dot, tick(now_ms), author)
        check_op(op)
        request.take_new(op, key, verdict(op))
    return request


def _together(replica: Minter, drafts: Sequence[Draft], author: Author, now_ms: int) -> Request:
    request = Request()
    count = {PRIVATE: 0, DATA: 0}
    for draft in drafts:
        lane = PRIVATE if draft.private else DATA
        key = record_key(lane, draft.collection, draft.id)
        if key not in request.scratch:
            held = None if draft.fresh else replica.read(key)
            request.scratch[key] = (held, held)
        count[lane] += 1
        dot = replica.next_dot(lane, count[lane])
        record = request.scratch[key][1]
        op = operation(draft, record, replica, dot, replica.hlc.tick(now_ms), author)
        if request.ops:
            op = request.leader(op)
        check_op(op)
        request.take(op, key, request.verdict_with(op, replica.applying.verdict(op)))
    return request
