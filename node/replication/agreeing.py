"""Asking the hooks of this node between the gate and the minting of a write.

Law: hooks are asked about what would be minted now, after everybody else agreed, and before
anything is. Asking takes time, in which others write: whatever the request rests on must be as it
was, or nothing is minted and the caller is told to come again. So a write still supersedes
exactly what its maker has seen.
"""

from collections.abc import Callable, Sequence

from crdt.dot import DATA, PRIVATE, Dot
from crdt.op import Draft, Op, record_key
from node.contracts import Caller, GovernanceDraft
from node.errors import ChangedMeanwhile
from node.gate import Agreeing, Agreement
from node.replication.engine import Engine


class Rehearsed(Exception):  # noqa: N818 - it ends a rehearsal, and is no error
    """All operations of a request were made and let pass; none is minted."""


class Rehearsal:
    """Takes the place of the last check before minting, and lets nothing be minted.

    Args:
        count: how many operations the request has.
        check: what the key of the caller demands of each; None when it demands nothing.
    """

    def __init__(self, count: int, check: Callable[[Op], None] | None) -> None:
        self.ops: list[Op] = []
        self._count = count
        self._check = check

    def __call__(self, op: Op) -> None:
        """Take one operation.

        Raises:
            crdt.request.DeniedError: the key does not reach that far.
            Rehearsed: it was the last.
        """
        if self._check is not None:
            self._check(op)
        self.ops.append(op)
        if len(self.ops) >= self._count:
            raise Rehearsed


class Asked:
    """What was asked, and whether it still stands.

    Args:
        engine: whose state the request rests on.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def write(
        self,
        hooks: Agreeing,
        ops: Sequence[Op],
        drafts: Sequence[Draft],
        caller: Caller,
        action: str,
    ) -> bool:
        """Ask about a change of records; whether anybody was asked.

        Raises:
            node.errors.HookRefused, node.errors.HookFailed: nothing may be minted.
            ChangedMeanwhile: one of the records is not what it was.
        """
        replica = self._engine.replica
        keys = [
            record_key(PRIVATE if one.private else DATA, one.collection, one.id) for one in drafts
        ]
        before = [replica.read(key) for key in keys]
        if not await _agreed(hooks.writes(ops, caller=caller, action=action)):
            return False
        if any(replica.read(key) != was for key, was in zip(keys, before, strict=True)):
            raise _changed("a record")
        return True

    async def govern(
        self, hooks: Agreeing, drafts: Sequence[GovernanceDraft], caller: Caller
    ) -> bool:
        """Ask about a change of governance; whether anybody was asked.

        Raises:
            node.errors.HookRefused, node.errors.HookFailed: nothing may be minted.
            ChangedMeanwhile: governance is not what it was.
        """
        replica = self._engine.replica
        before = replica.governance.heads
        if not await _agreed(hooks.governs(drafts, caller=caller)):
            return False
        if replica.governance.heads != before:
            raise _changed("governance")
        return True

    async def vote(
        self, hooks: Agreeing, pending: Dot, caller: Caller, *, yes: bool, reason: str
    ) -> bool:
        """Ask about a vote; whether anybody was asked.

        Raises:
            node.errors.HookRefused, node.errors.HookFailed: nothing may be minted.
            ChangedMeanwhile: somebody else voted.
        """
        held = self._engine.replica.pending[pending]
        before = frozenset(held.votes)
        asked = hooks.votes(pending, held, yes=yes, reason=reason, caller=caller)
        if not await _agreed(asked):
            return False
        now = self._engine.replica.pending.get(pending)
        if now is None or frozenset(now.votes) != before:
            raise _changed("the action")
        return True


async def _agreed(asked: Agreement | None) -> bool:
    if asked is None:
        return False
    await asked
    return True


def _changed(what: str) -> ChangedMeanwhile:
    return ChangedMeanwhile(
        f"{what} changed while a hook was asked",
        why="the write would have rested on something else than its maker has seen",
        fix="Nothing was written; try again",
    )
