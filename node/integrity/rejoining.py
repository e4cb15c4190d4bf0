"""A damaged store left behind: set aside, never deleted, when a peer is there to join from.

Law: nothing is touched before a member of this mesh, proven by its certificate and its key, has
said that it holds the state; alone, the store stays as it is and the process ends with code 5. It
takes bounded time, and happens so often and no more: a disk that damages everything is no place to
join again and again.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from crdt.governance import Genesis
from node.errors import IntegrityError
from node.founding import DEFAULT_CLUSTER, JoinNote, read_join_note
from node.logs import EventLog
from node.peers.dialling import PEER_PATH, link_limits
from node.peers.greeting import GreetingRefused, read_greeting
from node.peers.trust import TrustKeeper
from node.settings import Settings, find_material
from node.settings.checks import reach_of
from node.store import CorruptRecord, StoreDamaged
from node.store.folder import set_aside
from transport.dial import dial
from transport.errors import TransportError

_REACH_SECONDS: Final = 15.0
_DIAL_SECONDS: Final = 4.0
_GREETING_SECONDS: Final = 3.0
_PAUSE_SECONDS: Final = 0.5
_ASIDE_MAX: Final = 2
_LIVES_MAX: Final = 3


class Lives:
    """What becomes of a process whose store turned out to be damaged.

    Args:
        settings: of the process.
        environ: its environment.
        log: writes events.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str], log: EventLog) -> None:
        self._settings, self._environ, self._log = settings, environ, log
        self._restarts = self._asides = 0

    def goes_on(self, error: IntegrityError) -> bool:
        """Whether to begin another life; the store was set aside when that was needed.

        Args:
            error: what ended the last one: `CorruptRecord` for a row that was met while it was
                being changed, which only what is on the disk can settle.
        """
        if isinstance(error, CorruptRecord) and self._restarts < _LIVES_MAX:
            self._restarts += 1
            self._log("life_restarted", error=str(error))
            return True
        if not isinstance(error, StoreDamaged | CorruptRecord) or self._asides >= _ASIDE_MAX:
            return False
        peer = asyncio.run(peer_in_reach(self._settings, self._environ, self._log))
        if peer is None:
            self._log("store_unaided", error=str(error))
            return False
        self._asides += 1
        folder = set_aside(self._settings.paths.data_dir, time.time_ns() // 1_000_000)
        name = "" if folder is None else folder.name
        self._log("store_set_aside", folder=name, peer=peer, error=str(error))
        return True


async def peer_in_reach(
    settings: Settings,
    environ: Mapping[str, str],
    log: EventLog,
    *,
    seconds: float = _REACH_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> str | None:
    """The name of a member that holds the state of this mesh and answers; None when there is none.

    Nothing is said to it: its greeting, the first thing on every link, proves who it is. What is
    not there yet, as after a power cut of the whole room, is waited for, `seconds` at most.
    """
    note = read_join_note(settings.paths.join) or _founded(settings)
    material = find_material(settings, environ)
    if not note.urls or material.tls_cert is None:
        return None
    listed = material.allowlist or settings.paths.allowlist
    trust = TrustKeeper(
        material=replace(material, allowlist=listed), peers=settings.paths.peers, log=log
    )
    deadline = clock() + seconds
    while True:
        last = clock() >= deadline
        for url in note.urls:
            try:
                name = await _greeted(settings, trust, note, url)
            except (TransportError, GreetingRefused, TimeoutError, OSError) as error:
                if last:
                    log("peer_unreachable", url=url, reason=str(error) or type(error).__name__)
            else:
                if name is not None:
                    return name
        if last:
            return None
        await asyncio.sleep(_PAUSE_SECONDS)


async def _greeted(settings: Settings, trust: TrustKeeper, note: JoinNote, url: str) -> str | None:
    way = reach_of(settings).get(url, url)
    async with dial(
        f"{way}{PEER_PATH}",
        trust.contexts()[1],
        limits=link_limits(settings.limits),
        connect_s=_DIAL_SECONDS,
    ) as link:
        own, theirs = link.own_certificate_fingerprint, link.peer_certificate_fingerprint
        async with asyncio.timeout(_GREETING_SECONDS):
            first = await link.receive()
        if own is None or theirs is None or len(first) != 1:
            return None
        greeting = read_greeting(first[0], own_certificate=own, peer_certificate=theirs)
        mine, shown = note.genesis, greeting.genesis
        same = mine.cluster == shown.cluster and {*mine.founders} <= {*shown.founders}
        return greeting.name if same and greeting.settled else None


def _founded(settings: Settings) -> JoinNote:
    """What the settings say of the mesh, where it was founded by them and nothing was noted yet."""
    peers = settings.quorum.peers
    cluster = settings.federation.cluster or DEFAULT_CLUSTER
    return JoinNote(genesis=Genesis(cluster=cluster, founders=peers), urls=peers)
