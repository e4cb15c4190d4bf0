"""What clients asked and what they were told.

Law: an operation whose answer never came, or came as an indefinite error, is `info`: it may
have happened, may still happen, or never. Only a definite error makes it a `fail`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from chaos.recorder import Recorder

Outcome = Literal["ok", "fail", "info"]


@dataclass(slots=True, kw_only=True)  # completed in place by the one client that runs it
class Op:
    """One operation of one client.

    Attributes:
        f: what was asked: `broadcast`, `add`, `read`, `generate`, `echo`.
        value: what was given; None for a read.
        node: whom.
        client: who asked.
        began_s: when, in seconds since the test began.
        ended_s: when it was answered or given up.
        outcome: what it came to.
        answer: what was read or given out.
        error: what was said instead.
        final: whether it is a last read, after all faults had ended.
    """

    f: str
    value: Any = None
    node: str
    client: str = ""
    began_s: float = 0.0
    ended_s: float = float("inf")
    outcome: Outcome = "info"
    answer: Any = None
    error: str = ""
    final: bool = False


def record(ops: Iterable[Op], recorder: Recorder) -> None:
    """Write operations as a history, in the order in which they were asked.

    Raises:
        OSError: it could not be written.
    """
    for op in sorted(ops, key=lambda op: op.began_s):
        number = recorder.invoke(
            op.client, op.node, op.f, value=op.value, final=op.final, began_s=op.began_s
        )
        said: dict[str, Any] = {"error": op.error} if op.error else {"answer": op.answer}
        if op.ended_s != float("inf"):
            said["ended_s"] = op.ended_s
        recorder.complete(number, op.outcome, **said)
