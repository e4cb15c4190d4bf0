"""How a retry is known: by agent and key, on every node that has seen the first one.

Law: one spelling of the mark, for writes, decisions and membership alike; the same key with
another request is refused and changes nothing.
"""

import hashlib
from typing import Final

from crdt.dot import Dot
from crdt.op import Idempotency
from crdt.overlay import Overlay
from node import errors
from node.contracts import RetryKey

_MARK_BYTES: Final = 16


def mark_of(retry: RetryKey) -> Idempotency:
    """What an operation carries of a retry key."""
    scope = hashlib.sha256(f"{retry.agent}\x00{retry.key}".encode()).digest()
    return Idempotency(scope=scope[:_MARK_BYTES], body=retry.body[:_MARK_BYTES])


def earlier(overlay: Overlay, retry: RetryKey) -> tuple[Dot, ...] | None:
    """The dots of an earlier request with this key and body; None when it is new.

    Raises:
        node.errors.RetryKeyReused: the key came with another request before.
    """
    mark = mark_of(retry)
    row = overlay.remembered(mark.scope)
    if row is None:
        return None
    if row.body != mark.body:
        raise errors.RetryKeyReused(
            "this Idempotency-Key came with another request before",
            fix="Use a new key for a new request",
        )
    return row.dots
