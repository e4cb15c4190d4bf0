"""A foreign peer, spoken to: HTTP over mutual TLS, pinned and signed.

Law: nothing is sent before the server's certificate was found on the allowlist; every answer
is read to a bound, and is data or a typed error. A push is signed with a key that the peer
knows us by, over exactly the bytes that are sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import orjson
from aiohttp.connector import Connection
from yarl import URL

from node.auth.messages import NONCE, PEER_ID, SIGNATURE, sign_push
from node.foreign.problems import PeerAway, PeerRefused
from transport.errors import NotAllowlistedError
from transport.identity import NodeKey
from transport.pinned import ClientTls, PinnedConnector, session_over
from transport.tls import peer_fingerprint

PUSH: Final = "/api/v1/sync/push"
SINCE: Final = "/api/v1/sync/since"
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
_NONCE_BYTES: Final = 16
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """As whom a peer is spoken to.

    Attributes:
        peer_id: what this node calls itself there.
        key: signs what it pushes.
        tls: its certificate, and whose are trusted.
        met: told the DER of an allowed certificate that was not known yet.
    """

    peer_id: str
    key: NodeKey
    tls: ClientTls
    met: Callable[[bytes], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer of a peer: who it was by its certificate, and what it said."""

    peer: str
    body: dict[str, Any]


class _Noting(PinnedConnector):
    """Remembers whose certificate was shown."""

    shown = ""

    async def connect(self, *args: Any, **kwargs: Any) -> Connection:
        connection = await super().connect(*args, **kwargs)
        if connection.transport is not None:
            self.shown = peer_fingerprint(connection.transport) or ""
        return connection


class TooLarge(Exception):  # noqa: N818 - it says what happened
    """A page is larger than what is read at once; a smaller one is to be asked for."""


class Remote:
    """One foreign peer.

    Args:
        url: `https://host:port`.
        voice: as whom to speak; asked anew for each request.
        entropy: gives so many random bytes.
        timeout_s: longest time for one exchange, in seconds.
    """

    def __init__(
        self,
        url: str,
        voice: Callable[[], Voice],
        *,
        entropy: Callable[[int], bytes],
        timeout_s: float = 30.0,
    ) -> None:
        self.url = url
        self._voice = voice
        self._entropy = entropy
        self._timeout_s = timeout_s

    async def since(self, token: str, limit: int) -> Said:
        """GET /sync/since.

        Raises:
            PeerAway, PeerRefused: there is no page.
            TooLarge: the page is more than is read at once.
        """
        voice = self._voice()
        query = {"limit": str(limit), "peer": voice.peer_id}
        if token:
            query["since"] = token
        return await self._ask(voice, "GET", f"{SINCE}?{urlencode(query)}")

    async def push(self, body: Mapping[str, Any]) -> Said:
        """POST /sync/push.

        Raises:
            PeerAway, PeerRefused: it was not taken, or not to the end.
        """
        voice = self._voice()
        said = {"sender_agent_id": voice.peer_id, **body}
        data = orjson.dumps(said)
        nonce = self._entropy(_NONCE_BYTES).hex()
        headers = {
            SIGNATURE: sign_push(voice.key, data, nonce),
            NONCE: nonce,
            "content-type": "application/json",
        }
        return await self._ask(voice, "POST", PUSH, data, headers)

    async def _ask(
        self,
        voice: Voice,
        method: str,
        path: str,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Said:
        connector = _Noting(voice.tls, on_certificate=voice.met)
        url = URL(f"{self.url}{path}", encoded=True)
        sent = {PEER_ID: voice.peer_id, "accept-encoding": "identity", **(headers or {})}
        try:
            async with (
                session_over(connector, self._timeout_s) as session,
                session.request(
                    method, url, data=data, headers=sent, allow_redirects=False
                ) as response,
            ):
                status, raw = response.status, await _read(response)
        except NotAllowlistedError as error:
            raise PeerAway(f"{self.url} is somebody else", why=str(error)) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PeerAway(
                f"no answer from {self.url}", why=str(error) or type(error).__name__
            ) from error
        body = _object(self.url, raw, status)
        if status != _OK:
            raise PeerRefused(status, body)
        return Said(peer=connector.shown, body=body)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    out = bytearray()
    async for part in response.content.iter_any():
        out += part
        if len(out) > ANSWER_BYTES_MAX:
            raise TooLarge
    return bytes(out)


def _object(url: str, raw: bytes, status: int) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise PeerAway(f"the answer of {url} ({status}) is no JSON") from error
    if not isinstance(body, dict):
        raise PeerAway(f"the answer of {url} ({status}) is no JSON object")
    return body
