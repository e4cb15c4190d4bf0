"""What a tool needs of a node: one request, one answer.

Law: tools speak to this and to nothing else, so the same tool serves a process that reaches
its node over the network and the node itself.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

PREFIX: Final = "/api/v1"


class Api(Protocol):
    """Asks one node."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Send one request.

        Args:
            method: HTTP method.
            path: from the root, as `/api/v1/memories`; ids in it are percent-encoded.
            params: of the address; values are texts and numbers.
            body: JSON.
            idempotency_key: makes a repetition harmless.

        Returns:
            The answer's JSON object.

        Raises:
            node.client.errors.ClientError: the node said no, or nobody answered.
        """
        ...
