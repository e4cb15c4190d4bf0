"""Puts load on a server: wrk where it is installed and can, our own driver elsewhere.

Law: both sides of a ratio get the same sender, and every figure says which one it was. The
sender is a process of its own, and its CPU is counted apart from that of what it drives.
"""

import tempfile
import time
from pathlib import Path
from typing import Any, Final, Literal

from tests.benchmarks import wrk
from tests.benchmarks.resp import KINDS
from tests.benchmarks.scale import CONTENT_BYTES, Scale
from tests.benchmarks.sending import Place, own
from tests.benchmarks.shapes import shape_of

Sender = Literal["wrk", "own"]
_KEYS_MAX: Final = 10**14


def sender_for(scale: Scale, kind: str) -> Sender:
    """Who sends such requests in this run."""
    if kind in KINDS:
        return "own"
    return scale.load or ("wrk" if wrk.installed() else "own")


def press(
    place: Place, scale: Scale, *, kind: str, clients: int, sender: Sender, **wanted: Any
) -> dict[str, Any]:
    """Warm up and measure; what the sender counted, its warm-up among the answers.

    Raises:
        BenchmarkError: the sender failed, or an answer was not good.
    """
    # Keys that this machine has not written before, so that every put makes a new one.
    first = time.time_ns() // 1000 % _KEYS_MAX
    spec = {"kind": kind, "first": first, "content_bytes": CONTENT_BYTES, **wanted}
    if sender == "own":
        window = {"seconds": scale.seconds, "warmup_seconds": scale.warmup_seconds}
        return {"driver": sender, **own(place, clients=clients, **spec, **window)}
    with tempfile.TemporaryDirectory(prefix="mnemesh-wrk-") as made:
        warm = answers = 0.0
        if scale.warmup_seconds:
            shape, folder = shape_of(spec), Path(made)
            told = wrk.press(
                shape, place.url, place.key, folder, clients=clients, seconds=scale.warmup_seconds
            )
            warm, answers = told["driver_cpu_seconds"], told["answers"]
            spec["first"] = first + told["answers"] + clients
        told = wrk.press(
            shape_of(spec), place.url, place.key, Path(made), clients=clients, seconds=scale.seconds
        )
    told["driver_cpu_seconds"] = round(told["driver_cpu_seconds"] + warm, 3)
    return {"driver": sender, **told, "answers": int(told["answers"] + answers)}
