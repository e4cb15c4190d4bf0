"""What a running node knows of keys, peers and nonces: one value for the HTTP face.

Law: composition only. Everything is asked anew at each use, so a change of a file or of a
setting counts from the next request on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from node.auth.enrolments import Enrolments
from node.auth.keys import KeyRing
from node.auth.nonces import NonceMemory, NoNonces

_NO_KEYS = KeyRing()
_NOBODY = Enrolments()


def _yes() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """By what senders of requests are known.

    Attributes:
        key_ring: the API keys given out.
        newest_key_ring: the same, looked at this very moment.
        enrolments: the REST peers enrolled now.
        nonces: remembers what was used.
        demands_signature: whether a push must be signed.
        demands_nonce: whether a push must bring a nonce.
        close: lets go of files and threads.
    """

    key_ring: Callable[[], KeyRing] = field(default=lambda: _NO_KEYS)
    newest_key_ring: Callable[[], KeyRing] = field(default=lambda: _NO_KEYS)
    enrolments: Callable[[], Enrolments] = field(default=lambda: _NOBODY)
    nonces: NonceMemory = field(default_factory=NoNonces)
    demands_signature: Callable[[], bool] = field(default=_yes)
    demands_nonce: Callable[[], bool] = field(default=_yes)
    close: Callable[[], None] = field(default=lambda: None)
