"""The world around the replicas: time, links, faults, and the checks after every step.

A seed draws the options and the schedule; the same seed gives the same trace hash. Phase one
breaks things and checks safety after every step; phase two heals and demands liveness.
"""

import hashlib
import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from crdt.clock import ahead
from crdt.dot import Dot
from crdt.dot import node_of as author_of
from crdt.effects import Alarm
from crdt.exchange import ExchangeLimits
from crdt.header import peek
from crdt.memory_state import MemoryState
from crdt.messages import Push, Spread, encode
from crdt.messages import decode as decode_message
from crdt.peer import Outbox
from crdt.state import Batch
from tests.simulation import faults
from tests.simulation.broken import Broken, need
from tests.simulation.checks import check_process, check_state
from tests.simulation.documents import Documents
from tests.simulation.process import Process, node_of
from tests.simulation.twin import Twin
from tests.simulation.workload import Workload

SPREAD = encode(Spread(b"", bytes(32)))[1]
FRESH = {encode(Push(b""))[1], SPREAD}


class Link:
    """Two outboxes and what is in flight between them."""

    def __init__(self, number: int, left: Process, right: Process) -> None:
        self.number = number
        self.ends = (left, right)
        self.flight: dict[str, deque[bytes]] = {left.pid: deque(), right.pid: deque()}
        self.boxes: dict[str, Outbox] = {left.pid: Outbox(), right.pid: Outbox()}
        self.dead = False

    def other(self, process: Process) -> Process:
        return self.ends[1] if process is self.ends[0] else self.ends[0]


def _fanout(r: random.Random) -> dict[str, int]:
    """Half of the worlds are larger than what they push to all."""
    if r.random() < 0.5:
        return {}
    return {
        # One link may carry what five nodes write.
        "peer_queue_bytes_max": r.choice([8_000, 12_000]),
        "full_fanout_max": r.randint(0, 3),
        "relay_extra": r.randint(0, 1),
        "relay_fanout": r.randint(1, 3),
        "claims_per_s_max": r.choice([5, 20, 100]),
        "patience_ms": r.choice([50, 250]),
        "held_bytes_max": r.choice([600, 3000, 100_000]),
    }


_SIZES = frozenset({"page_bytes_max", "peer_queue_bytes_max", "held_bytes_max"})


def _limits(r: random.Random, seed: int, *, rogue: bool, documents: bool) -> ExchangeLimits:
    """Bounds that everyday traffic meets now and then."""
    bounds = {
        "page_bytes_max": r.choice([400, 1200, 4000]),
        "peer_queue_bytes_max": r.choice([1500, 4000, 12_000]),
        "relay_ms": r.choice([200, 500, 1000]),
        "session_deadline_ms": 1500,
        # With a liar about, who is alone with it waits: that it would believe it is known.
        "second_ms": 10**12 if rogue else 500,
        "bad_actor_ms": 2000,
        "page_slice_bytes_max": random.Random(f"slice {seed}").choice([1, 300, 4000]),
    }
    bounds |= _fanout(random.Random(f"fanout {seed}"))
    if documents:  # an edit that folds is as long as many others; a link carries several
        bounds |= {name: 12 * most for name, most in bounds.items() if name in _SIZES}
    return ExchangeLimits(**bounds)


_BUNDLE_BYTES = 450
"""About the middle of what one takes."""
SLEEPS = range(60, 330)
"""The steps through which a sleeper is down: long enough for logs to be cut above its clock."""


