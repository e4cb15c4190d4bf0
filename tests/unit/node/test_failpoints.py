"""Orders of faults: what they may say, when they are carried out, and what they cost without."""

import errno
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node import failpoints
from node.errors import ConfigError
from node.failpoints import Faults, InjectedFault, Order, arm, hit, read_order, wall_clock

POINT = "store.commit.before"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    arm({"MNEMESH_FAULTS": str(tmp_path)})
    yield tmp_path
    arm({})


def put(folder: Path, text: str, point: str = POINT) -> None:
    (folder / point).write_text(text, encoding="ascii")


def fired(folder: Path, point: str = POINT) -> bool:
    return (folder / f"{point}.fired").exists()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("crash", Order(effect="crash")),
        ("raise\n", Order(effect="raise")),
        ("eio after 3", Order(effect="eio", after=3)),
        ("delay 0.2", Order(effect="delay", seconds=0.2)),
        ("delay 1 after 2 always", Order(effect="delay", seconds=1.0, after=2, always=True)),
        ("raise always", Order(effect="raise", always=True)),
    ],
)
def test_an_order_is_read(text: str, wanted: Order) -> None:
    assert read_order(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["", "crush", "delay", "delay x", "delay -1", "delay nan", "delay 1e9", "eio after", "eio 3"],
)
def test_what_is_no_order_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_order(text)


def test_a_defect_and_a_failing_disk_come_once_and_leave_their_proof(folder: Path) -> None:
    put(folder, "raise")
    with pytest.raises(InjectedFault, match="by order at"):
        hit(POINT)
    assert fired(folder)
    assert not (folder / POINT).exists()
    hit(POINT)
    put(folder, "eio")
    with pytest.raises(OSError, match="by order at") as caught:
        hit(POINT)
    assert caught.value.errno == errno.EIO
    hit(POINT)


def test_hits_pass_first_and_a_standing_order_stays(folder: Path) -> None:
    put(folder, "raise after 2 always")
    hit(POINT)
    hit(POINT)
    assert not fired(folder)
    for _ in range(2):
        with pytest.raises(InjectedFault):
            hit(POINT)
    assert fired(folder)
    (folder / POINT).unlink()
    hit(POINT)


def test_a_delay_stops_the_thread_that_is_hit(folder: Path) -> None:
    put(folder, "delay 0.05")
    began = time.monotonic()
    hit(POINT)
    assert time.monotonic() - began >= 0.05


async def test_a_delay_of_a_task_leaves_the_others_running(folder: Path) -> None:
    put(folder, "delay 0.01", "answer.before")
    faults = failpoints.armed
    assert faults is not None
    await faults.reached("answer.before")
    assert fired(folder, "answer.before")
    put(folder, "raise", "answer.before")
    with pytest.raises(InjectedFault):
        await faults.reached("answer.before")


def test_of_many_threads_one_carries_an_order_out(folder: Path) -> None:
    put(folder, "raise")
    failures: list[BaseException] = []
    gate = threading.Barrier(8)

    def run() -> None:
        gate.wait()
        try:
            hit(POINT)
        except InjectedFault as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == 1


def test_who_listens_is_told_before_the_effect(folder: Path) -> None:
    heard: list[tuple[str, str]] = []
    assert failpoints.armed is not None
    failpoints.armed.on_fired = lambda point, effect: heard.append((point, effect))
    put(folder, "raise")
    with pytest.raises(InjectedFault):
        hit(POINT)
    assert heard == [(POINT, "raise")]


def test_what_can_never_be_carried_out_is_told(folder: Path) -> None:
    put(folder, "crush")
    put(folder, "raise", "store.comit")
    put(folder, "delay 0", "answer.before")
    put(folder, "5000", "clock")
    assert failpoints.armed is not None
    wrong = failpoints.armed.wrong()
    assert len(wrong) == 2
    assert wrong[0].startswith("store.comit is no point") or wrong[1].startswith("store.comit")
    hit(POINT)  # harmless


def test_a_point_that_is_in_no_table_is_a_defect_of_ours(folder: Path) -> None:
    with pytest.raises(LookupError):
        hit("nowhere")
    assert not list(folder.iterdir())


def test_the_clock_is_off_by_what_is_ordered(tmp_path: Path) -> None:
    faults = Faults(tmp_path)

    def away(offset: int) -> None:
        deadline = time.monotonic() + 5
        while abs(faults.wall_ms() - time.time_ns() // 1_000_000 - offset) > 50:
            assert time.monotonic() < deadline

    away(0)
    put(tmp_path, "3600000", "clock")
    away(3_600_000)
    assert (tmp_path / "clock.fired").read_text(encoding="ascii") == "3600000\n"
    put(tmp_path, "-500000", "clock")
    away(-500_000)
    put(tmp_path, "nonsense", "clock")
    away(-500_000)
    put(tmp_path, "60000 jump 0.1", "clock")
    away(60_000)
    away(0)
    away(60_000)
    (tmp_path / "clock").unlink()
    away(0)


def test_without_the_variable_nothing_is_alive() -> None:
    assert arm({}) is None
    assert arm({"MNEMESH_FAULTS": ""}) is None
    assert failpoints.armed is None
    assert wall_clock().__name__ == "_wall_ms"
    hit(POINT)
    hit("a name that nobody looks up")


def test_a_variable_that_names_no_folder_refuses_to_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        arm({"MNEMESH_FAULTS": str(tmp_path / "missing")})
    assert failpoints.armed is None


def test_a_hit_costs_next_to_nothing() -> None:
    """30 ns on the machine it was written on; the bound is for busy ones."""
    count = 200_000

    def spent() -> float:
        began = time.perf_counter_ns()
        for _ in range(count):
            hit(POINT)
        return (time.perf_counter_ns() - began) / count

    assert min(spent() for _ in range(5)) < 150


def test_the_table_says_where_and_what_of_at_least_two_dozen_points() -> None:
    assert len(failpoints.POINTS) >= 24
    for where, moment in failpoints.POINTS.values():
        assert where in {"loop", "task", "committer", "snapshots", "worker", "audit"} | {
            "nonces",
            "recall",
        }
        assert moment
