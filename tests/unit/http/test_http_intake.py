"""The line in which requests wait for their turn, on a clock that only the test moves."""

import asyncio
from collections.abc import Callable

import pytest

from node.http.intake import HELD_BYTES_MAX, Intake
from node.replication.pressure import Line, Pressure
from tests.unit.http.conftest import Started
from tests.unit.http.wire import Wire, asked

TURN = 0.004
READ = asked("GET /livez")
WRITE = asked("POST /api/v1/memories", body=b'{"title":"t","content":"c"}')


class Ahead:
    """A clock that is ahead of the loop's by as much as this turn has lasted."""

    def __init__(self) -> None:
        self.lasted = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.lasted


class Asking:
    """Costs some time when its turn comes."""

    def __init__(self, served: Callable[[], None]) -> None:
        self.take_turn = served


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_young_turn_serves_at_once_and_an_old_one_does_not() -> None:
    clock = Ahead()
    intake = Intake(turn_seconds=TURN, now=clock)
    assert intake.has_time()
    clock.lasted = 2 * TURN
    assert not intake.has_time()


async def test_who_came_first_is_served_first_and_nobody_overtakes() -> None:
    intake, served = Intake(turn_seconds=TURN), list[int]()
    for number in range(5):
        intake.put(Asking(lambda number=number: served.append(number)))  # type: ignore[misc]
        assert not intake.has_time()
    await turns(1)
    assert served == [0, 1, 2, 3, 4]
    assert intake.has_time()


async def test_what_does_not_fit_into_a_turn_lets_others_have_theirs() -> None:
    clock, served = Ahead(), list[str]()
    intake = Intake(turn_seconds=TURN, now=clock)

    def slow() -> None:
        served.append("client")
        clock.lasted += TURN

    for _ in range(3):
        intake.put(Asking(slow))
    for _ in range(3):
        asyncio.get_running_loop().call_soon(served.append, "peer")
        await turns(1)
    assert served == ["client", "peer", "client", "peer", "client", "peer"]


async def test_a_failure_of_one_stops_nobody_else() -> None:
    intake, served, failed = Intake(turn_seconds=TURN), list[int](), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, told: failed.append(told))

    def fails() -> None:
        raise ValueError

    intake.put(Asking(fails))
    intake.put(Asking(lambda: served.append(1)))
    await turns(3)
    assert served == [1]
    assert len(failed) == 1
    assert intake.has_time()


async def test_the_request_at_hand_knows_how_long_it_waited() -> None:
    clock, told = Ahead(), list[Line | None]()
    intake = Intake(turn_seconds=TURN, now=clock)
    assert intake.line() is None
    intake.put(Asking(lambda: told.append(intake.line())))
    clock.lasted = 1.0
    await turns(1)
    line = told[0]
    assert line is not None
    assert line.waited_seconds == pytest.approx(1.0, abs=0.5)
    assert line.standing_seconds == pytest.approx(1.0, abs=0.5)
    assert intake.line() is None


@pytest.fixture
async def old_turn(start: Started) -> tuple[Intake, Wire]:
    """The line of a world whose turn of the loop has lasted too long, and a connection to it."""
    clock = Ahead()
    clock.lasted = 1.0
    intake = Intake(turn_seconds=TURN, now=clock)
    return intake, Wire(await start(parts={"intake": intake}))


async def test_requests_in_an_old_turn_are_answered_in_the_next(
    old_turn: tuple[Intake, Wire],
) -> None:
    intake, wire = old_turn
    wire.connection.data_received(READ)
    assert (len(intake), intake.held_bytes, bytes(wire.transport.out)) == (1, len(READ), b"")
    assert wire.transport.reading
    await turns(2)
    assert wire.transport.out.startswith(b"HTTP/1.1 200 ")
    assert (len(intake), intake.held_bytes) == (0, 0)


async def test_whose_bytes_do_not_fit_is_not_read_until_its_turn(
    old_turn: tuple[Intake, Wire],
) -> None:
    intake, wire = old_turn
    intake.held_bytes = HELD_BYTES_MAX
    wire.connection.data_received(READ)
    was_read = wire.transport.reading
    await turns(2)
    assert (was_read, wire.transport.reading) == (False, True)
    assert intake.held_bytes == HELD_BYTES_MAX


async def test_who_hangs_up_while_waiting_leaves_nothing_behind(
    old_turn: tuple[Intake, Wire],
) -> None:
    intake, wire = old_turn
    wire.connection.data_received(WRITE)
    wire.connection.connection_lost(None)
    assert intake.held_bytes == 0
    await turns(3)
    assert len(intake) == 0
    assert wire.world.node.log == []


async def test_a_late_write_is_refused_unread_and_a_late_read_is_served(start: Started) -> None:
    law = Pressure(1.0, 1_000_000)
    line = Line(2.0, 2.0)
    wire = Wire(await start(parts={"pressed": lambda _line: law.keeps_waiting(line)}))
    answers = await wire.send(asked("POST /api/v1/memories", body=b"this is no JSON"), READ)
    head, _, rest = answers.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 3" in head
    assert rest.startswith(b'{"error":"overloaded"')
    assert b"HTTP/1.1 200 " in rest
    assert wire.ordinary == 0
