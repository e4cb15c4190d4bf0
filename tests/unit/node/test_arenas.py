"""Few arenas, where the C library has such a thing."""

import ctypes
import platform
import subprocess
import sys

import pytest

from node import arenas

CODE = """
import re, threading
from node.arenas import few_arenas
few_arenas()
barrier = threading.Barrier(9)
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
def take():
    libc.malloc(100_000)
    barrier.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads:
    thread.start()
barrier.wait()
for thread in threads:
    thread.join()
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
stdout = ctypes.c_void_p.in_dll(libc, "stdout")
libc.malloc_info(0, stdout)
libc.fflush(stdout)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_many_threads_share_two_arenas() -> None:
    told = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)

    assert 1 <= told.stdout.count("<heap nr=") <= 2


def test_a_library_without_such_a_thing_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())

    assert arenas.few_arenas() is False
