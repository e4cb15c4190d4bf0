"""How a server over stdio reaches its node.

Law: the node is looked for when it is needed, not when the server starts, so a server that was
started first works once its node runs, and goes on when the node comes back under another port.
A missing node is an answer of the tool, never the end of the server.
"""

from collections.abc import Callable, Mapping
from typing import Any

from node.client import AsyncClient
from node.client.errors import ApiError, Unreachable
from node.errors import NodeError

Dial = Callable[[str, bool], AsyncClient]
"""Makes a client that speaks in the name of an agent, and signs with its key where it is here."""

_UNSIGNED = "agent_signature_missing"


class Reach:
    """An `Api` over the network.

    Args:
        dial: makes a client; raises `NodeError` when no node can be found.
    """

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._clients: dict[str, AsyncClient] = {}
        self._signing: set[str] = set()

    def speaking_as(self, agent: str) -> "Speaker":
        """The node, asked in the name of an agent."""
        return Speaker(self, agent)

    async def request(self, agent: str, method: str, path: str, **options: Any) -> dict[str, Any]:
        """One request; where the node has moved, it is looked for again.

        Raises:
            ClientError: the node said no, or nobody answered.
        """
        signs = agent in self._signing
        try:
            return await self._asked(agent, method, path, **options)
        except ApiError as error:
            if error.code != _UNSIGNED or signs:
                raise
        # A signature that nobody demands would be refused, so the node is heard first.
        self._signing.add(agent)
        await self._drop(agent)
        return await self._asked(agent, method, path, **options)

    async def _asked(self, agent: str, method: str, path: str, **options: Any) -> dict[str, Any]:
        known = self._clients.get(agent)
        if known is not None:
            try:
                return await known.request(method, path, **options)
            except Unreachable:
                await self._drop(agent)
        return await self._fresh(agent).request(method, path, **options)

    def _fresh(self, agent: str) -> AsyncClient:
        try:
            client = self._dial(agent, agent in self._signing)
        except NodeError as error:
            words = [error.what, error.why, error.fix]
            raise Unreachable(". ".join(word for word in words if word)) from error
        self._clients[agent] = client
        return client

    async def _drop(self, agent: str) -> None:
        client = self._clients.pop(agent, None)
        if client is not None:
            await client.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        for agent in list(self._clients):
            await self._drop(agent)


class Speaker:
    """An `Api` that speaks in the name of one agent."""

    def __init__(self, reach: Reach, agent: str) -> None:
        self._reach = reach
        self._agent = agent

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """See `node.mcp.api.Api`."""
        return await self._reach.request(
            self._agent,
            method,
            path,
            params=params,
            body=body,
            idempotency_key=idempotency_key,
        )
