"""Why a listener turned a connection away: one table of reasons, each fit for a metric label.

Law: every refusal has exactly one reason, and any exception of a handshake maps to one.
"""

import ssl
from enum import StrEnum

__all__ = ["Refusal", "classify"]


class Refusal(StrEnum):
    """Reasons, grouped by who has to act."""

    PLAIN_HTTP = "plain_http"  # spoke HTTP to a TLS port
    NOT_TLS = "not_tls"
    TLS_VERSION = "tls_version"  # offered nothing of TLS 1.3
    TLS_ALERT = "tls_alert"  # the other side refused us, or something we sent
    TLS_OTHER = "tls_other"
    NO_CERTIFICATE = "no_certificate"
    UNKNOWN_CERTIFICATE = "unknown_certificate"
    EXPIRED_CERTIFICATE = "expired_certificate"  # or not valid yet
    BAD_CERTIFICATE = "bad_certificate"
    NOT_ALLOWLISTED = "not_allowlisted"  # known to TLS, but off the list by now
    TIMEOUT = "timeout"  # half-open: no complete handshake in time
    CLOSED = "closed"  # hung up in the middle of the handshake
    HANDSHAKES_FULL = "handshakes_full"
    CONNECTIONS_FULL = "connections_full"
    ADDRESS_FULL = "address_full"
    PEER_FULL = "peer_full"
    DESCRIPTORS_FULL = "descriptors_full"  # the process may open no more files


_BY_OPENSSL_REASON = {
    "HTTP_REQUEST": Refusal.PLAIN_HTTP,
    "HTTPS_PROXY_REQUEST": Refusal.PLAIN_HTTP,
    "WRONG_VERSION_NUMBER": Refusal.NOT_TLS,
    "BAD_RECORD_TYPE": Refusal.NOT_TLS,
    "UNEXPECTED_MESSAGE": Refusal.NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": Refusal.NOT_TLS,
    "RECORD_LAYER_FAILURE": Refusal.NOT_TLS,
    "UNSUPPORTED_PROTOCOL": Refusal.TLS_VERSION,
    "VERSION_TOO_LOW": Refusal.TLS_VERSION,
    "NO_SHARED_CIPHER": Refusal.TLS_VERSION,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": Refusal.NO_CERTIFICATE,
    "UNEXPECTED_EOF_WHILE_READING": Refusal.CLOSED,
}
# X509_V_ERR_* of OpenSSL's x509_vfy.h: outside its validity, issuer unknown, self-signed unknown.
_VALIDITY_CODES = frozenset({9, 10})
_UNKNOWN_CODES = frozenset({2, 18, 19, 20, 21})


def classify(error: BaseException) -> Refusal:
    """Return the reason behind an exception of a TLS handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _VALIDITY_CODES:
            return Refusal.EXPIRED_CERTIFICATE
        unknown = error.verify_code in _UNKNOWN_CODES
        return Refusal.UNKNOWN_CERTIFICATE if unknown else Refusal.BAD_CERTIFICATE
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if "_ALERT_" in reason:
            return Refusal.TLS_ALERT
        return _BY_OPENSSL_REASON.get(reason, Refusal.TLS_OTHER)
    # Both event loops report an overlong handshake as an aborted connection.
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return Refusal.TIMEOUT
    return Refusal.CLOSED
