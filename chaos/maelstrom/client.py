"""A client of the network: one request at a time, and what came of it.

Law: only a definite error says that something did not happen; silence, an indefinite or
unknown error and an answer of the wrong form leave it open. An answer to a request that was
given up is passed over.
"""

from collections.abc import Mapping
from typing import Any, Final

import trio

from chaos.maelstrom.history import Outcome
from chaos.maelstrom.message import ERRORS, MalformedError, Message, made
from chaos.maelstrom.network import Network
from chaos.maelstrom.workload import Request

TIMEOUT_S: Final = 5.0

Answer = tuple[Outcome, Any, str]
"""What it came to, what was answered, and what was said instead."""


class Client:
    """One client.

    Args:
        name: its id in the network.
        network: carries its messages.
        timeout_s: how long it waits for an answer.

    Attributes:
        malformed: answers that the protocol does not have, for people.
    """

    def __init__(self, name: str, network: Network, timeout_s: float = TIMEOUT_S) -> None:
        self.name = name
        self.malformed: list[str] = []
        self._network, self._timeout_s = network, timeout_s
        self._asked = 0
        self._answer: Mapping[str, Any] | None = None
        self._answered = trio.Event()
        network.join(name, self._deliver)

    def _deliver(self, message: Message) -> None:
        if message.body.get("in_reply_to") == self._asked and self._answer is None:
            self._answer = message.body
            self._answered.set()

    async def call(self, node: str, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Send one request; None when no answer came in time."""
        self._asked += 1
        self._answer, self._answered = None, trio.Event()
        self._network.send(made(self.name, node, {**body, "msg_id": self._asked}))
        with trio.move_on_after(self._timeout_s):
            await self._answered.wait()
        return self._answer

    async def ask(self, node: str, f: str, request: Request, value: object) -> Answer:
        """Make one request of a workload."""
        body = await self.call(node, request.body(f, value))
        if body is None:
            return "info", None, "no answer in time"
        if body.get("type") == "error":
            return self._error(body)
        try:
            return "ok", request.answer(f, body), ""
        except MalformedError as error:
            self.malformed.append(f"{node}: {error}")
            return "info", None, str(error)

    @staticmethod
    def _error(body: Mapping[str, Any]) -> Answer:
        code = body.get("code")
        name, definite = ERRORS.get(code, ("unknown", False)) if type(code) is int else ("", False)
        said = f"{name or 'an error without a code'} {body.get('text', '')}".strip()
        return ("fail" if definite else "info"), None, said
