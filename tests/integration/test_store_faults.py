"""Real faults: a disk that is really full, a process that is really killed."""

import functools
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdt.log_rule import LogRule
from crdt.record_codec import decode
from crdt.state import Batch
from node.store import Committer, NoRoom, Store
from node.store.scrub import START
from node.store.upkeep import days
from tests.unit.store.rig import DEADLINE_S, T0_MS, Maker, actor, memory, open_store, until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
CONTENT = os.urandom(10_000).hex()


def big(maker: Maker) -> Batch:
    maker.create(f"{maker.number}", content=CONTENT)
    return maker.take()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes of its own."""
    mount, place = shutil.which("mount"), tmp_path / "disk"
    place.mkdir()
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {made.stderr.decode().strip()}")
    try:
        yield place
    finally:
        # Lazily: a test that failed may still hold a file.
        subprocess.run(["umount", "-l", str(place)], check=True)  # noqa: S607 - the system's own


def fill(store: Store, maker: Maker) -> Batch:
    """Write until the disk is full; returns the batch that found no room."""
    for _ in range(500):
        batch = big(maker)
        try:
            store.commit(batch)
        except NoRoom:
            return batch
    pytest.fail("the disk never became full")


def check_whole(store: Store, maker: Maker) -> None:
    assert store.load().digest == maker.digest
    assert store.lists.count() == len(maker.records)
    assert len(store.page({}, 10**9).bundles) == len(maker.bundles)
    assert store.scrub(START, 10**9).bad == []


def test_a_full_disk_undoes_one_batch_and_takes_it_when_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    store, maker = open_store(small_disk / "s"), Maker()
    batch = fill(store, maker)
    assert batch.number > 10
    assert store.lists.count() == batch.number
    with pytest.raises(NoRoom):
        store.commit(batch)
    ballast.unlink()
    store.commit(batch)
    check_whole(store, maker)
    store.close()
    again = open_store(small_disk / "s")
    check_whole(again, maker)
    again.close()


def test_the_committer_waits_for_room_and_confirms_then(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_500_000))  # too much for all batches in one transaction, too
    store, maker = open_store(small_disk / "s"), Maker()
    confirmed: list[int] = []
    full: list[bool] = []
    fatal: list[BaseException] = []
    writer = Committer(
        store,
        post=lambda call: call(),
        on_full=full.append,
        on_fatal=fatal.append,
        queue_bytes_max=10**8,
        retry_seconds=0.001,
    )

    def done(number: int, error: BaseException | None) -> None:
        if error is None:
            confirmed.append(number)

    for number in range(60):
        writer.submit(big(maker), functools.partial(done, number))
    until(lambda: writer.full)
    held_up = len(confirmed)
    assert held_up < 60
    ballast.unlink()
    until(lambda: len(confirmed) == 60 or bool(fatal))
    assert writer.close(DEADLINE_S)
    assert (confirmed, full, fatal) == (list(range(60)), [True, False], [])
    check_whole(store, maker)
    store.close()


def test_truncation_makes_room_on_a_full_disk(small_disk: Path) -> None:
    store, maker = open_store(small_disk / "s"), Maker()
    batch = fill(store, maker)
    rule = LogRule(rows=[], log_bytes_max=0, log_bytes_min=0, log_ms_max=days(1))
    done = store.truncate(rule, T0_MS)
    assert done.bundles > 10
    store.commit(batch)
    assert store.lists.count() == len(maker.records)
    store.close()


def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    store, maker = open_store(tmp_path / "s"), Maker()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        batch = fill(store, maker)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.commit(batch)
    check_whole(store, maker)
    store.close()


WRITER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from node.store import Committer
    from tests.unit.store.rig import Maker, open_store

    store, maker = open_store(Path(sys.argv[1])), Maker(int(sys.argv[2]))
    say = lambda number: print("durable", number, flush=True)
    writer = Committer(
        store, post=lambda call: call(), on_full=print, on_fatal=print, queue_bytes_max=200_000
    )
    print("ready", flush=True)
    while True:
        maker.create(f"{maker.node}-{maker.number}", content="x" * 2000)
        if maker.number % 3 == 2:
            maker.edit(f"dmemory/{maker.node}-{maker.number - 1}".encode(), title="edited")
        batch = maker.take()
        while writer.queued_bytes > 100_000:
            pass
        writer.submit(batch, lambda error, n=batch.number: say(n))
""")


@pytest.mark.parametrize("moment", [1, 40, 41, 42, 250])
def test_a_kill_in_the_middle_of_commits_loses_nothing_confirmed(
    tmp_path: Path, moment: int
) -> None:
    for turn in range(1, 3):
        confirmed = kill_at(tmp_path / "s", turn, moment)
        store = open_store(tmp_path / "s")
        check_after_kill(store, turn, confirmed)
        store.close()


def kill_at(path: Path, turn: int, moment: int) -> int:
    """Run a writer, kill it once it has confirmed some batches; returns the last confirmed."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(turn)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        watchdog = threading.Timer(DEADLINE_S, process.kill)
        watchdog.start()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith(f"durable {moment}"):
                process.send_signal(signal.SIGKILL)
        watchdog.cancel()
        assert process.stderr is not None
        assert process.wait() == -signal.SIGKILL, process.stderr.read()
    numbers = [int(found[1]) for line in lines if (found := re.fullmatch(r"durable (\d+)\n", line))]
    assert numbers == list(range(len(numbers)))
    return numbers[-1]


def check_after_kill(store: Store, turn: int, confirmed: int) -> None:
    rows = store.load().actors
    assert set(rows) == {actor(node=n) for n in range(1, turn + 1)}
    for number in range(confirmed + 1):
        assert store.record(memory(f"{turn}-{number}")) is not None, number
    # Whatever else is there is whole: log, records, indexes and counters agree.
    assert store.scrub(START, 10**9).bad == []
    page = store.page({}, 10**9)
    assert page.complete
    assert len(page.bundles) == store.head.arrivals
    listed = [key for _, key in store.lists.recent()]
    assert len(listed) == store.lists.count() == sum(store.lists.counts().values())
    assert len(store.feed.after(0, 10**6)) == len(listed)
    for key in listed:
        data = store.record(key)
        assert data is not None
        assert decode(key, data).births
