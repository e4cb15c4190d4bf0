"""HTTP over TLS to a server that is known by the fingerprint of its certificate.

Law: not one byte of application data leaves before the SHA-256 of the server's certificate was
found on the allowlist and the certificate is within its validity, which the handshake itself does
not look at while some allowed certificate is still unknown; a connection without TLS is never used,
whatever a redirect says.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

from transport.certificate import fingerprint, is_valid_now
from transport.ending import drop
from transport.errors import NotAllowlistedError, OutdatedError
from transport.pins import admits
from transport.tls import OwnCertificate, Trust, client_context, peer_certificate

if TYPE_CHECKING:
    import asyncio

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

__all__ = ["ClientTls", "HungUpError", "PinnedConnector", "pinned_session", "session_over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """What a dialler needs of TLS, made once per change of the allowlist.

    Attributes:
        context: of the handshakes.
        allowed: pins of certificates and keys.
        known: fingerprints whose certificate need not be told.
        own_fingerprint: of the certificate that is shown, if one is.
    """

    context: ssl.SSLContext
    allowed: frozenset[str]
    known: frozenset[str]
    own_fingerprint: str | None

    @classmethod
    def make(cls, own: OwnCertificate | None, trust: Trust) -> Self:
        """Build the context.

        Raises:
            CertificateError: own files or a trusted certificate cannot be used.
        """
        return cls(
            context=client_context(own, trust),
            allowed=trust.admitted,
            known=frozenset(trust.pins),
            own_fingerprint=own.fingerprint if own is not None else None,
        )


class PinnedConnector(aiohttp.TCPConnector):
    """Connects, then compares the fingerprint before anyone may write.

    Attributes:
        connection: the latest one that passed; None before there is one.
    """

    def __init__(
        self, tls: ClientTls, *, on_certificate: Callable[[bytes], None] | None = None
    ) -> None:
        super().__init__(ssl=tls.context, force_close=True, use_dns_cache=False)
        self._tls = tls
        self._on_certificate = on_certificate
        self.connection: Connection | None = None

    async def connect(self, *args: Any, **kwargs: Any) -> "Connection":
        """Connect as the base class does, and check.

        Raises:
            NotAllowlistedError: the server has another certificate, or one that is not valid now,
                or speaks no TLS.
        """
        connection = await super().connect(*args, **kwargs)
        transport = connection.transport
        try:
            self._check(transport)
        except NotAllowlistedError:
            connection.close()
            if transport is not None:
                drop(transport)
            raise
        self.connection = connection
        return connection

    async def _wrap_create_connection(
        self, *args: Any, addr_infos: list[Any], **kwargs: Any
    ) -> "tuple[asyncio.Transport, ResponseHandler]":
        # The base class connects a socket of Python's and hands it to the loop. uvloop then has
        # two owners of one descriptor: where a dial is given up at a bad moment, both close it,
        # and the second one closes a connection that was given the number meanwhile.
        for place, (_, _, _, _, address) in enumerate(addr_infos, start=1):
            try:
                return await self._wrap_existing_connection(
                    *args, host=address[0], port=address[1], **kwargs
                )
            except aiohttp.ClientConnectorError:
                if place == len(addr_infos):
                    raise
        raise OSError("no address")

    def _check(self, transport: "asyncio.Transport | None") -> None:
        der = peer_certificate(transport) if transport is not None else None
        if der is None:
            raise NotAllowlistedError("the server presented no certificate, so it is nobody known")
        digest = fingerprint(der)
        if not admits(self._tls.allowed, der):
            raise NotAllowlistedError(
                f"the server's certificate is {digest}, which is not on the allowlist: compare it "
                "with what `mnemesh node fingerprint` prints there, then allow it here"
            )
        if not is_valid_now(der):
            raise OutdatedError(
                f"the server's certificate {digest} has expired, or is not valid yet: make a new "
                "one there and allow it here, or set the clock that is wrong"
            )
        if digest not in self._tls.known and self._on_certificate is not None:
            self._on_certificate(der)


class HungUpError(aiohttp.ClientConnectionError):
    """The server ended the connection instead of answering."""


async def _once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    # Every connection here is fresh, so what aiohttp would silently repeat has failed for good.
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise HungUpError(str(error)) from error


def session_over(connector: PinnedConnector, timeout_s: float | None) -> aiohttp.ClientSession:
    """Return a session that tries once, keeps no cookies and asks no proxy."""
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        middlewares=(_once,),
    )


@contextlib.asynccontextmanager
async def pinned_session(
    tls: ClientTls,
    *,
    timeout_s: float = 10.0,
    on_certificate: Callable[[bytes], None] | None = None,
) -> AsyncIterator[aiohttp.ClientSession]:
    """Give an HTTP session whose every connection is checked.

    Args:
        tls: whom to talk to, and as whom.
        timeout_s: longest time for one whole exchange, in seconds.
        on_certificate: told the DER of an allowed certificate that was not known yet.

    Requests in it raise `NotAllowlistedError`, `aiohttp.ClientError` or `TimeoutError`.
    """
    connector = PinnedConnector(tls, on_certificate=on_certificate)
    async with session_over(connector, timeout_s) as session:
        yield session
