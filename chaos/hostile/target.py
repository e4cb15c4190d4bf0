"""What is attacked, with which papers, and what an attack reports.

Law: an attack knows addresses, process ids and log files, and nothing of a node's inside. What it
sends carries the marker of its target wherever content may stand, so a single search of the logs
tells whether content got there.
"""

import json
import random
import socket
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import trio

from chaos.certs import Pair, day_after, day_before, make_pair
from chaos.hostile import http
from chaos.hostile.socket import TlsPapers, plain, tls

__all__ = ["Expectation", "Papers", "Target", "Victim", "until"]

WAIT_S: Final = 20.0
_STEP_S: Final = 0.02


class Expectation(NamedTuple):
    """One thing that must hold, and whether it did.

    Attributes:
        what: the law, in words; the same in every cycle.
        ok: whether it held.
        detail: what was seen, JSON-able.
    """

    what: str
    ok: bool
    detail: dict[str, Any]


async def until(state: Any, seconds: float = WAIT_S) -> bool:
    """Wait until the async callable `state` gives something true; tells whether it did."""
    with trio.move_on_after(seconds):
        while not await state():
            await trio.sleep(_STEP_S)
        return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A node that is attacked.

    Attributes:
        host, port: of its mTLS listener.
        url: as the mesh knows it.
        agent: host and port of its plain listener.
        fingerprint: of the certificate it shows.
        log: where its log lines go.
        pid: of its process; 0 when it is not known, and its memory is not looked at.
        headers: for requests of agents, such as an API key.
        heard_from: bytes of its log that were there before; they are not looked at.
        sockets, agent_sockets: make sockets for its two listeners, where they must stand in
            another place than the harness.
    """

    name: str
    host: str
    port: int
    url: str
    agent: tuple[str, int]
    fingerprint: str
    log: Path
    pid: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    heard_from: int = 0
    sockets: Callable[[], socket.socket] | None = None
    agent_sockets: Callable[[], socket.socket] | None = None

    async def peer_stream(self) -> trio.SocketStream:
        """A TCP connection to its mTLS listener.

        Raises:
            OSError: nobody listens. trio.TooSlowError: nobody answered.
        """
        return await plain(self.host, self.port, self.sockets() if self.sockets else None)

    async def agent_stream(self) -> trio.SocketStream:
        """A TCP connection to its plain listener.

        Raises:
            OSError: nobody listens. trio.TooSlowError: nobody answered.
        """
        return await plain(*self.agent, self.agent_sockets() if self.agent_sockets else None)

    async def tls(self, papers: TlsPapers) -> "trio.SSLStream[trio.SocketStream]":
        """A TLS connection to its mTLS listener; raises as `socket.tls` does."""
        return await tls(self.host, self.port, papers, self.sockets() if self.sockets else None)

    def log_text(self) -> str:
        """What it has logged since `heard_from`."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(self.heard_from)
            return file.read().decode("utf-8", "replace")

    def rss_bytes(self) -> int:
        """Resident memory now; 0 when the process is not known."""
        if not self.pid:
            return 0
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def log_lines(self) -> list[dict[str, Any]]:
        """Every log line that is JSON."""
        whole = self.log_text().rpartition("\n")[0]  # its last line may be on its way
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def count(self, event: str, **fields: str) -> int:
        """How many log lines there are of an event with these fields."""
        return sum(
            line.get("event") == event and all(line.get(k) == v for k, v in fields.items())
            for line in self.log_lines()
        )

    async def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> http.Response:
        """One request of an agent, path as `/memories`; status 0 when no answer came."""
        full = path if path.startswith(("/livez", "/readyz")) else f"/api/v1{path}"
        sent = {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        try:
            with trio.fail_after(10):
                stream = await self.agent_stream()
                async with stream:
                    return await http.ask(stream, self.agent[0], method, full, body, sent)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError, http.BadAnswerError):
            return http.Response(0, {}, b"")

    async def mesh(self) -> dict[str, Any]:
        """What it says of its mesh; empty when it does not answer."""
        answer = await self.ask("GET", "/mesh")
        body = answer.json() if answer.status == 200 else {}
        return body if isinstance(body, dict) else {}

    async def lives(self) -> bool:
        """Whether it answers its health check."""
        return (await self.ask("GET", "/livez")).status == 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """Certificates of the hostile peer; the operator puts all of `listed` on every allowlist.

    Attributes:
        member: of the member it is.
        outsider: on the list, never a member.
        expired, early: on the list, and not valid now.
        stranger: on no list.
    """

    folder: Path
    member: Pair
    outsider: Pair
    expired: Pair
    early: Pair
    stranger: Pair

    @classmethod
    def make(cls, folder: Path, name: str = "hostile") -> Self:
        """Make all of them in a folder."""
        return cls(
            folder=folder,
            member=make_pair(folder, name),
            outsider=make_pair(folder, f"{name}-outsider"),
            expired=make_pair(folder, f"{name}-expired", not_after=day_before()),
            early=make_pair(folder, f"{name}-early", not_before=day_after()),
            stranger=make_pair(folder, f"{name}-stranger"),
        )

    @property
    def listed(self) -> dict[str, str]:
        """Fingerprint -> name of those that belong on the allowlists."""
        pairs = (self.member, self.outsider, self.expired, self.early)
        return {pair.fingerprint: pair.certificate.stem for pair in pairs}


