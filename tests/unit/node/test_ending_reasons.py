"""Why a node stops: the first reason counts, and an order to stop hides no failure."""

import asyncio
import errno

import pytest

from crdt.whole import HalfMadeError
from node.errors import DiskError, Exit, OutOfMemory
from node.node import Ending

BROKEN = OSError(errno.EIO, "Input/output error")


def test_what_goes_wrong_while_stopping_in_good_order_is_told() -> None:
    ending = Ending(asyncio.Event())
    ending.ask()
    assert ending.asked.is_set()
    ending.ask(BROKEN)
    assert ending.error is BROKEN


def test_of_two_failures_the_first_counts_and_an_order_takes_none_back() -> None:
    ending = Ending(asyncio.Event())
    ending.ask(BROKEN)
    ending.ask(RuntimeError("later, and because of it"))
    ending.ask()
    assert ending.error is BROKEN
    assert not ending.again


def test_starting_over_is_not_starting_over_with_a_broken_disk() -> None:
    ending = Ending(asyncio.Event())
    ending.ask(again=True)
    ending.ask(BROKEN)
    assert ending.error is BROKEN


def test_a_defect_of_the_writer_is_not_told_as_the_disk_error_of_who_came_next() -> None:
    """Seen at failpoint `log.truncate`: exit code 10 of a node whose disk was well."""
    ending = Ending(asyncio.Event())
    next_one = BaseExceptionGroup(
        "tasks", [DiskError("nothing is written any more", why="it ended")]
    )
    assert ending.why(next_one) is next_one.exceptions[0]
    defect = RuntimeError("in the writer")
    ending.ask(defect)
    assert ending.why(next_one) is defect
    broken = Ending(asyncio.Event(), error=BROKEN)
    assert isinstance(broken.why(BaseExceptionGroup("tasks", [defect])), DiskError)


@pytest.mark.parametrize(
    "told", [MemoryError(), HalfMadeError(), RuntimeError("can't start new thread")]
)
def test_want_of_memory_is_told_as_that_and_not_as_a_defect(told: Exception) -> None:
    """Seen under a memory limit: a trace of forty lines, and nothing that says what to do."""
    asked = Ending(asyncio.Event(), error=told)
    why = asked.why(BaseExceptionGroup("tasks", [RuntimeError("because of it")]))
    assert isinstance(why, OutOfMemory)
    assert why.exit_code == Exit.ERROR
    assert "acknowledged" in str(why)
    assert why.fix
    found = Ending(asyncio.Event()).why(BaseExceptionGroup("tasks", [told]))
    assert isinstance(found, OutOfMemory)
