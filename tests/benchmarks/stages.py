"""`python -m tests.benchmarks.stages`: what each stage of one write costs, in one process.

Law: the real core, the real keys and the real store, called one after the other in one thread
with nothing else running, so the sum is less than a mesh spends, where caches are shared and
threads wake. Thread CPU time, and per operation; one JSON line a stage with the least and the
median of the repeats.
"""

import argparse
import gc
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

from crdt.admission import Fit
from crdt.dot import new_actor
from crdt.governance import Genesis
from crdt.identity import Self
from crdt.op import Draft, Idempotency, Kind, record_key
from crdt.record_codec import decode
from crdt.replica import Replica
from crdt.standing import found
from crdt.view import view
from node.http.strict_json import parse
from node.limits import Limits
from node.memory.drafts import DraftRules
from node.memory.ids import RecordIds
from node.store import Store
from tests.benchmarks import machine
from transport.identity import NodeKey, verify

_T0_MS: Final = 1_750_000_000_000
_AGENT: Final = "ai:bench"
_CONTENT: Final = ("the mesh keeps what its agents have learned; " * 30)[:1024]
_OPS_A_REPEAT: Final = 1200
_KINDS: Final = ("create", "edit", "delete")
_MAP_BYTES: Final = 2**30

T = TypeVar("T")
Stages = dict[str, float]


