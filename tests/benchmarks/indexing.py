"""`python -m tests.benchmarks.indexing`: what indexing a memory costs, part by part.

Law: no mesh, no loop, no other load: a store is filled, and the thread that measures is the one
that indexes. Processor time, per memory: of that thread by part, and of all other threads in
sum, which are the index's own (postings, stemming, merges). One JSON line a kind of text with
the least and the median of the repeats, each over an empty index. What waits is told to the
overlay as a node tells it.
"""

import argparse
import gc
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final, cast

from crdt.governance import Genesis
from crdt.op import Draft, Idempotency
from crdt.standing import found
from node.limits import Limits
from node.memory.drafts import DraftRules
from node.recall.engines import LEXICAL_FOLDER, ORDER_FOLDER, Engines, open_engines
from node.recall.source import StoreSource
from node.replication.engine import Engine
from tests.benchmarks import machine
from tests.benchmarks.stages import Side
from tests.benchmarks.texts import Texts
from transport.identity import NodeKey

_T0_MS: Final = 1_750_000_000_000
_AGENT: Final = "ai:bench"
_ALIKE: Final = ("the mesh keeps what its agents have learned; " * 1000)[: 1 << 14]
_BUNDLE_OPS: Final = 30
_PAGE: Final = 8
_SEED: Final = 1

Spent = dict[str, float]


class Filled:
    """A store with memories in it; as much of an engine of replication as a feed asks for.

    Args:
        folder: where it lies.
        memories: what is in it, as a client sends it.
    """

    def __init__(self, folder: Path, memories: Iterator[dict[str, Any]]) -> None:
        key = NodeKey.generate(os.urandom)
        genesis = Genesis(cluster="bench", founders=(f"node:{key.node_id.hex()}",))
        side = Side(folder, key, genesis)
        self.store, self._replica, self._now_ms = side.store, side.replica, _T0_MS
        found(side.replica, _T0_MS)
        self._commit()
        rules = DraftRules(limits=Limits(), default_namespace="default", share_private=True)
        waiting = 0
        for memory in memories:
            ident = memory.pop("id")
            draft = rules.create(
                memory, record_id=ident, owner=_AGENT, now_ms=self._now_ms, fresh=True
            )
            self._mint(draft)
            waiting += 1
            if waiting >= _BUNDLE_OPS:
                self._commit()
                waiting = 0
        self._commit()

    def now_ms(self) -> int:
        """The time of the last write."""
        return self._now_ms

    def _mint(self, draft: Draft) -> None:
        mark = Idempotency(scope=os.urandom(16), body=os.urandom(16))
        self._replica.mint([draft], agent=_AGENT, now_ms=self._now_ms, idempotency=mark)

    def _commit(self) -> None:
        self._now_ms += 1
        batch, _ = self._replica.take_batch(self._now_ms)
        self.store.commit(batch)
        self._replica.committed(batch)
        self._replica.take_notes()


def alike(count: int, content_bytes: int) -> Iterator[dict[str, Any]]:
    """Memories of one text, as benches of writes send them."""
    for number in range(count):
        yield {
            "id": f"{number:08x}-0000-4000-8000-{number:012x}",
            "title": "a measured memory",
            "content": _ALIKE[:content_bytes],
            "tags": ["bench"],
            "priority": 5,
        }


def drawn(count: int, content_bytes: int) -> Iterator[dict[str, Any]]:
    """Memories of which none is like another, in sessions."""
    texts = Texts(_SEED, content_bytes)
    for number in range(count):
        own = f"{number:08x}-0000-4000-8000-{number:012x}"
        yield {**texts.memory(number), "id": own}


KINDS: Final = {"alike": alike, "drawn": drawn}


def repeat(filled: Filled, folder: Path, flush_every: int) -> Spent:
    """Index the store once; seconds in all, by part."""
    engines = open_engines(folder)
    source = StoreSource(lambda: cast("Engine", filled))
    spent: defaultdict[str, float] = defaultdict(float)
    whole, own = time.process_time(), time.thread_time()
    position, waiting = 0, 0
    while True:
        began = time.thread_time()
        page = source.page(position, _PAGE)
        read = time.thread_time()
        engines.take(page.changes)
        spent["read"] += read - began
        spent["take"] += time.thread_time() - read
        position, waiting = page.position, waiting + len(page.changes)
        if waiting >= flush_every or (page.ended and waiting):
            spent["flush"] += _flush(engines)
            waiting = 0
        if page.ended:
            break
    engines.settle()  # merges end
    own = time.thread_time() - own
    spent["index threads"] = time.process_time() - whole - own
    spent["all"] = time.process_time() - whole
    engines.close()
    return {**spent, "disk": _size(folder / LEXICAL_FOLDER), "order": _size(folder / ORDER_FOLDER)}


def _flush(engines: Engines) -> float:
    began = time.thread_time()
    engines.flush(urgent=True)
    return time.thread_time() - began


def _size(folder: Path) -> int:
    """Bytes on the disk; a table has holes."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.indexing", description=__doc__
    )
    parser.add_argument("--kind", choices=tuple(KINDS), action="append", help="these alone")
    parser.add_argument("--records", type=int, default=6_000)
    parser.add_argument("--content-bytes", type=int, default=1024)
    parser.add_argument("--flush-every", type=int, default=20_000, help="memories")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    print(json.dumps({"machine": machine.facts()}), flush=True)
    for kind in asked.kind or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            memories = KINDS[kind](asked.records, asked.content_bytes)
            filled = Filled(Path(folder, "store"), memories)
            gc.collect()
            gc.freeze()
            runs = [
                repeat(filled, Path(folder, f"index-{number}"), asked.flush_every)
                for number in range(asked.repeats)
            ]
        line = {"load": kind, "records": asked.records, "flush_every": asked.flush_every}
        for part in runs[0]:
            took = [run[part] / asked.records for run in runs]
            if part in ("disk", "order"):
                line[f"{part}_bytes"] = round(median(took))
                continue
            line[f"{part}_us"] = [round(min(took) * 1e6, 1), round(median(took) * 1e6, 1)]
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
