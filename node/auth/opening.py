"""The credentials of a running node, opened over its folders.

Law: a file of keys or peers that is there and cannot be read refuses the start, for a node
without it would let in whom its operator shut out. Once a key was demanded it stays demanded
as long as the process lives, whatever becomes of the file.
"""

from collections.abc import Callable
from typing import TypeVar

from node.auth.credentials import Credentials
from node.auth.enrolments import parse_enrolments
from node.auth.keys import KeyRing, parse_keys
from node.auth.nonces import NonceStore
from node.auth.places import enrolments_path, keys_path, nonces_path
from node.auth.shared_nonces import TOPIC, SharedNonces
from node.auth.watched import Watched
from node.errors import ConfigError
from node.live import Live

T = TypeVar("T")


def open_credentials(
    live: Live,
    *,
    log: Callable[..., None],
    now_ms: Callable[[], int],
    monotonic: Callable[[], float],
    post: Callable[..., object],
    tell: Callable[[str, bytes], None],
    hear: Callable[[str, Callable[[bytes, int, bytes], None]], None],
) -> Credentials:
    """Open what a node knows senders by; the caller closes it.

    Args:
        live: the settings in force.
        log: writes events.
        now_ms: wall clock, milliseconds since the epoch.
        monotonic: seconds that only grow.
        post: brings calls back to the loop: `loop.call_soon_threadsafe`.
        tell: says something to all linked members, under a topic.
        hear: has what members say under a topic given to somebody.

    Raises:
        ConfigError: a file is there and cannot be understood.
        transport.errors.LooseModeError: others can reach one.
        node.errors.IntegrityError: the memory of nonces cannot be opened.
    """
    paths = live.settings.paths

    def watch(path: str, watched: Callable[[], T]) -> T:
        try:
            return watched()
        except ValueError as error:
            raise ConfigError(
                f"{path} cannot be read", why=str(error), fix="Mend it, or move it aside"
            ) from error

    keys, peers = keys_path(paths), enrolments_path(paths)
    ring = watch(
        str(keys), lambda: Watched(keys, lasting(parse_keys), log=log, monotonic=monotonic)
    )
    enrolments = watch(
        str(peers),
        # Pushes are few, and whoever was removed must not get one more through.
        lambda: Watched(peers, parse_enrolments, log=log, monotonic=monotonic, look_seconds=0),
    )
    nonces = NonceStore(nonces_path(paths), post=post, now_ms=now_ms)
    shared = SharedNonces(nonces, tell)
    hear(TOPIC, shared.on_told)
    return Credentials(
        key_ring=ring,
        newest_key_ring=ring.newest,
        enrolments=enrolments,
        nonces=shared,
        demands_signature=lambda: live.settings.federation.require_signature,
        demands_nonce=lambda: live.settings.federation.require_nonce,
        close=nonces.close,
    )


def lasting(parse: Callable[[bytes], KeyRing]) -> Callable[[bytes], KeyRing]:
    """A reader of keys that goes on demanding one after it has seen any."""
    demanded = False

    def read(data: bytes) -> KeyRing:
        nonlocal demanded
        ring = parse(data)
        demanded = demanded or ring.demanded
        return ring if ring.demanded is demanded else KeyRing(ring.grants, lasting=True)

    return read
