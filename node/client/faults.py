"""What a failure of httpx means for a call.

Law: only what is certain is called definite: a request is unsent when there was no connection
to send it on. Everything else may have arrived.
"""

from typing import TYPE_CHECKING

from node.client.errors import BrokenAnswer, CertificateRefused, ClientError, NoAnswer, Unreachable

if TYPE_CHECKING:
    import httpx


def client_error(error: "httpx.HTTPError", url: str) -> ClientError:
    """The typed error of a failure in transport.

    Args:
        error: what httpx raised.
        url: of the node.
    """
    import httpx  # noqa: PLC0415 -- loaded by whoever got such an error

    words = str(error) or type(error).__name__
    mismatch = _mismatch_in(error)
    if mismatch:
        return CertificateRefused(f"{url}: {mismatch}")
    if isinstance(
        error,
        (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol),
    ):
        return Unreachable(f"no connection to {url}: {words}")
    if isinstance(error, (httpx.DecodingError, httpx.TooManyRedirects)):
        return BrokenAnswer(f"{url}: {words}")
    return NoAnswer(f"no answer from {url}: {words}")


def _mismatch_in(error: BaseException) -> str:
    """The words of a certificate that did not fit, somewhere below an error; else empty."""
    import ssl  # noqa: PLC0415 -- httpx has loaded it

    at: BaseException | None = error
    while at is not None:
        if isinstance(at, ssl.SSLCertVerificationError):
            return str(at.args[-1])
        at = at.__cause__ or at.__context__
    return ""
