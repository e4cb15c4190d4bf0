"""`million`: one node with a million memories of 1 KB: start, memory, disk and reads.

`python -m tests.benchmarks.million --records N` runs it alone, at any size.

Law: the texts are drawn, none like another (`texts`). The store is built once a run, over HTTP,
and looked at after the index is level; then the process is a new one, so that what filling
left behind in memory is told apart from what holding takes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError

from tests.benchmarks import lookups, sizes
from tests.benchmarks.filling import fill
from tests.benchmarks.machine import cpu_of
from tests.benchmarks.mesh import BenchmarkError, Mesh, Node, running, waited
from tests.benchmarks.scale import Line, Scale
from tests.benchmarks.texts import Texts, ident

RECORDS: Final = {"tiny": 1_000, "quick": 10_000, "bench": 100_000, "full": 1_000_000}
SEED: Final = 1
_START_SECONDS: Final = 120.0
_READS: Final = 2_000
_RECALLS: Final = 200
_STARTS: Final = 3
# A disk that writes a gigabyte may sync for seconds; here that is not what is asked.
_PATIENT: Final = {"MNEMESH_QUORUM_TIMEOUT_MS": "60000"}
_MIB: Final = 2**20


def million(folder: Path, scale: Scale) -> Iterator[Line]:
    """All of it, at the size of this scale."""
    yield from holding(folder, RECORDS[scale.name])


def holding(folder: Path, records: int) -> Iterator[Line]:
    """All of it, with so many records."""
    tag = {"bench": "million", "records": records}
    with running(folder, nodes=1, writes=1, environment=_PATIENT) as mesh:
        node = mesh.nodes[0]
        empty, began = sizes.memory_bytes(node.pid), time.monotonic()
        text_bytes = fill(node, first=0, count=records, seed=SEED)
        filled = time.monotonic()
        lookups.settle(lookups.Client(node))
        spent = cpu_of(node.pid)
        yield {
            **tag,
            "load": "filling",
            "records_per_second": round(records / (filled - began)),
            "seconds_until_index_is_level": round(time.monotonic() - filled, 1),
            "cpu_us_per_record": round(spent.total / records * 1e6, 1),
            "empty_mib": mebibytes(empty),
            "memory_mib": mebibytes(sizes.memory_bytes(node.pid)),
        }
        mesh.stop(node)
        yield {**tag, "load": "disk", **disk(node.data_dir, text_bytes)}
        for number in range(_STARTS):
            with started(mesh, node) as line:
                yield {**tag, "load": "start", "repeat": number + 1, **line}
                yield {**tag, "load": "reads", "repeat": number + 1, **reads(node, records)}


def mebibytes(fields: dict[str, int]) -> dict[str, float]:
    """The same in MiB."""
    return {name: round(value / _MIB, 1) for name, value in fields.items()}


def disk(data_dir: Path, text_bytes: int) -> Line:
    """Bytes on the disk per byte of text: by part, by table of the store, by kind of file."""

    def share(value: int) -> float:
        return round(value / text_bytes, 4)

    tables = sizes.table_bytes(sizes.store_of(data_dir))
    kinds = sizes.file_bytes(data_dir / "recall")
    return {
        "text_bytes": text_bytes,
        "per_byte": {name: share(size) for name, size in sizes.disk_bytes(data_dir).items()},
        "tables": {name: share(row["bytes"]) for name, row in tables.items() if row["bytes"]},
        "bytes_per_row": {
            name: round(row["bytes"] / row["rows"]) for name, row in tables.items() if row["rows"]
        },
        "recall_files": {name: share(size) for name, size in kinds.items() if size},
    }


@contextmanager
def started(mesh: Mesh, node: Node) -> Iterator[Line]:
    """The process itself, started without the command around it and followed until it serves."""
    arguments = ["-P", "-m", "node", "serve", "--data-dir", str(node.data_dir)]
    began = time.monotonic()
    with (node.data_dir / "node.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **mesh.environment},
        )
    try:
        yield _followed(process, began, node)
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


def _followed(process: subprocess.Popen[bytes], began: float, node: Node) -> Line:
    listening = _follow(process, began, lambda: _answers(node, "/livez"))
    ready = _follow(process, began, lambda: _answers(node, "/readyz"))
    level = _follow(process, began, lambda: _index_ready(node))
    return {
        "seconds_until_listening": listening,
        "seconds_until_ready": ready,
        "seconds_until_recall_is_level": level,
        "cpu_seconds": round(cpu_of(process.pid).total, 2),
        "memory_mib": mebibytes(sizes.memory_bytes(process.pid)),
    }


def _follow(process: subprocess.Popen[bytes], began: float, reached: Callable[[], bool]) -> float:
    found = waited(lambda: process.poll() is not None or reached(), _START_SECONDS)
    if not found or process.poll() is not None:
        raise BenchmarkError(f"the node did not start; its code is {process.poll()}")
    return round(time.monotonic() - began, 3)


def _answers(node: Node, path: str) -> bool:
    try:
        node.ask(path)
    except HTTPError as error:
        if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
            return False
        raise
    except OSError:
        return False
    return True


def _index_ready(node: Node) -> bool:
    told: dict[str, Any] = lookups.Client(node).get("/index")
    return not told["lag_ops"] and told["state"] == "ready"


def reads(node: Node, records: int) -> Line:
    """Latency of reads by id over the whole store and of recall, one after the other."""
    client, texts = lookups.Client(node), Texts(SEED)
    step = max(records // _READS, 1) | 1
    names = [ident(number * step % records) for number in range(_READS)]
    by_id = lookups.timed(names, lambda name: client.get(f"/memories/{name}"))
    questions = [texts.question(number) for number in range(_RECALLS)]
    recalled = lookups.timed(questions, lambda q: client.post("/recall", {"context": q}))
    return {
        "get_ms": by_id,
        "recall_ms": recalled,
        "memory_mib": mebibytes(sizes.memory_bytes(node.pid)),
        "mapped_mib": mebibytes(sizes.heap_bytes(node.pid)),
    }


def main() -> None:
    """Run it alone."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.million", description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS["full"])
    parser.add_argument("--dir", type=Path, help="where the node keeps its data")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.dir) as folder:
        for line in holding(Path(folder) / "mesh", asked.records):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
