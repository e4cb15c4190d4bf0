"""The funnel of a node that is traced: each write that waits for its quorum, in a span.

Law: it is the funnel, and does what that does; only what it tells of itself is more.
"""

from typing import Any

from crdt.op import Op
from crdt.policy import Verdict
from node.contracts import Receipt
from node.errors import WriteError
from node.replication.funnel import LocalFunnel
from node.telemetry.tracing import Tracing


class TracedFunnel(LocalFunnel):
    """A funnel whose writes are followed.

    Args:
        tracing: follows them.
        options: those of the funnel.
    """

    def __init__(self, tracing: Tracing, **options: Any) -> None:
        super().__init__(**options)
        self._tracing = tracing

    async def _confirmed(self, ops: list[Op], verdicts: list[Verdict]) -> Receipt:
        span = self._tracing.begin_write([op.dot for op in ops])
        if span is None:
            return await super()._confirmed(ops, verdicts)
        outcome = "unknown"
        try:
            receipt = await super()._confirmed(ops, verdicts)
            outcome = "committed"
            span.say("mnemesh.acks", receipt.acks)
        except WriteError as error:
            outcome = error.code
            span.fail(outcome)
            raise
        finally:
            span.say("mnemesh.outcome", outcome)
            span.end()
        return receipt
