"""The tree of transport errors.

Law: every failure that leaves this package is a `TransportError` with a sentence that says what
happened, why, and what to do. A `reason` is short, fixed text that may become a metric label.

    TransportError
    ├── ConfigurationError        the operator's files or settings; raised before anything runs
    │   ├── KeyFileError          unreadable, malformed or already there
    │   │   └── LooseModeError    other users could read the secret
    │   ├── CertificateError      not a certificate, or one that does not match its key
    │   │   └── AuthorityPinError a pin that could vouch for others
    │   ├── AllowlistError        an unparsable line
    │   ├── PeerUrlError          a peer address nobody could dial
    │   └── ListenError           an address that cannot be bound
    │       ├── PortInUseError
    │       ├── PortDeniedError
    │       ├── PlainListenError
    │       └── AddressUnavailableError
    ├── PublicKeyError            remote: not an Ed25519 public key
    │   └── SmallOrderKeyError    remote: a key under which anything verifies
    ├── NotAllowlistedError       remote: a certificate nobody allowed
    │   └── OutdatedError         remote: an allowed one that is not valid now
    ├── FrameError                remote when decoding, local when encoding
    ├── LinkClosed                the link is over
    └── DialError                 no link came about
"""

__all__ = [
    "AddressUnavailableError",
    "AllowlistError",
    "AuthorityPinError",
    "CertificateError",
    "ConfigurationError",
    "KeyFileError",
    "ListenError",
    "LooseModeError",
    "NotAllowlistedError",
    "OutdatedError",
    "PeerUrlError",
    "PlainListenError",
    "PortDeniedError",
    "PortInUseError",
    "PublicKeyError",
    "SmallOrderKeyError",
    "TransportError",
]


class TransportError(Exception):
    """Root of every error this package raises on purpose."""


class ConfigurationError(TransportError):
    """Something the operator wrote or placed cannot be used."""


class KeyFileError(ConfigurationError):
    """A key file is missing, malformed, or would be overwritten."""


class LooseModeError(KeyFileError):
    """A secret file is readable by users it does not belong to."""


class CertificateError(ConfigurationError):
    """A certificate cannot be read, or does not fit its key or its name."""


class AuthorityPinError(CertificateError):
    """A certificate to be trusted on its own could also sign others, so it is refused as a pin."""


class AllowlistError(ConfigurationError):
    """The allowlist has a line that names no fingerprint.

    Attributes:
        line: 1-based number of the offending line; 0 when the file as a whole is unreadable.
    """

    def __init__(self, message: str, *, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class PeerUrlError(ConfigurationError):
    """A peer URL is not of the form https://host:port."""


class ListenError(ConfigurationError):
    """An address cannot be listened on."""


class PortInUseError(ListenError):
    """Another socket already listens on that address and port (EADDRINUSE)."""


class PortDeniedError(ListenError):
    """The operating system forbids this process to bind that port (EACCES, EPERM)."""


class PlainListenError(ListenError):
    """Plain HTTP was asked for on an address that other machines reach."""


class AddressUnavailableError(ListenError):
    """The address is not one of this machine's, or its name does not resolve."""


class PublicKeyError(TransportError):
    """Bytes that are no Ed25519 public key."""


class SmallOrderKeyError(PublicKeyError):
    """A point outside the prime-order group: forged signatures could verify under it."""


class NotAllowlistedError(TransportError):
    """A certificate was offered whose fingerprint is not on the allowlist."""


class OutdatedError(NotAllowlistedError):
    """An allowed certificate was offered that has expired, or is not valid yet."""
