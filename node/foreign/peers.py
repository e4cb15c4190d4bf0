"""The foreign peers that this node exchanges with of its own accord.

Law: one task per address, owned by the node. It rests between rounds, longer and with jitter
while the peer is away, and never ends the node. A peer that turns out to be a member of the
same mesh is stopped for good, with an alarm. What was added while the node runs is held only
as long as whoever added it keeps asking for it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from node.errors import NodeError, WriteError
from node.foreign.bridge import Bridge, Counts
from node.foreign.problems import PeerAway, PeerIsMember, PeerRefused
from node.limits import Limits
from node.memory.problems import InvalidField, Shortfall
from node.memory.rules import agent_id
from node.memory.times import format_ms
from node.metrics import Metrics
from transport.dial import peer_url
from transport.errors import PeerUrlError, TransportError

INTERVAL_S_MIN: Final = 0.1
INTERVAL_S_MAX: Final = 86_400.0
PEERS_MAX: Final = 64
_BACKOFF_S_MAX: Final = 60.0
_LEASE_S_MAX: Final = 3600.0
_EXPONENT_MAX: Final = 16
_FAILURES_FIRST_LOGGED: Final = 3
_JITTER: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Whom to exchange with, and how.

    Attributes:
        url: `https://host:port`.
        interval_s: time between two rounds.
        certificate: shown to the peer (PEM); the node's own when None.
        private_key: of that certificate.
        peer_id: what this node calls itself there; its name when empty.
        lease_s: for how long, unless it is asked for again; None for as long as the node runs.
    """

    url: str
    interval_s: float
    certificate: Path | None = None
    private_key: Path | None = None
    peer_id: str = ""
    lease_s: float | None = None


@dataclass(slots=True, kw_only=True)
class _Held:
    """One peer and how it goes."""

    wish: Wish
    bridge: Bridge
    until: float | None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    state: str = "starting"
    error: str = ""
    failures: int = 0
    rounds: int = 0
    pulled: int = 0
    pushed: int = 0
    untaken: int = 0
    last_success_at: int = 0
    dropped: bool = False


