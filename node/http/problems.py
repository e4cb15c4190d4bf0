"""How a refusal becomes an answer: one envelope for every error.

Law: `{"error": <stable code or sentence>, "detail": ...}` with the status that API clients
expect. What a class of error means is said on the class; this file only translates. An
unexpected error says nothing about itself to the client.
"""

import functools
from collections.abc import Mapping
from typing import Any

from crdt.dot import Dot, actor_text
from node.contracts import Receipt
from node.errors import HookRefused, NodeError, QuorumNotMet, QuotaExceeded, WriteError
from node.http.answer import Answer, json_answer
from node.memory.problems import RequestError, Shortfall


class Problem(Exception):  # noqa: N818 - a refusal, named as in RFC 9457
    """A refusal by the HTTP face itself.

    Args:
        status: HTTP status.
        error: stable code, or a sentence where clients know one.
        detail: what happened and what to do, in words.
        headers: further headers.
        cut: whether the connection ends here, however much is still to be read.
        extra: further fields of the envelope.
    """

    def __init__(
        self,
        status: int,
        error: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        cut: bool = False,
        **extra: Any,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.detail = detail
        self.headers = headers
        self.cut = cut
        self.extra = extra

    def answer(self) -> Answer:
        """The envelope."""
        body = {"error": self.error, "detail": self.detail, **self.extra}
        return json_answer(body, self.status, headers=self.headers, cut=self.cut)


_actor_text = functools.lru_cache(maxsize=256)(actor_text)


def _dot_text(dot: Dot) -> str:
    """As `crdt.dot.dot_text`; one's own actors are few, and written again and again."""
    return f"{_actor_text(dot.actor)}:{dot.seq}"


def durability(receipt: Receipt) -> dict[str, Any]:
    """What is known about where a write is, as every write tells."""
    return {
        "local": receipt.local,
        "acks": receipt.acks,
        "needed": receipt.needed,
        "peers": receipt.peers,
        "dot": _dot_text(receipt.dots[-1]) if receipt.dots else None,
        "token": receipt.token,
    }


def told(receipt: Receipt, **fields: Any) -> dict[str, Any]:
    """The fields of an answer to a write, with what every write tells beside them."""
    fields["quorum_acks"] = receipt.acks
    fields["durability"] = durability(receipt)
    return fields


def refusal(error: NodeError) -> Answer:
    """The answer to an error of the node."""
    if isinstance(error, QuorumNotMet):
        return shortfall(error, {})
    extra = error.extra() if isinstance(error, RequestError | QuotaExceeded | HookRefused) else {}
    headers = None
    if isinstance(error, WriteError) and error.retry_after_seconds is not None:
        headers = {"Retry-After": str(error.retry_after_seconds)}
    body = {"error": error.code, "detail": str(error), **extra}
    return json_answer(body, error.http_status, headers=headers)


def shortfall(error: QuorumNotMet, facts: Mapping[str, Any]) -> Answer:
    """The answer to a write that is stored here and not on W members."""
    body: dict[str, Any] = {
        "error": error.code,
        "detail": str(error),
        "got": error.got,
        "needed": error.needed,
        "reason": error.reason,
        **facts,
    }
    if isinstance(error.receipt, Receipt):
        body |= told(error.receipt)
    headers = {"Retry-After": str(error.retry_after_seconds)}
    return json_answer(body, error.http_status, headers=headers)


def refused(error: Exception) -> Answer | None:
    """The answer to an expected error; None for one that nobody expected."""
    if isinstance(error, Problem):
        return error.answer()
    if isinstance(error, Shortfall):
        return shortfall(error.cause, error.facts)
    if isinstance(error, NodeError):
        return refusal(error)
    return None
