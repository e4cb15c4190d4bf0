"""What of a memory's past a caller may know.

Law: sharing a memory does not publish what it said while it was private, and a key limited to
subtrees learns nothing of the time before a memory was moved into them. Its author, and those
whom the author let in by name, know all of its past. Where the log no longer tells how private
an older operation was, and a newer one ended some privacy, it is taken for private.
"""

from collections.abc import Sequence

from crdt.dot import PRIVATE, lane_of
from crdt.op import Kind, Op
from crdt.roles import within
from node.contracts import Caller, Held
from node.memory.record import PRIVATE_SCOPE, is_party


def known_history(held: Held, newest_first: Sequence[Op], viewer: Caller) -> list[Op]:
    """The operations on a memory that a caller may know, newest first.

    Args:
        held: the memory, which the caller may see.
        newest_first: all of its operations that are still in the log.
        viewer: who asks.
    """
    # Others may have made records of their own under the same id: those are none of this one.
    ops = [op for op in newest_first if op.owner == held.view.owner]
    spaces = viewer.namespaces
    if spaces is not None:
        ops = [op for op in ops if within(op.namespace, spaces)]
    if is_party(held, viewer.agent):
        return ops
    shared = [op for op in ops if lane_of(op.dot.actor) != PRIVATE]
    return _while_open(shared)


def _while_open(newest_first: list[Op]) -> list[Op]:
    """Without what was said while the scope was private."""
    known: list[Op] = []
    closed = any(_scope(op) is not None for op in newest_first)
    for op in reversed(newest_first):
        scope = _scope(op)
        if scope is not None:
            closed = scope == PRIVATE_SCOPE
        if not closed:
            known.append(op)
    return known[::-1]


def _scope(op: Op) -> str | None:
    """The scope that an operation settles; empty for the default, None for no word of it."""
    if "scope" in op.set:
        return str(op.set["scope"])
    return "" if op.kind is Kind.CREATE or "scope" in op.removed else None
