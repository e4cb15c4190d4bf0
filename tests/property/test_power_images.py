"""Images of small logs against a deliberately dumb twin; images of a store that is written."""

import contextlib
import itertools
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.power.cycle import lay_out
from chaos.power.disk import SECTOR, Disk, check_complete, halves, sectors
from chaos.power.following import Follower
from chaos.power.images import choices, images
from chaos.power.syscalls import missing, read_calls, trace_command
from chaos.power.writelog import ROOT, Data, Names, Op, Sync
from tests.unit.chaos.power.rig_power import Script

BASE = bytes(range(256)) * 8  # four sectors
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 6), st.integers(1, 3), st.booleans()),
        st.tuples(st.just("sync")),
        st.tuples(st.just("rename"), st.sampled_from(["a", "b"]), st.sampled_from(["a", "b"])),
        st.tuples(st.just("sync names")),
    ),
    max_size=7,
)


def script_of(steps: list[tuple[object, ...]]) -> Script:
    script = Script(a=BASE)
    for number, step in enumerate(steps):
        if step[0] == "write":
            first, count, own = int(str(step[1])), int(str(step[2])), bool(step[3])
            script.add(Data(1, first * SECTOR, bytes([number + 1]) * (count * SECTOR), own))
        elif step[0] == "sync":
            script.add(Sync(1))
        elif step[0] == "rename" and step[1] != step[2]:
            script.add(Names(((ROOT, str(step[1]), None), (ROOT, str(step[2]), 1))))
        elif step[0] == "sync names":
            script.add(Sync(ROOT))
    return script


def allowed_sectors(ops: list[Op], upto: int) -> list[set[int | None]]:
    """The dumb twin: for each sector of the file, the marks it may carry after `upto` operations.

    A mark is the byte of the last write that reached the sector; 0 what it held at first, None
    that the file ends before it or that zeros stand there.
    """
    marks: list[set[int | None]] = [{0}] * 4 + [{None}] * 6
    for op in ops[:upto]:
        if isinstance(op.what, Sync) and op.what.inode == 1:
            marks = [{latest(ops[:upto], op, at)} for at in range(10)]
        elif isinstance(op.what, Data):
            first = op.what.offset // SECTOR
            for at in range(first, first + sectors(op.what)):
                mark = op.what.data[0]
                marks[at] = {mark} if op.what.own_sync else marks[at] | {mark}
    return marks


def latest(ops: list[Op], sync: Op, at: int) -> int | None:
    found: int | None = 0 if at < 4 else None
    for op in ops[: ops.index(sync)]:
        if isinstance(op.what, Data) and at in range(
            op.what.offset // SECTOR, op.what.offset // SECTOR + sectors(op.what)
        ):
            found = op.what.data[0]
    return found


def mark_of(data: bytes, at: int) -> int | None:
    sector = data[at * SECTOR : (at + 1) * SECTOR]
    if not sector or not any(sector):
        return None
    if at < 4 and sector == BASE[at * SECTOR : (at + 1) * SECTOR]:
        return 0
    assert len(set(sector)) == 1, "a sector is torn"
    return sector[0]


