"""One dial: from a URL to a link, or to the reason why there is none.

Law: a dial never outlives its deadline, never leaves a connection behind, and never sends a byte
to a server whose certificate is not on the allowlist.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from enum import StrEnum

import aiohttp
from yarl import URL

from transport.errors import NotAllowlistedError, OutdatedError, PeerUrlError, TransportError
from transport.link import LinkLimits
from transport.pinned import ClientTls, PinnedConnector, session_over
from transport.refusals import Refusal, classify
from transport.websocket import WebSocketLink

__all__ = ["DialError", "DialFailure", "dial", "peer_url"]


class DialFailure(StrEnum):
    """Why a dial failed; fit for a metric label."""

    UNRESOLVED = "unresolved"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    NOT_TLS = "not_tls"
    TLS = "tls"
    NOT_ALLOWLISTED = "not_allowlisted"  # we do not trust them
    OUTDATED = "outdated"  # their certificate has expired, or is not valid yet
    REFUSED = "refused"  # they hung up on us: most often, they do not trust us
    UPGRADE = "upgrade"  # they answered with something else than a link


class DialError(TransportError):
    """No link came about.

    Attributes:
        reason: why.
        status: HTTP status of the answer when `reason` is `UPGRADE`, else None.
    """

    def __init__(self, reason: DialFailure, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


def peer_url(url: str) -> str:
    """Return a peer's URL in its one form, `https://host:port`.

    Raises:
        PeerUrlError: anything else, such as http, a path, credentials or a missing port.
    """
    try:
        parsed = URL(url.strip())
        port = parsed.explicit_port
    except ValueError as error:
        raise _bad_url(url) from error
    plain = parsed.path in {"", "/"} and not parsed.query_string and not parsed.fragment
    if parsed.scheme != "https" or not parsed.host or not plain or parsed.user is not None:
        raise _bad_url(url)
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    return f"https://{host}:{port or 443}"


def _bad_url(url: str) -> PeerUrlError:
    return PeerUrlError(
        f"{url!r} is no peer address: expected https://host:port, such as https://node-b:9077"
    )


@contextlib.asynccontextmanager
async def dial(
    url: str,
    tls: ClientTls,
    *,
    limits: LinkLimits,
    connect_s: float,
    on_certificate: Callable[[bytes], None] | None = None,
) -> AsyncIterator[WebSocketLink]:
    """Open a link and end it, at the latest, when the block is left.

    Args:
        url: where the peer upgrades to a link.
        tls: whom to talk to, and as whom.
        limits: bounds of the link.
        connect_s: longest time until it is open, in seconds.
        on_certificate: told the DER of an allowed certificate that was not known yet, even when
            the server hangs up right after.

    Raises:
        DialError: there is no link.
    """
    connector = PinnedConnector(tls, on_certificate=on_certificate)
    async with session_over(connector, None) as session:
        try:
            async with asyncio.timeout(connect_s):
                socket = await session.ws_connect(
                    url,
                    timeout=aiohttp.ClientWSTimeout(ws_close=limits.close_s),
                    heartbeat=limits.heartbeat_s,
                    max_msg_size=limits.frame_bytes_max + 1,  # it refuses from there on
                )
        except (NotAllowlistedError, TimeoutError, OSError, aiohttp.ClientError) as error:
            raise _why(url, error) from error
        connection = connector.connection
        transport = connection.transport if connection is not None else None
        if connection is None or transport is None:
            raise DialError(DialFailure.REFUSED, f"{url} hung up")
        link = WebSocketLink(socket, transport, own_fingerprint=tls.own_fingerprint, limits=limits)
        try:
            yield link
        finally:
            link.abort("the dialler is done with it")
            # Neither waits: there is nobody left to answer. The first ends the heartbeat.
            await socket.close()
            connection.close()


_WORDED: tuple[tuple[type[BaseException], DialFailure, str], ...] = (
    # The first match counts: aiohttp's errors derive from each other and from OSError.
    (
        aiohttp.ClientConnectorCertificateError,
        DialFailure.NOT_ALLOWLISTED,
        "presented a certificate that is not on the allowlist",
    ),
    (ssl.SSLError, DialFailure.TLS, ""),
    (aiohttp.ClientConnectorSSLError, DialFailure.TLS, ""),
    (aiohttp.ClientConnectorDNSError, DialFailure.UNRESOLVED, "has a name that does not resolve"),
    (aiohttp.ClientConnectorError, DialFailure.UNREACHABLE, "is not reachable"),
    (TimeoutError, DialFailure.TIMEOUT, "did not answer in time"),
)


def _why(url: str, error: BaseException) -> DialError:
    if _is_outdated(error):
        return DialError(
            DialFailure.OUTDATED,
            f"{url} presented a certificate that has expired, or is not valid yet: make a new one "
            "there, or set the clock that is wrong",
        )
    if isinstance(error, NotAllowlistedError):
        return DialError(DialFailure.NOT_ALLOWLISTED, f"{url}: {error}")
    if isinstance(error, aiohttp.WSServerHandshakeError):
        said = f"{url} answered {error.status} instead of a link ({error.message})"
        return DialError(DialFailure.UPGRADE, said, status=error.status)
    for kind, reason, words in _WORDED:
        if isinstance(error, kind):
            if reason is DialFailure.TLS:
                return _why_tls(url, error)
            return DialError(reason, f"{url} {words} ({error})")
    return DialError(
        DialFailure.REFUSED,
        f"{url} hung up after the handshake: most often our fingerprint is not on its allowlist",
    )


def _is_outdated(error: BaseException) -> bool:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return classify(error.certificate_error) is Refusal.EXPIRED_CERTIFICATE
    return isinstance(error, OutdatedError)


def _why_tls(url: str, error: BaseException) -> DialError:
    cause = getattr(error, "os_error", error)
    reason = getattr(cause, "reason", None) or str(cause)
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        return DialError(DialFailure.NOT_TLS, f"{url} does not speak TLS on that port")
    if "_ALERT_" in reason:
        return DialError(
            DialFailure.REFUSED,
            f"{url} refused us in the handshake ({reason}): most often our fingerprint is not on "
            "its allowlist",
        )
    return DialError(DialFailure.TLS, f"the TLS handshake with {url} failed: {reason}")
