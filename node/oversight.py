"""The part of a node that looks at the node: who belongs, what is weakened, what is wrong.

Law: it composes and is asked; it decides nothing. What changes who may do what (the list, a
switch, a mode) is told to the log, to the metrics and to the audit chain from here.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from crdt.governance_state import GovernanceState
from node.contracts import Funnel
from node.doctor.facts import ChainFacts
from node.doctor.folder_seen import killed, last_exit_of
from node.doctor.running import Doctor
from node.doctor.switches import Switches
from node.doctor.waiting_seen import waiting_of
from node.gate import Gate
from node.ground import Ground
from node.live import Live, Tasks
from node.modes import ModeKeeper
from node.peers.faces import Faces
from node.peers.links import PeerLinks
from node.peers.membership import Membership
from node.peers.mesh import Mesh
from node.replication.engine import Engine
from node.replication.lag import Lags

_FACES = "faces.json"
# A node that starts over is one process: its own note of a moment ago is not an earlier one's.
_BEGAN_MS = time.time_ns() // 1_000_000


@dataclass(slots=True, kw_only=True)
class Oversight:
    """What looks at a running node.

    Attributes:
        mesh: members, and who else is allowed or was removed.
        membership: the operations on who belongs.
        lags: how far members are behind.
        doctor: what is wrong.
        modes: announces what becomes of verdicts here.
        switches: tells which settings do not protect.
        faces: which certificate each node last showed.
    """

    ground: Ground
    live: Live
    tasks: Tasks
    mesh: Mesh
    membership: Membership
    lags: Lags
    doctor: Doctor
    switches: Switches
    faces: Faces
    modes: ModeKeeper | None = None

    def govern_through(self, funnel: Funnel) -> None:
        """Announce this node's mode through the funnel from now on."""
        engine = self.doctor.engine
        self.modes = ModeKeeper(
            node_id=engine.me.node_id,
            settings=lambda: self.live.settings,
            state=lambda: _settled(engine),
            funnel=funnel,
            spawn=self.tasks.spawn,
            monotonic=time.monotonic,
            log=self.ground.log,
        )
        modes = self.modes
        self.doctor.mode_refused = lambda: modes.refused

    def audited_by(
        self, record: Callable[..., None], chain: Callable[[], ChainFacts] | None = None
    ) -> None:
        """Tell the audit chain what changes from now on, and what did while no node ran.

        Args:
            record: writes an entry: its event, then facts.
            chain: what the doctor is told of the chain.
        """
        self.membership.audited_by(record)
        self.switches.audited_by(record)
        self.doctor.chain = chain
        if self.ground.doors.trust is not None:
            self.ground.doors.trust.audited_by(record, self.faces.allowed)

    def watch(self) -> None:
        """Look at what may have changed; cheap, meant for every half second."""
        self.mesh.note_faces()
        if self.modes is not None:
            self.modes.watch()

    def measure(self) -> None:
        """Put what waits for approval into the gauges."""
        engine, metrics = self.doctor.engine, self.ground.metrics
        now_ms = engine.now_ms()
        waiting = waiting_of(engine.replica.pending, now_ms)
        metrics.gauge("pending_actions").set(waiting.count)
        age_ms = 0 if waiting.oldest_ms is None else max(now_ms - waiting.oldest_ms, 0)
        metrics.gauge("pending_oldest_seconds").set(age_ms / 1000)


def build_oversight(
    ground: Ground,
    live: Live,
    tasks: Tasks,
    engine: Engine,
    links: PeerLinks,
    gate: Gate,
) -> Oversight:
    """Compose it over the replicated side and the live links."""
    paths, trust = ground.settings.paths, ground.doors.trust
    faces, lags = Faces(path=paths.data_dir / _FACES), Lags(engine)
    membership = Membership(
        engine=engine,
        links=links,
        trust=trust,
        readiness=engine.readiness,
        timeout_ms=live.quorum_timeout_ms,
        log=ground.log,
        gate=gate,
    )
    mesh = Mesh(
        engine=engine,
        links=links,
        trust=trust,
        readiness=engine.readiness,
        membership=membership,
        lags=lags,
        faces=faces,
    )
    doctor = Doctor(
        engine=engine,
        mesh=mesh,
        doors=ground.doors,
        live=live,
        environ=os.environ,
        clock=ground.now_ms,
        last_exit=last_exit_of(paths),
        killed=killed(paths, since_ms=_BEGAN_MS),
        refused=links.refusals.standing,
    )
    switches = Switches(metrics=ground.metrics, log=ground.log)
    switches.tell(ground.settings)
    return Oversight(
        ground=ground,
        live=live,
        tasks=tasks,
        mesh=mesh,
        membership=membership,
        lags=lags,
        doctor=doctor,
        switches=switches,
        faces=faces,
    )


def _settled(engine: Engine) -> GovernanceState | None:
    """Governance, once this node serves and knows of nothing that it lacks.

    Founders take their places at the same time; who asks before it has heard a quorum of them
    does not know yet whom they named administrators.
    """
    tally, replica = engine.exchange.tally, engine.replica
    state = replica.governance.now
    if not replica.joined or not tally.caught_up_with_all():
        return None
    return state if tally.reachable() >= state.quorum(engine.exchange.wanted_w) else None