@dataclass
class Target:
    """A mesh under attack, and the member that attacks it.

    Attributes:
        victims: nodes that run and are attacked.
        honest: all that run, where some of them are let be; the victims without.
        papers: certificates.
        marker: text that is nowhere else; in all content that attacks send.
        quiet: nobody else writes, so digests can be compared before and after.
        scale: how many variants, 1.0 for all.
        namespace: where what is written goes.
    """

    victims: Sequence[Victim]
    papers: Papers
    name: str = "hostile"
    url: str = "https://127.0.0.1:9"
    quiet: bool = False
    scale: float = 1.0
    namespace: str = "global"
    honest: Sequence[Victim] = ()
    marker: str = field(default_factory=lambda: f"zqx{random.SystemRandom().getrandbits(48):012x}")
    member: Any = None

    def shown(self, pair: Pair, victim: Victim) -> TlsPapers:
        """What is shown to whom."""
        return TlsPapers(pair.certificate, pair.key, victim.fingerprint)

    async def dial(self, victim: Victim, pair: Pair | None = None) -> trio.abc.Stream:
        """An open TLS connection with the member's certificate, or another one.

        Raises:
            OSError, trio.BrokenResourceError: it was not let in.
        """
        papers = self.shown(pair or self.papers.member, victim)
        return await victim.tls(papers)

    async def states(self) -> list[tuple[str, str]]:
        """Clock and digest of each victim, as text."""
        told = [await victim.mesh() for victim in self.victims]
        return [
            (json.dumps(one.get("clock"), sort_keys=True), one.get("digest", "")) for one in told
        ]

    async def settled(self) -> list[tuple[str, str]]:
        """The states, once they are equal when nobody else writes; to compare with later ones."""

        async def level() -> bool:
            return len(set(await self.states())) == 1

        if self.quiet:
            await until(level)
        return await self.states()

    async def all_equal(self) -> Expectation:
        """After everything: all victims live, with one clock and one digest."""
        seen: list[tuple[str, str]] = []

        async def level() -> bool:
            seen[:] = await self.states()
            return len(set(seen)) == 1 and seen[0][1] != ""

        ok = await until(level) if self.quiet else all([await v.lives() for v in self._all])
        digests = [digest for _, digest in seen]
        return Expectation("the nodes live and are equal", ok, {"digests": digests})

    def nothing_logged(self) -> Expectation:
        """No log holds what was sent as content."""
        found = [victim.name for victim in self._all if self.marker in victim.log_text()]
        return Expectation("no log holds what the attacker sent", not found, {"in": found})

    def links_broken(self) -> int:
        """How many times a victim lost its last connection with another one, by their logs."""
        names = {victim.name for victim in self._all}
        return sum(losses(victim.log_lines(), names) for victim in self._all)

    @property
    def _all(self) -> Sequence[Victim]:
        return self.honest or self.victims

    def links_unaffected(self, before: int) -> Expectation:
        """Links between the victims stayed as they were."""
        broken = self.links_broken() - before
        return Expectation("links between honest nodes stay up", broken == 0, {"broken": broken})


def losses(lines: Iterable[dict[str, Any]], names: Container[str]) -> int:
    """How many times one of `names` was without any connection after a `peer_disconnected`.

    Two that dial each other at the same moment have two for a while, and give one of them up.
    """
    connections: Counter[str] = Counter()
    lost = 0
    for line in lines:
        peer = line.get("peer", "")
        match line.get("event"):
            case "node_starting":
                connections.clear()
            case "peer_connected":
                connections[peer] += 1
            case "peer_disconnected" if peer in names:
                connections[peer] = max(0, connections[peer] - 1)
                lost += not connections[peer] and line.get("reason") != "duplicate"
    return lost