@given(STEPS, st.integers(0, 2**16))
@settings(max_examples=120, deadline=None)
def test_every_sector_of_every_image_is_one_that_was_written_and_not_synced_over(
    steps: list[tuple[object, ...]], seed: int
) -> None:
    log = script_of(steps).log
    for image in images(log, seed, 60):
        # Two halves to an operation; what has begun may have its effect.
        allowed = allowed_sectors(log.ops, -(-image.moment // 2))
        sure = allowed_sectors(log.ops, image.moment // 2)
        for data in image.tree.values():
            assert data is not None
            for at in range(10):
                assert mark_of(data, at) in allowed[at] | sure[at]


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_small_spaces_are_given_whole(steps: list[tuple[object, ...]]) -> None:
    log = script_of(steps[:4]).log
    told = {tuple(image.tree.items()) for image in images(log, 1, None)}
    disk = Disk(log)
    for half in halves(log):
        (disk.end if half.is_end else disk.begin)(half.op)
        places = range(len(disk.coming))
        for count in range(len(places) + 1):
            for kept in itertools.combinations(places, count):
                assert tuple(disk.image(dict.fromkeys(kept)).items()) in told


def test_what_is_always_given() -> None:
    script = Script(a=BASE)
    for number in range(6):
        script.add(Data(1, number * SECTOR, b"\1" * (2 * SECTOR)))
    disk = Disk(script.log)
    for half in halves(script.log):
        (disk.end if half.is_end else disk.begin)(half.op)
    given_ = [c.kept for c in choices(disk.coming, random.Random(1), drawn=False)]
    everything = dict.fromkeys(range(6))
    assert {} in given_
    assert everything in given_
    for place in everything:
        assert {place: None} in given_
        assert {p: None for p in everything if p != place} in given_
        assert dict.fromkeys(range(place)) in given_
        assert any(kept.get(place) is not None for kept in given_), "torn"


def test_same_log_seed_and_count_same_images() -> None:
    script = Script(a=BASE)
    for number in range(9):
        script.add(Data(1, number * SECTOR, b"\1" * (3 * SECTOR)))
    first, again, other = ([i.tree for i in images(script.log, s, 50)] for s in (1, 1, 2))
    assert first == again != other
    assert len({tuple(tree.items()) for tree in first}) == len(first) == 50


WRITER = """
import sys
from pathlib import Path
from node.store import Store
from tests.unit.store.rig import Maker, entropy
from crdt.dot import DATA
store, maker = Store(Path(sys.argv[1]) / "store", entropy=entropy), Maker()
marks = open(sys.argv[2], "wb", buffering=0)
for number in range(int(sys.argv[3])):
    maker.create(f"id{number}", DATA, "n", content="x" * (number * 977 % 20_000))
    if number % 3 == 2:
        maker.edit(DATA + b"memory/id%d" % (number - 1), content="edited")
    if number % 5 == 4:
        maker.delete(DATA + b"memory/id%d" % (number - 2))
    store.commit(maker.take())
    marks.write(b"%d\\n" % store.load().digest)
store.close()
"""


def test_a_store_is_after_a_crash_what_it_was_after_one_of_its_last_two_commits(
    tmp_path: Path,
) -> None:
    """Without clients: each commit leaves a digest, and an image holds the last or the next."""
    why = missing()
    if why:
        pytest.skip(why)
    from node.store.errors import StoreDamaged  # noqa: PLC0415 - only where it can be run
    from tests.unit.store.rig import open_store  # noqa: PLC0415

    root, marks, trace = tmp_path / "root", tmp_path / "marks", tmp_path / "trace"
    root.mkdir()
    command = [sys.executable, "-c", WRITER, str(root), str(marks), "24"]
    follower = Follower(root)
    subprocess.run(
        trace_command(trace, command), check=True, cwd=Path(__file__).parents[2], timeout=60
    )
    calls = list(read_calls(trace.read_text().splitlines()))
    follower.follow(calls)
    log = follower.log
    assert check_complete(log) > 0
    digests = [int(line) for line in marks.read_text().split()]
    committed = [
        call.ended_ns
        for call in calls
        if call.name == "write" and f"{marks}".encode().hex("x").replace("x", "\\x") in call.args[0]
    ]
    assert len(committed) == len(digests) == 24
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    for image in images(log, seed, 150):
        place = tmp_path / str(image.number)
        lay_out(image.tree, place, log, image.number)
        done = sum(when < image.at_ns for when in committed)
        held = 0
        if (place / "store").is_dir():
            try:
                with contextlib.closing(open_store(place / "store")) as store:
                    held = store.load().digest
            except StoreDamaged:
                # Its first pages are not there yet: a node would not know this store by CURRENT.
                assert not done, (seed, image.number, image.choice)
        assert held in [0, *digests][done : done + 2], (seed, image.number, image.choice)