class ForeignPeers:
    """Keeps exchanges going.

    Args:
        make: a bridge for a wish.
        spawn: runs a task that the node owns.
        log: writes events.
        metrics: the table of metrics.
        limits: bounds of names.
        now_ms: wall clock, milliseconds since the epoch.
        monotonic: seconds that only grow.
        jitter: numbers in [0, 1).
    """

    def __init__(
        self,
        *,
        make: Callable[[Wish], Bridge],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        log: Callable[..., None],
        metrics: Metrics,
        limits: Limits,
        now_ms: Callable[[], int],
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._make = make
        self._spawn = spawn
        self._log = log
        self._metrics = metrics
        self._limits = limits
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._jitter = jitter
        self._held: dict[str, _Held] = {}

    # --- whom ----------------------------------------------------------------------------

    def add(self, wish: Wish) -> None:
        """Exchange with a peer from now on, or go on with it as is wanted now.

        Raises:
            transport.errors.TransportError: certificate or key cannot be used.
        """
        now = self._monotonic()
        until = None if wish.lease_s is None else now + wish.lease_s
        held = self._held.get(wish.url)
        if held is not None and held.until is None and until is not None:
            return  # the configuration wants it anyhow
        if held is not None and (held.wish, held.state) == (wish, held.state):
            held.until = until
            held.wake.set()
            return
        if held is not None:
            self._drop(held)
        fresh = _Held(wish=wish, bridge=self._make(wish), until=until)
        self._held[wish.url] = fresh
        self._log("foreign_peer_added", url=wish.url, interval_s=wish.interval_s)
        self._spawn(self._run(fresh))

    def add_wish(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What an operator asks for through the API.

        Raises:
            InvalidField: it cannot be done; nothing was added.
        """
        wishes = self._wishes(body)
        if len({*self._held, *(wish.url for wish in wishes)}) > PEERS_MAX:
            raise InvalidField("peers", f"at most {PEERS_MAX} foreign peers are served")
        for wish in wishes:
            try:
                self.add(wish)
            except TransportError as error:
                raise InvalidField("client_cert", str(error)) from error
        urls = {wish.url for wish in wishes}
        return [one for one in self.status() if one["url"] in urls]

    def _wishes(self, body: Mapping[str, Any]) -> list[Wish]:
        given = body.get("peers")
        if not isinstance(given, list) or not given:
            raise InvalidField("peers", "expected a list of addresses, as https://host:port")
        interval = _seconds("interval", body.get("interval", 2.0), INTERVAL_S_MAX)
        lease = _seconds("lease_secs", body.get("lease_secs", 30.0), _LEASE_S_MAX)
        certificate, key = _file("client_cert", body), _file("client_key", body)
        if (certificate is None) != (key is None):
            raise InvalidField("client_key", "a certificate and its key come together")
        name = body.get("peer_id")
        return [
            Wish(
                url=_address(one),
                interval_s=interval,
                certificate=certificate,
                private_key=key,
                peer_id="" if name is None else agent_id("peer_id", name, self._limits),
                lease_s=lease,
            )
            for one in given
        ]

    def drop(self, urls: list[str]) -> list[str]:
        """Withdraw what was added; what the configuration wants stays."""
        dropped = []
        for url in urls:
            held = self._held.get(_address(url))
            if held is not None and held.until is not None:
                self._drop(held)
                dropped.append(held.wish.url)
        return dropped

    def _drop(self, held: _Held) -> None:
        held.dropped = True
        held.wake.set()
        del self._held[held.wish.url]
        self._log("foreign_peer_dropped", url=held.wish.url)

    def watch(self) -> None:
        """Withdraw what nobody asks for any more; cheap, meant for every half second."""
        now = self._monotonic()
        for held in list(self._held.values()):
            if held.until is not None and held.until < now:
                self._drop(held)

    def status(self) -> list[dict[str, Any]]:
        """How each exchange goes."""
        return [
            {
                "url": url,
                "state": held.state,
                "rounds": held.rounds,
                "pulled": held.pulled,
                "pushed": held.pushed,
                "refused": held.untaken,
                "failures": held.failures,
                "error": held.error,
                "last_success_at": format_ms(held.last_success_at)
                if held.last_success_at
                else None,
                "configured": held.until is None,
            }
            for url, held in sorted(self._held.items())
        ]

    # --- one of them ---------------------------------------------------------------------

    async def _run(self, held: _Held) -> None:
        while not held.dropped:
            try:
                counts = await held.bridge.round()
            except PeerIsMember as error:
                held.state, held.error = "stopped", str(error)
                self._log("foreign_peer_is_member", url=held.wish.url)
                return
            except (PeerAway, PeerRefused, WriteError, Shortfall, NodeError) as error:
                self._failed(held, error)
            except Exception as error:  # noqa: BLE001 - one peer must not end the node
                self._failed(held, error)
            else:
                self._done(held, counts)
            held.wake.clear()
            try:
                async with asyncio.timeout(self._rest(held)):
                    while not held.dropped:
                        await held.wake.wait()
                        held.wake.clear()
            except TimeoutError:
                continue

    def _rest(self, held: _Held) -> float:
        pause = held.wish.interval_s
        if held.failures:
            longer = pause * 2 ** min(held.failures, _EXPONENT_MAX)
            pause = max(pause, min(longer, _BACKOFF_S_MAX))
        return pause * (1 - _JITTER + 2 * _JITTER * self._jitter())

    def _done(self, held: _Held, counts: Counts) -> None:
        if held.state != "level":
            self._log("foreign_peer_level", url=held.wish.url)
        held.state, held.error, held.failures = "level", "", 0
        held.rounds += 1
        held.pulled += counts.pulled
        held.pushed += counts.pushed
        held.untaken += len(counts.untaken)
        held.last_success_at = self._now_ms()
        peer = held.wish.url.removeprefix("https://")
        for direction, count in (("in", counts.pulled), ("out", counts.pushed)):
            self._metrics.counter("sync_ops_total", peer, direction).inc(count)
        grouped = Counter(
            (way, kind, error.partition(":")[0]) for way, kind, error in counts.untaken
        )
        for (direction, kind, code), count in grouped.items():
            self._log(
                "foreign_items_untaken",
                url=held.wish.url,
                count=count,
                direction=direction,
                kind=kind,
                error=code,
            )

    def _failed(self, held: _Held, error: Exception) -> None:
        held.failures += 1
        held.state = "away" if isinstance(error, PeerAway) else "failing"
        held.error = str(error) if isinstance(error, NodeError) else type(error).__name__
        # 1, 3, 6, 12 ...: loud enough to be seen, quiet enough to be read.
        times, rest = divmod(held.failures, _FAILURES_FIRST_LOGGED)
        if held.failures == 1 or (not rest and times & (times - 1) == 0):
            self._log(
                "foreign_peer_failed",
                url=held.wish.url,
                failures=held.failures,
                error=held.error,
            )


def _address(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidField("peers", "expected addresses, as https://host:port")
    try:
        return peer_url(value)
    except PeerUrlError as error:
        raise InvalidField("peers", str(error)) from error


def _seconds(name: str, value: object, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidField(name, "expected a number of seconds")
    if not INTERVAL_S_MIN <= value <= most:
        raise InvalidField(name, f"expected {INTERVAL_S_MIN:g} to {most:g} seconds")
    return float(value)


def _file(name: str, body: Mapping[str, Any]) -> Path | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.startswith("/"):
        raise InvalidField(name, "expected the absolute path of a PEM file on the node's machine")
    return Path(value)