class World:
    """Everything there is.

    Args:
        seed: draws all else.
        bug: a planted one, by name.
        calm: without faults.
        sleeper: a founder that is down for most of the time, while the others cut their logs.
        rogue: a founder whose snapshots are forged; it offers them to all that ask it.
            In the worlds of both, and in half of the others, logs lose what is old, as they do
            after `log_ms_max`, whoever lacks it; in the rest only a limit of size takes from them.
        documents: agents edit documents, and write nothing else.
    """

    def __init__(
        self,
        seed: int,
        bug: str = "",
        *,
        calm: bool = False,
        sleeper: str = "",
        rogue: str = "",
        documents: bool = False,
    ) -> None:
        r = self.random = random.Random(seed)
        self.seed, self.bug, self.sleeper, self.rogue = seed, bug, sleeper, rogue
        self.stat: Counter[str] = Counter()
        self.now_ms, self.step_no, self.births, self.month = 1_000_000_000_000, 0, 0, 100
        self.founders = tuple("abcd"[: r.choice([3, 4])])
        self.limits = _limits(r, seed, rogue=bool(rogue), documents=documents)
        self.chunk_rows = r.choice([2, 5, 20])
        self.keep_bytes = _BUNDLE_BYTES * r.choice([2, 4, 8, 16, 999])
        self.aged = bool(sleeper or rogue) or random.Random(f"aged {seed}").random() < 0.5
        self.twin = Twin({name: node_of(name) for name in self.founders})
        private, pending, roles = r.random() < 0.4, r.random() < 0.7, r.random() < 0.35
        council = r.random() < 0.3
        self.workload = (
            Workload(r, council=True)
            if council
            else Workload(r, private=private, pending=pending, roles=roles)
        )
        if documents:
            self.workload.documents = Documents(random.Random(f"documents {seed}"))
        self.admins = ("ann",) if self.workload.roles and r.random() < 0.5 else ()
        self.disks: dict[str, MemoryState] = {}
        self.incoming: dict[str, tuple[bytes, MemoryState, bytes]] = {}
        self.procs: dict[str, Process] = {}
        self.names: dict[str, str] = {}
        self.links: dict[int, Link] = {}
        self.half: list[tuple[Process, Link]] = []
        self.skew: dict[str, int] = {}
        self.forged: set[bytes] = set()
        self.digests: dict[frozenset[Any], int] = {}
        self.committed: dict[tuple[bytes, int], set[str]] = {}
        self.backups: list[tuple[str, MemoryState]] = []
        self.removed: set[str] = set()
        self.joiners = 0
        self.most_skew = 0
        self.link_no = 0
        self.skewing = r.random() < 0.3
        self.stubborn = self.founders[:2] if self.skewing and r.random() < 0.4 else ()
        if self.stubborn:
            self.most_skew = 3_600_000
            self.skew = dict.fromkeys(self.stubborn, self.most_skew)
        self._trace = hashlib.sha256()
        self.checked: dict[str, tuple[Any, ...]] = {}
        self.weights = faults.weights(r, calm=calm)
        if sleeper:
            self.keep_bytes = min(self.keep_bytes, 4 * _BUNDLE_BYTES)
            self.weights["truncate"] *= 3
        if rogue:
            # Nothing may be held by the rogue alone: what it says of that is its word.
            self.weights |= dict.fromkeys(("restore", "clone", "lose"), 0)
            self.weights["truncate"] *= 3
        if council:
            self.weights |= {kind: 3 * self.weights[kind] for kind in ("vote", "seal")}
            # A store that comes back from a backup forgets what it had said no to.
            self.weights |= dict.fromkeys(("restore", "clone", "lose"), 0)
        for name in self.founders:
            self.disks[name] = MemoryState()
            self.boot(name, name)

    # --- processes and links -----------------------------------------------------

    def boot(self, pid: str, name: str) -> None:
        self.names[pid] = name
        if pid != self.sleeper or self.step_no not in SLEEPS:
            self.procs[pid] = Process(self, pid, name)

    def kill(self, pid: str) -> None:
        process = self.procs.pop(pid, None)
        if process is None:
            return
        for number in list(process.links.values()):
            self.cut(number)
        self.half = [(p, link) for p, link in self.half if p is not process]

    def replace_disk(self, pid: str, state: MemoryState | None) -> None:
        clock = state.clock() if state else {}
        for dot, held in self.committed.items():
            if pid in held and clock.get(dot[0], 0) < dot[1]:
                held.discard(pid)
        if state is None:
            del self.disks[pid]
            self.incoming.pop(pid, None)
        else:
            self.disks[pid] = state

    def cut(self, number: int) -> None:
        link = self.links.pop(number, None)
        if link is None:
            return
        link.dead = True
        for process in link.ends:
            self.half.append((process, link))
            flight = link.flight[process.pid]
            for _ in range(self.random.randint(0, len(flight))):
                flight.pop()

    def notice(self, process: Process, link: Link) -> None:
        if (process, link) in self.half:
            self.half.remove((process, link))
        if self.procs.get(process.pid) is process:
            other = link.other(process).pid
            if process.links.get(other) == link.number:
                del process.links[other]
                process.exchange.advance(process.now_ms)
                process.exchange.link_down(link.number)
                process.pump()

    def willing(self, left: Process, right: Process) -> bool:
        if left.name == right.name:
            return False
        for a, b in ((left, right), (right, left)):
            settled = bool(len(b.replica.governance))
            refusal = a.exchange.refuses(node_of(b.name), b.me.claim, settled=settled)
            if refusal and self.bug != "rashadd":
                return False
            twins = [self.links.get(n) for pid, n in a.links.items() if pid != b.pid]
            if any(t and t.other(a).name == b.name for t in twins):
                return False
        return left.replica.joined or right.replica.joined or not left.replica.must_join

    def connect(self, left: Process, right: Process) -> None:
        if not self.willing(left, right):
            return
        old = self.links.get(left.links.get(right.pid, -1))
        if old is not None and not old.dead and right.links.get(left.pid) == old.number:
            return
        for a, b in ((left, right), (right, left)):
            stale = a.links.get(b.pid)
            if stale is not None:
                dead = [link for p, link in self.half if p is a and link.number == stale]
                self.cut(stale)
                for link in dead or [link for p, link in self.half if p is a]:
                    if link.number == stale:
                        self.notice(a, link)
        self.link_no += 1
        link = self.links[self.link_no] = Link(self.link_no, left, right)
        for a, b in ((left, right), (right, left)):
            a.links[b.pid] = link.number
            a.exchange.advance(a.now_ms)
            a.exchange.link_up(link.number, node_of(b.name), b.me.claim, link.boxes[a.pid])
            a.pump()

    def fly(self, link: Link) -> None:
        """What waits in the outboxes takes off."""
        for pid, box in link.boxes.items():
            out = box.take(2**20)
            for data in out:
                if data[1] == SPREAD:
                    self._relays_truth(pid, data)
            link.flight[pid].extend(out)

    def _relays_truth(self, pid: str, data: bytes) -> None:
        """I9: nobody passes on what is not on its disk."""
        message = decode_message(data)
        assert isinstance(message, Spread)
        header = peek(message.bundle)
        need(header is not None, "a bundle has a header that can be read")
        if header is not None and node_of(self.names[pid]) != author_of(header.actor):
            self.stat["relayed"] += 1
            held = self.disks[pid].clock().get(header.actor, 0) >= header.last
            need(held, "I9 a relay claims what is not on disk", pid)

    def deliver(self, link: Link, sender: Process, *, faulty: bool = True) -> None:
        flight = link.flight[sender.pid]
        data = flight.popleft()
        receiver = link.other(sender)
        if self.procs.get(receiver.pid) is not receiver:
            return
        if receiver.links.get(sender.pid) != link.number:
            return
        if faulty and data[1] in FRESH:
            chance = self.random.random()
            if chance < 0.02:
                self.stat["lost"] += 1
                return
            if chance < 0.04 and flight:
                self.stat["reordered"] += 1
                flight.insert(1, data)
                return
            if chance < 0.06:
                self.stat["duplicated"] += 1
                flight.appendleft(data)
        self._trace.update(data)
        receiver.exchange.advance(receiver.now_ms)
        receiver.exchange.receive(link.number, data)
        receiver.soon_more(link.number)
        receiver.pump()

    def lies(self, process: Process) -> bool:
        """Whether this process forges what it offers."""
        return process.pid == self.rogue

    def alarmed(self, process: Process, alarm: Alarm) -> None:
        """What the core wants told; the operator of the world looks at what was not claimed."""
        self.stat[f"alarm_{alarm.name}"] += 1
        peer = process.exchange.peers.get(alarm.link)
        if peer is None:
            return
        honest = peer.node_id != node_of(self.rogue)
        if alarm.name in {"snapshot_refused", "snapshot_disputed"}:
            need(not honest, "an honest snapshot was refused", process.pid, alarm.detail)
        if alarm.name == "snapshot_unclaimed" and honest:
            process.exchange.catchup.trial.trusted.add(peer.node_id)

    # --- planted bugs that need the world ------------------------------------------

    def planted_claim(self, process: Process, batch: Batch) -> None:
        """Planted: claim what is not on disk yet."""
        if self.bug == "claim":
            exchange = process.exchange
            changed = {a: row.seq for a, row in batch.actors.items()}
            exchange.durable.update(changed)
            exchange.claims.moved(changed)

    def claimed_commit(
        self, process: Process, dot: tuple[bytes, int], ready: frozenset[bytes], w: int
    ) -> None:
        """I10: committed means durable, now, on W distinct ready members."""
        holders = {pid for pid, disk in self.disks.items() if disk.clock().get(dot[0], 0) >= dot[1]}
        nodes = {node_of(self.names[pid]) for pid in holders} & ready
        if process.pid not in holders:
            raise Broken("I10 the writer's own disk lacks it", process.pid)
        half_open = {node_of(link.other(process).name) for p, link in self.half if p is process}
        if len(nodes) < w and len(nodes | half_open) < w:
            raise Broken("I10 counted without a copy", process.pid, len(nodes), w)
        self.committed[dot] = holders
        self.stat["committed"] += 1

    # --- a step and its checks ---------------------------------------------------

    def step(self) -> None:
        self.step_no += 1
        if self.sleeper and self.step_no == SLEEPS.start:
            self.kill(self.sleeper)
        self.now_ms += self.random.randint(1, 40)
        kinds = list(self.weights)
        kind = self.random.choices(kinds, [self.weights[k] for k in kinds])[0]
        self._trace.update(kind.encode())
        action: Callable[[World], None] = faults.STEPS[kind]
        action(self)

    def check(self) -> None:
        for pid, disk in self.disks.items():
            check_state(self, f"disk {pid}", disk)
        for process in self.procs.values():
            check_process(self, process)

    @property
    def trace(self) -> str:
        """Equal for equal seeds."""
        return self._trace.hexdigest()[:16]

    def pick(self) -> Process | None:
        pids = sorted(self.procs)
        return self.procs[self.random.choice(pids)] if pids else None

    def covered(self, dot: Dot, pid: str) -> bool:
        return self.disks[pid].clock().get(dot[0], 0) >= dot[1]

    def rows_claim_truth(self, process: Process) -> None:
        """I9: no row claims what that disk does not hold."""
        for pid, number in process.links.items():
            link = self.links.get(number)
            peer = process.exchange.peers.get(number)
            if link is None or link.dead or peer is None or peer.row is None:
                continue
            disk = self.disks[link.other(process).pid].clock()
            need(not ahead(peer.row, disk), "I9 a row claims what is not on disk", process.pid, pid)
