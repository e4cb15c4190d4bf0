"""What must hold after every step, for every disk and every process."""

from typing import TYPE_CHECKING, Any

from crdt.clock import Clock, shared
from crdt.dot import Dot
from crdt.memory_state import MemoryState
from crdt.pending import decode_pending
from crdt.pending_table import PendingTable
from crdt.record import Record
from crdt.record_codec import decode
from crdt.view import Approvals, shown
from tests.simulation.broken import need

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World


class _Stored:
    """Approvals read straight from a disk."""

    def __init__(self, disk: MemoryState) -> None:
        self.table = PendingTable({d: decode_pending(data) for d, data in disk.pending.items()})

    def shown(self, dot: Dot) -> bool:
        return self.table.shown(dot)

    def stamp(self, dot: Dot) -> int:
        return self.table.stamp(dot)


def visible(records: dict[bytes, Record], approvals: Approvals) -> dict[str, Any]:
    out = {}
    for key, record in records.items():
        part = shown(record, approvals)
        if part is not None:
            name = chr(key[0]) + key.partition(b"/")[2].decode()
            out[name] = {
                field: {v.origin.dot: v.value for v in versions}
                for field, versions in part.fields.items()
            }
    return out


def difference(got: dict[str, Any], want: dict[str, Any]) -> list[str]:
    """Where two visible states differ, in a line each."""
    out = []
    for name in sorted(got.keys() | want.keys()):
        have, should = got.get(name, {}), want.get(name, {})
        for field in sorted(have.keys() | should.keys()):
            left, right = have.get(field, {}), should.get(field, {})
            if left != right:
                shows = {f"{d.actor[:13].hex()}:{d.seq}": v for d, v in left.items()}
                wanted = {f"{d.actor[:13].hex()}:{d.seq}": v for d, v in right.items()}
                out.append(f"{name}.{field} shows {shows}, should {wanted}")
    return out


def check_state(world: "World", name: str, disk: MemoryState) -> None:
    """I1, I3, I4, I6, I7, I12 for what is on a disk."""
    clock = disk.clock()
    mark = (id(disk), disk.digest, disk.arrivals, len(clock))
    if world.checked.get(name) == mark:
        return
    world.checked[name] = mark
    want, governance = world.twin.state(clock)
    records = {key: decode(key, data) for key, data in disk.records.items()}
    got = visible(records, _Stored(disk))
    need(got == want, "I1 visible state is no function of the clock", name, *difference(got, want))
    held = {op.dot for op in _governance(world, disk)}
    need(held == governance, "I11 governance differs", name, held ^ governance)
    for actor, row in disk.actors.items():
        last = [b for b in world.twin.lines[actor] if b.last == row.seq]
        need(bool(last) and last[0].hash == row.hash, "I2 the chain's head is wrong", name)
    _check_digest(world, name, clock, disk.digest)


def _governance(world: "World", disk: MemoryState) -> list[Any]:
    return [
        op
        for actor, entries in disk.log.items()
        if actor[:1] == b"g"
        for _, logged in entries
        for bundle in world.twin.lines[actor]
        if bundle.first == logged.first
        for op in bundle.ops
    ]


def _check_digest(world: "World", name: str, clock: Clock, digest: int) -> None:
    key = frozenset(shared(clock).items())
    known = world.digests.setdefault(key, digest)
    need(known == digest, "I12 equal clocks, unequal digests", name)


def check_process(world: "World", process: "Process") -> None:
    """The same for what a process shows, committed or not; and what it believes of others."""
    replica = process.replica
    world.rows_claim_truth(process)
    if replica.has_open:
        return
    name = f"memory {process.pid}"
    mark = (id(replica), replica.overlay.number, len(replica.clock), sum(replica.clock.values()))
    if world.checked.get(name) == mark:
        return
    world.checked[name] = mark
    want, governance = world.twin.state(replica.clock)
    keys = {*process.disk.records, *replica.overlay.keys()}
    records = {k: r for k in keys if (r := replica.read(k)) is not None}
    got = visible(records, replica)
    need(got == want, "I1 visible state is no function of the clock", name, *difference(got, want))
    held = {op.dot for op in replica.governance.history()}
    need(held == governance, "I11 governance differs", name, held ^ governance)
    bound = process.now_ms + world.limits.skew_ms_max
    need(
        replica.hlc.last >> 16 <= max(bound, world.now_ms + world.most_skew),
        "I16 clock ran ahead",
        name,
    )
