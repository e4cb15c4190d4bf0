"""One outgoing link per URL, kept alive.

Law: a URL has at most one dial or link at a time; every dial ends by a deadline with a link or a
reason; pauses grow to a bound, are jittered so that a mesh does not dial in step, and shrink only
when the other side has shown life, never because it merely took the call.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from transport.dial import DialError, DialFailure, dial, peer_url
from transport.link import Link, LinkClosed, LinkLimits
from transport.pinned import ClientTls

__all__ = ["DialTiming", "Dialler", "Serve"]

_EXPONENT_MAX = 32

Serve = Callable[[str, Link], Awaitable[float]]
"""Uses the link to a URL until it is over; returns the shortest pause before the next dial, in
seconds. `LinkClosed` may escape and means 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialTiming:
    """Times of a dialler, in seconds.

    Attributes:
        backoff_min_s: upper bound of the first pause.
        backoff_max_s: upper bound of any pause.
        stranger_s: upper bound of the first pause after a dial at which nobody listens, where no
            link ever was: whoever starts later dials us, so there is no hurry.
        connect_s: longest time from the first packet to the open link.
    """

    backoff_min_s: float = 0.05
    backoff_max_s: float = 5.0
    stranger_s: float = 1.0
    connect_s: float = 5.0


class _Target:
    """What is known of one URL while it is dialled."""

    __slots__ = ("absent", "attempts", "failures", "link", "task", "woken")

    def __init__(self) -> None:
        self.absent = True  # until it has shown that it is there
        self.attempts = 0
        self.failures = 0
        self.link: Link | None = None
        self.task: asyncio.Task[None] | None = None
        self.woken = asyncio.Event()


class Dialler:
    """Keeps the links; `run()` owns every task and ends them all when cancelled.

    Args of the constructor:
        tls: whom to dial and as whom; replaced by `swap`.
        place: URL of a peer -> where its link is opened, path included; another host than the
            URL's where the way from here is another.
        serve: what to do with a link.
        jitter: numbers in [0, 1), such as `random.random`.
        on_failure: told URL, error and the number of failures in a row.
        on_certificate: told the DER of an allowed certificate that was not known yet.
    """

    def __init__(
        self,
        *,
        tls: ClientTls,
        place: Callable[[str], str],
        serve: Serve,
        jitter: Callable[[], float],
        on_failure: Callable[[str, DialError, int], None],
        on_certificate: Callable[[bytes], None] | None = None,
        limits: LinkLimits | None = None,
        timing: DialTiming | None = None,
    ) -> None:
        self._tls = tls
        self._place = place
        self._serve = serve
        self._jitter = jitter
        self._on_failure = on_failure
        self._on_certificate = on_certificate
        self._limits = limits or LinkLimits()
        self._timing = timing or DialTiming()
        self._targets: dict[str, _Target] = {}
        self._group: asyncio.TaskGroup | None = None

    @property
    def links(self) -> dict[str, Link | None]:
        """URL -> its open link, or None while there is none."""
        return {url: target.link for url, target in self._targets.items()}

    async def run(self) -> None:
        """Dial until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for url, target in self._targets.items():
                    target.task = group.create_task(self._keep(url, target))
                await asyncio.get_running_loop().create_future()
            finally:
                self._group = None

    def add(self, url: str) -> None:
        """Begin to keep a link to `url`; a URL that is there already changes nothing.

        Raises:
            PeerUrlError: the URL is not of the form https://host:port.
        """
        url = peer_url(url)
        if url in self._targets:
            return
        target = self._targets[url] = _Target()
        if self._group is not None:
            target.task = self._group.create_task(self._keep(url, target))

    def remove(self, url: str) -> None:
        """Give up on `url` and abort its link; one that is not there changes nothing."""
        target = self._targets.pop(peer_url(url), None)
        if target is None:
            return
        if target.link is not None:
            target.link.abort("no longer dialled")
        if target.task is not None:
            target.task.cancel()

    def nudge(self, url: str) -> None:
        """Note a sign of life from behind `url`: the next dial comes soon, pauses start small."""
        target = self._targets.get(peer_url(url))
        if target is not None:
            target.absent = False
            target.attempts = 0
            target.woken.set()

    def swap(self, tls: ClientTls) -> int:
        """Use other TLS facts from now on, and abort links to peers that lost their permission.

        Returns:
            How many links were aborted.
        """
        self._tls = tls
        gone = [
            target.link
            for target in self._targets.values()
            if target.link is not None and target.link.peer_fingerprint not in tls.allowed
        ]
        for link in gone:
            link.abort("no longer on the allowlist")
        for target in self._targets.values():
            target.attempts = 0
            target.woken.set()
        return len(gone)

    async def _keep(self, url: str, target: _Target) -> None:
        while True:
            target.woken.clear()
            least = await self._attempt(url, target)
            timing = self._timing
            first = timing.backoff_min_s
            if target.absent:
                first = max(first, timing.stranger_s)
            pause = min(timing.backoff_max_s, first * 2 ** min(target.attempts, _EXPONENT_MAX))
            target.attempts += 1
            if await self._woken(target, max(least, self._jittered(pause))):
                # Soon, but not at once: a peer must not be able to set our pace.
                await asyncio.sleep(self._jittered(self._timing.backoff_min_s))

    async def _attempt(self, url: str, target: _Target) -> float:
        try:
            async with dial(
                self._place(url),
                self._tls,
                limits=self._limits,
                connect_s=self._timing.connect_s,
                on_certificate=self._on_certificate,
            ) as link:
                if link.peer_fingerprint not in self._tls.allowed:
                    return 0.0  # the allowlist changed while the link was being made
                target.link = link
                target.absent = False
                target.failures = 0
                return await self._serve(url, link)
        except DialError as error:
            target.failures += 1
            target.absent = target.absent and error.reason is DialFailure.UNREACHABLE
            self._on_failure(url, error, target.failures)
        except LinkClosed:
            pass
        finally:
            target.link = None
        return 0.0

    def _jittered(self, pause_s: float) -> float:
        return pause_s * (1 + self._jitter()) / 2

    @staticmethod
    async def _woken(target: _Target, pause_s: float) -> bool:
        try:
            async with asyncio.timeout(pause_s):
                await target.woken.wait()
        except TimeoutError:
            return False
        return True
