"""A process that is over ends, whatever its threads wait for."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
STUCK = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from node.process.leaving import Leaving
leaving = Leaving(0.2)
pool = ThreadPoolExecutor(1)
pool.submit(threading.Event().wait)
{then}
"""


def ended(then: str) -> int:
    command = [sys.executable, "-c", STUCK.format(then=then)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=20, check=False)
    return done.returncode


def test_a_pool_that_waits_for_ever_is_not_waited_for() -> None:
    assert ended("leaving.begin(7)") == 7


def test_an_error_on_the_way_out_ends_it_as_well() -> None:
    assert ended("leaving.begin(1)\nraise MemoryError") == 1


def test_threads_that_end_in_time_end_with_the_code_of_the_process() -> None:
    assert ended("pool.shutdown(wait=False); leaving.begin(7); import os; os._exit(0)") == 0
