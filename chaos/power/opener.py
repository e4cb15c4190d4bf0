"""Images opened by the node's own code, in a process of its own.

Law: this package imports nothing of the node; `PROGRAM` is the text of another program, given
to an interpreter that has the node installed, and answers with JSON. It opens an image in the
order in which a starting node does, and writes to it, as a node would. A process that an image
kills is an answer, too: the image is named and the next one gets a new process.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

PROGRAM: Final = r'''
"""Opens data directories named on standard input, one a line; tells what each holds."""

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path

from crdt.digest import move, weight
from crdt.dot import PRIVATE
from crdt.record_codec import decode
from crdt.view import NothingPending, view
from node.audit.chain import Owner
from node.audit.files import GrowingChain
from node.audit.offline import stopped
from node.audit.segments import FOLDER as AUDIT, verify_folder
from node.recall.engines import open_engines
from node.recall.opening import FOLDER as RECALL
from node.recall.shelf import Shelf
from node.store.folder import open_current, sweep
from node.store.incoming import pending_digest
from node.store.scrub import START
from node.store.small import DAMAGES, opened
from transport.identity import NodeKey, verify

NOW_MS = 4_000_000_000_000


def look(folder, *, deep=False):
    """What one data directory holds; raises whatever the node's own code raises."""
    key = NodeKey.load(folder / "keys" / "node.key")
    told = {"node": key.node_id.hex(), "records": {}, "trouble": [], "shown": {}}
    told["aside"] = len(sweep(folder, NOW_MS))
    store = open_current(folder, entropy=os.urandom)
    try:
        loaded = store.load()
        if _records(store, loaded, told) != loaded.digest:
            told["trouble"].append("the digest is not that of the records")
        told["feed"], told["store"] = store.head.feed, store.store_id
        told["trouble"] += [str(bad) for bad in store.scrub(START, 10**9).bad]
        store.flush_access({PRIVATE + b"memory/after-the-crash": (1, NOW_MS)})
        if store.load() != loaded:
            told["trouble"].append("the first write after the crash changed something else")
    finally:
        store.close()
    _audit(folder, key, told)
    for name in ("nonces", "quota", "foreign", "forgetting", "webhooks"):
        if (folder / name).is_dir():
            _small(folder / name, told)
    told["recall"] = _recall(folder, told)
    told.pop("shown")
    if deep:
        with stopped(folder, key.public) as held:
            report = held.verify().data()
        if not report["chain_holds"]:
            told["trouble"].append("verify: " + json.dumps(report)[:600])
    return told


def _records(store, loaded, told):
    """Note what is shown; returns the digest of all that is held."""
    listed = {key for _, key in store.lists.recent()}
    digest = pending_digest({d: p for d, p in loaded.pending.items() if d.actor[:1] != PRIVATE})
    for entry in store.feed.after(0, 10**9):
        data = store.record(entry.key)
        if entry.key[:1] != PRIVATE:
            digest = move(digest, 0, weight(entry.key, data))
        seen = None if data is None else view(decode(entry.key, data), NothingPending())
        if (seen is not None) != (entry.key in listed):
            told["trouble"].append(f"{entry.key!r}: index and record disagree")
        _, slash, name = entry.key.partition(b"memory/")
        if seen is not None and slash:
            values = seen.values
            row = [values["title"], values["content"], sorted(values.get("tags", ()))]
            text = json.dumps(row, ensure_ascii=True, separators=(",", ":"))
            told["shown"][entry.key[:1].decode() + name.decode()] = entry.position
            told["records"][name.decode()] = hashlib.sha256(text.encode()).hexdigest()
    return digest


def _audit(folder, key, told):
    if not (folder / AUDIT).is_dir():
        told["audit"] = 0
        return
    owner = Owner(node_id=key.node_id, key=key.public, verify=verify)
    chain = GrowingChain(folder / AUDIT, owner)
    chain.close()
    verdict = verify_folder(folder / AUDIT, owner)
    told["audit"] = chain.link.seq
    if chain.found.reason or not verdict.holds:
        told["trouble"].append(f"audit: {chain.found.reason or verdict.first_bad}")
    if chain.replaced:
        told["trouble"].append("audit: the chain was taken for that of another node")


def _small(folder, told):
    try:
        env = opened(folder, map_bytes=1 << 30, dbs_max=32)
        with env.begin(write=True) as txn:
            names = [bytes(name) for name, _ in txn.cursor()]
            txn.put(b"after the crash", b"")
        env.close()
        told.setdefault("small", {})[folder.name] = len(names)
    except DAMAGES as error:
        told["trouble"].append(f"{folder.name}: {error}")


def _recall(folder, told):
    shelf = Shelf(folder / RECALL)
    progress = shelf.read()
    if progress is None:
        return "none"
    try:
        engines = open_engines(shelf.folder(progress.generation))
    except (ValueError, OSError) as error:
        return f"rebuilt: {type(error).__name__}"
    try:
        if not engines.whole:
            return "rebuilt: a part is missing"
        if progress.store_id != told["store"]:
            return "rebuilt: of another store"
        if progress.arrival > told["feed"]:
            told["trouble"].append("recall: the index is ahead of the store")
        parts = (engines.lexical._open, engines.lexical._hidden)
        missing = [
            key
            for key, position in told["shown"].items()
            if position <= progress.arrival and not any(part.holds(key) for part in parts)
        ]
        if missing:
            told["trouble"].append(f"recall: {len(missing)} memories are not in the index")
    finally:
        engines.close()
    return "kept"


def main():
    for line in sys.stdin:
        order = json.loads(line)
        try:
            told = look(Path(order["folder"]), deep=order["deep"])
        except BaseException as error:
            told = {"error": f"{type(error).__name__}: {error}"[:400]}
        told["number"] = order["number"]
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
'''

Told = dict[str, Any]
"""What the program said about one image."""


class Order(NamedTuple):
    """An image to open: its number, its data directory, and whether to verify all signatures."""

    number: int
    folder: Path
    deep: bool = False


class Opener:
    """A process that opens images; a context manager.

    Args:
        python: the interpreter that has the node installed, with its options.
        program: what it runs; another one for controls.
    """

    def __init__(
        self, python: Sequence[str] = (sys.executable, "-P"), program: str = PROGRAM
    ) -> None:
        self._command = [*python, "-c", program]
        self._process: subprocess.Popen[str] | None = None
        self.deaths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, order: Order) -> Told:
        """Open one image; `error` tells why that was not possible."""
        process = self._process or self._start()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the opener has no pipes")
        told = ""
        try:
            row = {"number": order.number, "folder": str(order.folder), "deep": order.deep}
            process.stdin.write(json.dumps(row) + "\n")
            process.stdin.flush()
            told = process.stdout.readline()
        except BrokenPipeError:
            pass
        if told:
            answer: Told = json.loads(told)
            return answer
        code = process.wait()
        self._process = None
        self.deaths += 1
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        return {"number": order.number, "error": f"the process that opened it ended with {code}"}

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate(timeout=30)
            self._process = None
