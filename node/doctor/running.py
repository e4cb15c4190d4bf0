"""The doctor of a running node: gathers the facts and has them examined.

Law: it asks the parts of this very process and the members that are linked, never a copy or a
note about them, and changes nothing. What it reads from the disk is small: names, modes, the
settings and the list.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from crdt.dot import NodeId
from node import __version__, failpoints
from node.clock import Clock
from node.doctor.asking import Asking
from node.doctor.facts import (
    ChainFacts,
    ConfigFacts,
    DocumentFacts,
    Facts,
    ForeignFact,
    GovernanceFacts,
    ListenerFact,
    MemberFact,
    MeshFacts,
    NodeFacts,
    TrustFacts,
)
from node.doctor.finding import Section
from node.doctor.folder_seen import (
    backup_of,
    identity_of,
    options_of,
    store_of,
    with_notes,
    writable_by_others,
)
from node.doctor.host_seen import host_of
from node.doctor.machine_facts import StoreFacts, TimeFacts
from node.doctor.table import examine
from node.doctor.telling import Sight, Told
from node.doctor.time_seen import synchronised
from node.doctor.waiting_seen import waiting_of
from node.errors import NodeError
from node.integrity.facts import IntegrityFacts
from node.live import Live
from node.mesh_view import MeshStatus, MeshView
from node.metrics import Metrics
from node.paths import resolve_paths
from node.replication.engine import Engine
from node.settings import TABLE, Settings, is_loopback, load_settings, reload_differences
from node.sockets import OpenDoors

# An empty store asks for these; one with a mesh knows better.
_ONLY_AT_FOUNDING: Final = frozenset({"quorum.peers", "federation.cluster"})
_PEERS_MUST_AGREE: Final = "must be equal on all members"
_MAY_DIFFER: Final = ("quorum.timeout_ms", "federation.share_private")
_COMPARED: Final = (
    *_MAY_DIFFER,
    *(row.name for row in TABLE if _PEERS_MUST_AGREE in row.about.help),
)
_MS_PER_SECOND: Final = 1000


@dataclass(slots=True, kw_only=True)
class Doctor:
    """Looks at one running node.

    Attributes:
        engine: the replicated side.
        mesh: members and who else is allowed.
        doors: listeners and TLS.
        live: the settings in force.
        environ: as the process was started with.
        clock: the time that the node goes by.
        last_exit: exit code of the process before this one.
        killed: whether that one ended without a word.
        mode_refused: whether the mesh refused the mode that is set here.
        chain: about the audit chain; None where none is kept.
        integrity: about the integrity of the store; None where nobody watches it.
        foreign: peers of other meshes.
        dials: address -> why the last dial to it failed.
        refused: reasons for which links were refused lately.
    """

    engine: Engine
    mesh: MeshView
    doors: OpenDoors
    live: Live
    environ: Mapping[str, str]
    clock: Clock
    last_exit: int
    killed: bool = False
    mode_refused: Callable[[], bool] = lambda: False
    chain: Callable[[], ChainFacts] | None = None
    integrity: Callable[[], IntegrityFacts] | None = None
    foreign: Callable[[], Iterable[ForeignFact]] = tuple
    dials: Mapping[str, str] = field(default_factory=dict)
    refused: Callable[[], Iterable[str]] = tuple
    _asking: Asking = field(init=False)
    _began: float = field(init=False, default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Answer the members that ask, from now on."""
        self._asking = Asking(self.engine, self.told)

    async def examine(self) -> list[Section]:
        """Every section, as things are now; waits up to a second for members that are silent."""
        return examine(self.facts(await self._asking.ask()))

    def facts(self, answers: Mapping[NodeId, Told]) -> Facts:
        """What there is to look at.

        Args:
            answers: what the linked members said.
        """
        settings, status = self.live.settings, self.mesh.status()
        trust, paths = self.doors.trust, settings.paths
        heartbeat = self.engine.exchange.heartbeat
        in_time, error_ms = synchronised()
        return Facts(
            now_ms=self.engine.now_ms(),
            node=self._node(settings),
            config=self._config(settings),
            settings=settings,
            identity=identity_of(
                settings,
                in_force=trust.fingerprint if trust is not None else "",
                expires_ms=None if trust is None else int(trust.expires_at * _MS_PER_SECOND),
            ),
            trust=self._trust(status),
            mesh=self._mesh(status, settings, answers),
            store=self._store(settings),
            integrity=None if self.integrity is None else self.integrity(),
            backup=backup_of(paths),
            host=host_of(
                connections_max=settings.limits.connections_max,
                map_bytes=settings.storage.map_bytes,
            ),
            time=TimeFacts(
                synchronised=in_time,
                error_ms=error_ms,
                skew_ms=heartbeat.skew_ms(),
                trusted=heartbeat.trusted,
                ahead_ms=self.clock.ahead_ms,
            ),
            governance=GovernanceFacts(
                state=self.engine.replica.governance.now,
                own=self.engine.me.node_id,
                mode_refused=self.mode_refused(),
            ),
            pending=waiting_of(self.engine.replica.pending, self.engine.now_ms()),
            listeners=self._listeners(),
            foreign=tuple(self.foreign()),
            chain=self.chain() if self.chain is not None else None,
            documents=DocumentFacts(
                troubles=self.engine.shelf.troubles.now(),
                without=tuple(self.engine.without_documents()),
                away=tuple(one.name for one in status.members if one.state == "away"),
            ),
        )

    def told(self) -> Told:
        """What this node says of itself to a member that asks."""
        settings, status = self.live.settings, self.mesh.status()
        compared = {name: _value(settings, name) for name in _COMPARED}
        writes = settings.quorum.writes
        return Told(
            version=__version__,
            now_ms=self.engine.now_ms(),
            settings={
                **compared,
                "quorum.writes": "the majority" if writes is None else str(writes),
            },
            sees={
                member.node_id: Sight(
                    state=member.state,
                    allowed=member.standing != "revoked",
                    lag_ops=member.lag_ops,
                    skew_ms=member.skew_ms,
                    dial=self.dials.get(member.peer_url, ""),
                )
                for member in status.members
                if member.node_id
            },
        )

    def _node(self, settings: Settings) -> NodeFacts:
        faults, paths = failpoints.armed, settings.paths
        usual = {key: value for key, value in self.environ.items() if key.startswith("XDG_")}
        log = settings.logging.path or (paths.log if paths.log.exists() else "")
        return with_notes(
            NodeFacts(
                running=True,
                pid=os.getpid(),
                version=__version__,
                up_ms=int((time.monotonic() - self._began) * _MS_PER_SECOND),
                trouble=self.mesh.ready() or "",
                last_exit=self.last_exit,
                killed=self.killed,
                options=options_of(paths, resolve_paths(usual, Path.home())),
                log=str(log),
                faults="" if faults is None else str(faults.folder),
                wrong_orders=() if faults is None else tuple(faults.wrong()),
            ),
            paths,
        )

    def _config(self, settings: Settings) -> ConfigFacts:
        path = settings.paths.config
        plain = ConfigFacts(
            path=str(path),
            warnings=settings.warnings,
            open_to_others=writable_by_others(path),
        )
        try:
            fresh = load_settings(
                settings.paths,
                environ=self.environ,
                flags=settings.flags,
                hostname=settings.identity.name,
            )
        except NodeError as error:
            why = f"{error.what}: {error.why}" if error.why else error.what
            return replace(plain, trouble=why)
        live, restart = reload_differences(settings, fresh)
        return replace(
            plain,
            reloadable=live,
            waiting=tuple(name for name in restart if name not in _ONLY_AT_FOUNDING),
        )

    def _trust(self, status: MeshStatus) -> TrustFacts | None:
        trust = self.doors.trust
        if trust is None:
            return None
        outsiders = {o.fingerprint: o.name for o in status.others if o.allowed}
        path = trust.allowlist_path
        return TrustFacts(
            path=str(path or ""),
            outsiders=outsiders,
            entries=len([one for one in trust.allowlist.fingerprints if not trust.is_own(one)]),
            trouble=trust.trouble(),
            open_to_others=path is not None and writable_by_others(path),
        )

    def _mesh(
        self, status: MeshStatus, settings: Settings, answers: Mapping[NodeId, Told]
    ) -> MeshFacts:
        members = tuple(
            MemberFact(
                name=member.name,
                url=member.peer_url,
                node_id=member.node_id,
                own=member.node_id == status.node_id,
                state=member.state,
                skew_ms=member.skew_ms,
                lag_ops=member.lag_ops,
                lag_seconds=member.lag_seconds,
                digest_agree=member.digest_agree,
                allowed=member.standing != "revoked",
                fingerprint=member.fingerprint,
                dial=self.dials.get(member.peer_url, ""),
                told=answers.get(bytes.fromhex(member.node_id)),
            )
            for member in status.members
        )
        trust = self.doors.trust
        return MeshFacts(
            members=members,
            n=status.n,
            w=status.w,
            # A node that founds its mesh with its first write is in reach of itself.
            reach=max(status.reach, int(status.n == 1)),
            w_is_set=settings.quorum.writes is not None,
            skew_ms_max=settings.limits.clock_skew_ms_max,
            own=self.told(),
            fingerprint=trust.fingerprint if trust is not None else "",
            refused=tuple(self.refused()),
            removed=any(
                one.standing == "retired" and one.node_id == status.node_id for one in status.others
            ),
        )

    def _store(self, settings: Settings) -> StoreFacts:
        store, readiness = self.engine.store, self.engine.readiness
        commits, median_ms = _commits(self.engine.metrics)
        return replace(
            store_of(settings.paths.data_dir),
            map_used_ratio=store.map_used_ratio(),
            size_bytes=store.size_bytes(),
            full=readiness.full,
            failed=readiness.failed,
            fsync_errors=int(_total(self.engine.metrics, "store_fsync_errors_total")),
            commits=commits,
            commit_ms_median=median_ms,
        )

    def _listeners(self) -> tuple[ListenerFact, ...]:
        doors, key = self.doors, self.doors.material.has_api_key
        return tuple(
            ListenerFact(
                address=f"{host}:{port}",
                tls=listener is doors.main and doors.trust is not None,
                loopback=is_loopback(str(host)),
                key=key,
            )
            for listener in doors.listeners
            for host, port in listener.addresses
        )


def _value(settings: Settings, name: str) -> str:
    section, _, key = name.partition(".")
    value = getattr(getattr(settings, section), key)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _total(metrics: Metrics, name: str) -> float:
    return sum(
        sample.value
        for family in metrics.counter(name).collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    )


def _commits(metrics: Metrics) -> tuple[int, float]:
    """How many commits there were, and the bound under which half of them took (ms)."""
    buckets = [
        (float(sample.labels["le"]), sample.value)
        for family in metrics.histogram("store_commit_seconds").collect()
        for sample in family.samples
        if sample.name.endswith("_bucket")
    ]
    count = buckets[-1][1] if buckets else 0.0
    half = next((bound for bound, within in buckets if within * 2 >= count), 0.0)
    finite = min(half, max((bound for bound, _ in buckets[:-1]), default=0.0))
    return int(count), finite * _MS_PER_SECOND
