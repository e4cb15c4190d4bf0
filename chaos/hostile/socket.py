"""TCP and TLS as a peer opens them: version 1.3, a certificate on both sides, SHA-256 pinned.

Law: the server is known by its fingerprint before a byte of application data leaves; what an
attack wants otherwise (an older TLS, no certificate) it says.
"""

import hashlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

__all__ = ["NotTheServerError", "TlsPapers", "plain", "tls"]

_CONNECT_S: Final = 5.0


class NotTheServerError(OSError):
    """The server showed another certificate than the one it is known by."""


@dataclass(frozen=True, slots=True)
class TlsPapers:
    """What a client shows, and whom it expects.

    Attributes:
        certificate, key: PEM files; None shows none.
        server: fingerprint that the server must have.
        version: of TLS.
    """

    certificate: Path | None
    key: Path | None
    server: str
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3

    def context(self) -> ssl.SSLContext:
        """The context of one connection."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE  # the fingerprint is compared instead
        made.minimum_version = made.maximum_version = self.version
        if self.certificate is not None:
            made.load_cert_chain(self.certificate, self.key)
        return made


async def plain(host: str, port: int, made: socket.socket | None = None) -> trio.SocketStream:
    """A TCP connection.

    Args:
        host: whom to.
        port: of theirs.
        made: a socket of some other place; one of here without.

    Raises:
        OSError: nobody listens. trio.TooSlowError: nobody answered in 5 s.
    """
    with trio.fail_after(_CONNECT_S):
        if made is None:
            return await trio.open_tcp_stream(host, port)
        wrapped = trio.socket.from_stdlib_socket(made)
        try:
            await wrapped.connect((host, port))
        except BaseException:
            wrapped.close()
            raise
        return trio.SocketStream(wrapped)


async def tls(
    host: str, port: int, papers: TlsPapers, made: socket.socket | None = None
) -> "trio.SSLStream[trio.SocketStream]":
    """A TLS connection to the server that `papers` expect.

    A server of TLS 1.3 judges the client's certificate after the client is done, so that a
    refusal shows with the first read (RFC 8446 section 4.4).

    Raises:
        NotTheServerError: another certificate. OSError, trio.BrokenResourceError: refused.
    """
    raw = await plain(host, port, made)
    stream = trio.SSLStream(raw, papers.context(), https_compatible=True)
    try:
        with trio.fail_after(_CONNECT_S):
            await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(raw)
        raise
    shown = stream.getpeercert(binary_form=True) or b""
    if hashlib.sha256(shown).hexdigest() != papers.server:
        await trio.aclose_forcefully(raw)
        raise NotTheServerError("the server shows another certificate than it is known by")
    return stream
