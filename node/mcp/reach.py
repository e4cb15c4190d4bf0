"""How a server over stdio reaches its node.

Law: where the node is, is looked up for every request and not when the server starts. So a
server that was started first works once its node runs, goes on when the node comes back under
another port, and says at once that it does not run. A missing node is an answer of the tool,
never the end of the server.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.client import AsyncClient
from node.client.errors import ApiError, Unreachable
from node.client.pace import Retry
from node.client.places import Options
from node.errors import NodeError

_UNSIGNED: Final = "agent_signature_missing"
# A model waits for its tool, so it is told sooner than a program would be.
_RETRY: Final = Retry(total=15.0)


def _no_key(_agent: str) -> Path | None:
    """The keys of agents are elsewhere."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where a node is and what to present to it.

    Attributes:
        url: its address.
        options: of the client, without an agent.
        key_of: the private key of an agent, where it lies here.
    """

    url: str
    options: Options
    key_of: Callable[[str], Path | None] = _no_key

    def client(self, agent: str, *, signs: bool) -> AsyncClient:
        """A client that speaks in the name of an agent."""
        options = Options(**self.options)
        options["agent_id"] = agent or None
        options["retry"] = _RETRY
        if signs:
            options["identity_file"] = self.key_of(agent)
        return AsyncClient(self.url, **options)


Find = Callable[[], Way]
"""Looks a node up; raises `NodeError` when there is none."""


class Reach:
    """Asks a node in the name of one agent or another.

    Args:
        find: looks the node up.
    """

    def __init__(self, find: Find) -> None:
        self._find = find
        self._clients: dict[str, tuple[Way, AsyncClient]] = {}
        self._signing: set[str] = set()

    def speaking_as(self, agent: str) -> "Speaker":
        """The node, asked in the name of an agent."""
        return Speaker(self, agent)

    async def request(self, agent: str, method: str, path: str, **options: Any) -> dict[str, Any]:
        """One request.

        Raises:
            ClientError: the node said no, or nobody answered.
        """
        signed = agent in self._signing
        try:
            return await (await self._client(agent)).request(method, path, **options)
        except ApiError as error:
            if error.code != _UNSIGNED or signed:
                raise
        # A signature that nobody demands would be refused, so the node is heard first.
        self._signing.add(agent)
        await self._drop(agent)
        return await (await self._client(agent)).request(method, path, **options)

    async def _client(self, agent: str) -> AsyncClient:
        try:
            way = self._find()
        except NodeError as error:
            words = [error.what, error.why, error.fix]
            raise Unreachable(". ".join(word for word in words if word)) from error
        held = self._clients.get(agent)
        if held is not None and held[0] == way:
            return held[1]
        await self._drop(agent)
        client = way.client(agent, signs=agent in self._signing)
        self._clients[agent] = (way, client)
        return client

    async def _drop(self, agent: str) -> None:
        held = self._clients.pop(agent, None)
        if held is not None:
            await held[1].aclose()

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
