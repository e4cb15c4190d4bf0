"""The doctor of a running node: gathers the facts and has them examined.

Law: it asks the parts of this very process, never a copy or a note about them, and changes
nothing. What it reads from the disk is small: modes of files, the settings and the list.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from node import failpoints
from node.doctor.facts import (
    ChainFacts,
    ConfigFacts,
    Facts,
    GovernanceFacts,
    ListenerFact,
    MemberFact,
    MeshFacts,
    NodeFacts,
    StoreFacts,
    TrustFacts,
)
from node.doctor.finding import Section
from node.doctor.secrets_seen import identity_of
from node.doctor.table import examine
from node.doctor.waiting_seen import waiting_of
from node.errors import NodeError
from node.live import Live
from node.mesh_view import MeshStatus, MeshView
from node.replication.engine import Engine
from node.settings import Settings, is_loopback, load_settings, reload_differences
from node.sockets import OpenDoors

# An empty store asks for these; one with a mesh knows better.
_ONLY_AT_FOUNDING: Final = frozenset({"quorum.peers", "federation.cluster"})


@dataclass(slots=True, kw_only=True)
class Doctor:
    """Looks at one running node.

    Attributes:
        engine: the replicated side.
        mesh: members and who else is allowed.
        doors: listeners and TLS.
        live: the settings in force.
        environ: as the process was started with.
        started_ms: when this process began to run, milliseconds since the epoch.
        last_exit: exit code of the process before this one.
        mode_refused: whether the mesh refused the mode that is set here.
        chain: about the audit chain; None where none is kept.
    """

    engine: Engine
    mesh: MeshView
    doors: OpenDoors
    live: Live
    environ: Mapping[str, str]
    started_ms: int
    last_exit: int
    mode_refused: Callable[[], bool] = lambda: False
    chain: Callable[[], ChainFacts] | None = None

    def examine(self) -> list[Section]:
        """Every section, as things are now."""
        return examine(self.facts())

    def facts(self) -> Facts:
        """What there is to look at."""
        settings, status = self.live.settings, self.mesh.status()
        state = self.engine.replica.governance.now
        return Facts(
            now_ms=self.engine.now_ms(),
            node=self._node(),
            config=self._config(settings),
            settings=settings,
            identity=identity_of(self.doors.material, self._expires_ms()),
            trust=self._trust(status),
            mesh=self._mesh(status, settings),
            store=self._store(settings),
            governance=GovernanceFacts(
                state=state,
                own=self.engine.me.node_id,
                mode_refused=self.mode_refused(),
            ),
            pending=waiting_of(self.engine.replica.pending, self.engine.now_ms()),
            listeners=self._listeners(),
            chain=self.chain() if self.chain is not None else None,
        )

    def _node(self) -> NodeFacts:
        faults = failpoints.armed
        return NodeFacts(
            running=True,
            trouble=self.mesh.ready() or "",
            last_exit=self.last_exit,
            faults="" if faults is None else str(faults.folder),
            wrong_orders=() if faults is None else tuple(faults.wrong()),
        )

    def _config(self, settings: Settings) -> ConfigFacts:
        path = str(settings.paths.config)
        try:
            fresh = load_settings(
                settings.paths,
                environ=self.environ,
                flags=settings.flags,
                hostname=settings.identity.name,
            )
        except NodeError as error:
            why = f"{error.what}: {error.why}" if error.why else error.what
            return ConfigFacts(path=path, warnings=settings.warnings, trouble=why)
        live, restart = reload_differences(settings, fresh)
        waiting = tuple(name for name in (*live, *restart) if name not in _ONLY_AT_FOUNDING)
        return ConfigFacts(path=path, warnings=settings.warnings, waiting=waiting)

    def _expires_ms(self) -> int | None:
        trust = self.doors.trust
        return None if trust is None else int(trust.expires_at * 1000)

    def _trust(self, status: MeshStatus) -> TrustFacts | None:
        trust = self.doors.trust
        if trust is None:
            return None
        outsiders = {o.fingerprint: o.name for o in status.others if o.allowed}
        return TrustFacts(
            path=str(trust.allowlist_path or ""), outsiders=outsiders, trouble=trust.trouble()
        )

    def _mesh(self, status: MeshStatus, settings: Settings) -> MeshFacts:
        members = tuple(
            MemberFact(
                name=member.name,
                url=member.peer_url,
                own=member.node_id == status.node_id,
                state=member.state,
                skew_ms=member.skew_ms,
                lag_ops=member.lag_ops,
                lag_seconds=member.lag_seconds,
                digest_agree=member.digest_agree,
                allowed=member.standing != "revoked",
                fingerprint=member.fingerprint,
            )
            for member in status.members
        )
        return MeshFacts(
            members=members,
            n=status.n,
            w=status.w,
            # A node that founds its mesh with its first write is in reach of itself.
            reach=max(status.reach, int(status.n == 1)),
            w_is_set=settings.quorum.writes is not None,
            skew_ms_max=settings.limits.clock_skew_ms_max,
        )

    def _store(self, settings: Settings) -> StoreFacts:
        disk = os.statvfs(settings.paths.data_dir)
        store, readiness = self.engine.store, self.engine.readiness
        return StoreFacts(
            map_used_ratio=store.map_used_ratio(),
            size_bytes=store.size_bytes(),
            disk_free_bytes=disk.f_bavail * disk.f_frsize,
            disk_bytes=disk.f_blocks * disk.f_frsize,
            full=readiness.full,
            failed=readiness.failed,
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
