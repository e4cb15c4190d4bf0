"""Changes of documents as a client would make them, for the tests that send some."""

import base64
from collections.abc import Sequence

from crdt.document.change import encode_change
from crdt.document.model import Action, Change, ChangeOp, Scalar, ScalarKind

SPLICE = [{"op": "splice", "path": ["text"], "index": 0, "insert": "spliced "}]


def change_of(key: str, number: int = 1, actor: bytes = b"\x07" * 16) -> Change:
    """A change made upon nothing, that puts a number at a key of the root."""
    value = Scalar(ScalarKind.INT, number)
    op = ChangeOp(obj=None, key=key, insert=False, action=Action.SET, value=value)
    return encode_change(actor=actor, seq=1, start_op=1, time=0, message=None, deps=(), ops=(op,))


def change_upon(deps: Sequence[Change], number: int) -> Change:
    """A change made upon others, by an actor of its own."""
    value = Scalar(ScalarKind.INT, number)
    op = ChangeOp(obj=None, key=f"k{number}", insert=False, action=Action.SET, value=value)
    return encode_change(
        actor=number.to_bytes(16, "big"),
        seq=1,
        start_op=1 + max((one.start_op for one in deps), default=0),
        time=0,
        message=None,
        deps=[one.hash for one in deps],
        ops=(op,),
    )


def in_base64(*changes: Change) -> list[str]:
    """As JSON carries them."""
    return [base64.b64encode(one.data).decode() for one in changes]
