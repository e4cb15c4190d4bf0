"""One line of the log per request, where the operator asked for it.

Law: it says who, which route, how it ended, how long it took and how much was sent; never what was
asked for or answered, and no address, for addresses name what people look for. While it is off it
costs a request one look at a setting.
"""

import re
from collections.abc import Callable
from typing import Final

from aiohttp import web

from node.auth.door import AGENT
from node.http.answer import Answer
from node.http.call import Call

EVENT: Final = "request_served"
UNMATCHED: Final = "unmatched"
_PRINT_CHARS: Final = 16
_MS: Final = 1000
# A name that a stranger sends is shown only where it looks like one.
_NAME: Final = re.compile(r"[A-Za-z0-9._:@/+-]{1,128}")
_METHOD: Final = re.compile(r"[A-Z]{1,16}")


class RequestLog:
    """Writes the lines.

    Args:
        log: writes one event with its facts.
        on: whether lines are wanted, asked anew for every request.
    """

    def __init__(
        self, log: Callable[..., None] | None = None, on: Callable[[], bool] | None = None
    ) -> None:
        self._log = log
        self._on = on

    @property
    def wanted(self) -> bool:
        """Whether a line is to be written for the request at hand."""
        return self._on is not None and self._on()

    def note(self, call: Call, answer: Answer | web.StreamResponse, seconds: float) -> None:
        """Write the line of one request.

        Args:
            call: as it was served.
            answer: what was sent; a stream or a link is noted when it is over.
            seconds: from its head to its answer.
        """
        if self._log is None:
            return
        sent = len(answer.body) if isinstance(answer, Answer) else answer.body_length
        self._log(
            EVENT,
            agent=_agent(call),
            key=call.grant.name,
            peer=(call.peer or "")[:_PRINT_CHARS],
            method=call.method if _METHOD.fullmatch(call.method) else "other",
            route=call.route.path if call.route is not None else UNMATCHED,
            status=answer.status,
            ms=round(seconds * _MS, 3),
            bytes_in=len(call.body),
            bytes_out=sent,
        )


def _agent(call: Call) -> str:
    """The agent that the key or a signature proves, else the one that the header names."""
    named = call.grant.agent_id or call.signer or call.headers.get(AGENT, "")
    return named if _NAME.fullmatch(named) else ""