class Side:
    """One node's core over its own store.

    Args:
        folder: where the store lies.
        key: the node's.
        genesis: the mesh.
    """

    def __init__(self, folder: Path, key: NodeKey, genesis: Genesis) -> None:
        self.store = Store(folder, entropy=os.urandom, map_bytes=_MAP_BYTES)
        me = Self(
            node_id=key.node_id,
            key=key.public,
            claim=f"node:{key.node_id.hex()}",
            name="bench",
            url="",
            draw_actor=lambda lane: new_actor(lane, _T0_MS // 1000, os.urandom(8), key.node_id),
            sign=key.sign,
            verify=verify,
        )
        self.replica = Replica(
            me=me, genesis=genesis, state=self.store, loaded=self.store.load(), skew_max_ms=5_000
        )


class Watch:
    """Adds up thread CPU time by stage."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)

    def time(self, stage: str, work: Callable[[], T]) -> T:
        """What the work gives; what it took is added to the stage."""
        began = time.thread_time()
        out = work()
        self.spent[stage] += time.thread_time() - began
        return out


class Pair:
    """A coordinator and a replica of it.

    Args:
        folder: where both keep their data.
    """

    def __init__(self, folder: Path) -> None:
        key, other = NodeKey.generate(os.urandom), NodeKey.generate(os.urandom)
        genesis = Genesis(cluster="bench", founders=(f"node:{key.node_id.hex()}",))
        self.author = Side(folder / "author", key, genesis)
        self.other = Side(folder / "other", other, genesis)
        self.now_ms = _T0_MS
        self._ids = RecordIds(os.urandom)
        self._rules = DraftRules(limits=Limits(), default_namespace="default", share_private=True)
        found(self.author.replica, self.now_ms)
        self.carry(self.author.replica.take_batch, Watch())

    def carry(self, close: Callable[[int], Any], watch: Watch) -> None:
        """Close what is open, make it durable on both."""
        author, other = self.author, self.other
        began = time.thread_time()
        author.replica._seal_all()
        watch.spent["seal, sign"] += time.thread_time() - began
        batch, sealed = watch.time("canonical bytes, batch", lambda: close(self.now_ms))
        watch.time("commit", lambda: author.store.commit(batch))
        watch.time("committed", lambda: author.replica.committed(batch))
        author.replica.take_notes()
        for one in sealed:
            bundle = watch.time(
                "replica: read", lambda data=one.data: other.replica.read_bundle(data)
            )
            fit = watch.time("replica: fit, verify", lambda held=bundle: other.replica.fit(held))
            if fit is not Fit.NEXT:
                raise RuntimeError(f"a bundle does not fit: {fit}")
            watch.time("replica: take", lambda held=bundle: other.replica.take(held, self.now_ms))
        heard, _ = watch.time(
            "replica: canonical bytes, batch", lambda: other.replica.take_batch(self.now_ms)
        )
        watch.time("replica: commit", lambda: other.store.commit(heard))
        watch.time("replica: committed", lambda: other.replica.committed(heard))
        other.replica.take_notes()

    def drafts(self, kind: str, ids: Sequence[str], watch: Watch) -> list[list[Draft]]:
        """One request a record."""
        if kind == "delete":
            return [[Draft(kind=Kind.DELETE, collection="memory", id=one)] for one in ids]
        if kind == "edit":
            fields = {"content": _CONTENT[::-1], "priority": 3}
            return [[Draft(kind=Kind.EDIT, collection="memory", id=one, set=fields)] for one in ids]
        body = json.dumps(
            {"title": "a measured memory", "content": _CONTENT, "tags": ["bench"], "priority": 5}
        ).encode()
        bodies = watch.time("JSON, strict", lambda: [parse(body) for _ in ids])
        return watch.time(
            "checks and draft",
            lambda: [
                [
                    self._rules.create(
                        body, record_id=one, owner=_AGENT, now_ms=self.now_ms, fresh=True
                    )
                ]
                for one, body in zip(ids, bodies, strict=True)
            ],
        )

    def write(self, kind: str, ids: Sequence[str], watch: Watch) -> None:
        """One bundle."""
        self.now_ms += 1
        requests = self.drafts(kind, ids, watch)
        mark = os.urandom(16)
        marks = [Idempotency(scope=os.urandom(16), body=mark) for _ in ids]
        mint, now_ms = self.author.replica.mint, self.now_ms
        began = time.thread_time()
        for request, one in zip(requests, marks, strict=True):
            mint(request, agent=_AGENT, now_ms=now_ms, idempotency=one)
        watch.spent["mint"] += time.thread_time() - began
        self.carry(self.author.replica.take_batch, watch)

    def get(self, ids: Sequence[str], watch: Watch) -> None:
        """Read the records back: stored bytes to view."""
        keys = [record_key(b"d", "memory", one) for one in ids]
        rows = [(key, self.author.store.record(key) or b"") for key in keys]
        records = watch.time("get: decode", lambda: [decode(key, data) for key, data in rows])
        watch.time("get: view", lambda: [view(one, self.author.replica) for one in records])

    def draw(self, count: int) -> list[str]:
        """So many new ids."""
        return [self._ids.draw() for _ in range(count)]


def repeat(pair: Pair, ops: int) -> dict[str, Stages]:
    """Microseconds per operation of every stage, for creates, edits, deletes and reads."""
    bundles = max(1, _OPS_A_REPEAT // ops)
    spent = {kind: Watch() for kind in (*_KINDS, "read")}
    for _ in range(bundles):
        ids = pair.draw(ops)
        pair.write("create", ids, spent["create"])
        pair.get(ids, spent["read"])
        pair.write("edit", ids, spent["edit"])
        pair.write("delete", ids, spent["delete"])
    each = 1e6 / (bundles * ops)
    return {
        kind: {s: took * each for s, took in watch.spent.items()} for kind, watch in spent.items()
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stages", description=__doc__)
    parser.add_argument("--ops", type=int, nargs="+", default=[1, 30, 1000], help="a bundle")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    print(json.dumps({"machine": machine.facts()}), flush=True)
    for ops in asked.ops:
        with tempfile.TemporaryDirectory() as folder:
            pair = Pair(Path(folder))
            repeat(pair, ops)  # what is done once is not counted
            gc.freeze()
            runs = [repeat(pair, ops) for _ in range(asked.repeats)]
        for kind, stages in runs[0].items():
            for stage in stages:
                took = [run[kind][stage] for run in runs]
                us = {"us_min": round(min(took), 2), "us_median": round(median(took), 2)}
                print(json.dumps({"load": kind, "ops": ops, "stage": stage, **us}), flush=True)


if __name__ == "__main__":
    main()
