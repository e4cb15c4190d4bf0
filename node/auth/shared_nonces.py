"""Nonces that one member has taken are over on the others as well.

Law: a signature does not say for which node it is, so a request that somebody overheard could
be sent to another member. Each nonce that an agent has used here is told to all linked
members, as a hash, before its request goes on. That is said aside and once: a member that was
away does not learn of it. What a member says is only ever used to refuse.
"""

from collections.abc import Callable
from typing import Final

from node.auth.nonces import KEY_BYTES, NonceStore, nonce_key

TOPIC: Final = "nonce"
_SHARED: Final = "agent"
"""The nonces of peers stay here: each is enrolled at one node, and their rows know retries."""


class SharedNonces:
    """Remembers nonces, and tells them.

    Args:
        own: remembers them.
        tell: says something to all linked members.
    """

    def __init__(self, own: NonceStore, tell: Callable[[str, bytes], None]) -> None:
        self._own = own
        self._tell = tell

    async def take(self, kind: str, ident: str, nonce: str) -> bool:
        """Whether this nonce is fresh; see `NonceMemory.take`."""
        fresh = await self._own.take(kind, ident, nonce)
        if fresh and kind == _SHARED:
            self._tell(TOPIC, nonce_key(kind, ident, nonce))
        return fresh

    def on_told(self, _node_id: bytes, _link: int, data: bytes) -> None:
        """Remember what a member has taken."""
        if len(data) == KEY_BYTES:
            self._own.learn(data)
