"""How big a node is: its memory, its files, its handles, each told apart.

Law: read from /proc and from files, never asked of the node (proc(5); for tables the figures
that LMDB keeps of each). Memory is anonymous memory: what only ending the process gives back.
Mapped pages of the store are the kernel's to drop and count for nothing. Disk is blocks in
use, for the files are sparse.
"""

import os
from pathlib import Path
from typing import Final

import lmdb

from node.store.schema import TABLE_NAMES

_BLOCK_BYTES: Final = 512
_KIB: Final = 1024
_RECALL: Final = "recall"
_STORE: Final = "store-"


def memory_bytes(pid: int) -> dict[str, int]:
    """Anonymous, private dirty and resident bytes of a process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    found = rollup(text)
    return {
        "anonymous": found.get("Anonymous", 0),
        "private_dirty": found.get("Private_Dirty", 0),
        "resident": found.get("Rss", 0),
    }


def rollup(text: str) -> dict[str, int]:
    """The fields of a smaps_rollup, in bytes."""
    fields = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        parts = rest.split()
        if len(parts) == 2 and parts[1] == "kB":
            fields[name] = int(parts[0]) * _KIB
    return fields


def heap_bytes(pid: int) -> dict[str, int]:
    """Anonymous bytes by what they are: the heap of malloc, thread stacks and arenas, mappings."""
    kinds = {"heap": 0, "mapped": 0, "libraries": 0}
    kind = "mapped"
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            path = line.split(maxsplit=5)[5:]
            kind = "mapped" if not path else "heap" if path[0] == "[heap]" else "libraries"
        elif name == "Anonymous:":
            kinds[kind] += int(rest.split()[0]) * _KIB
    return kinds


def handles(pid: int) -> int:
    """Open file descriptors."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def threads(pid: int) -> int:
    """Threads."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def disk_bytes(folder: Path) -> dict[str, int]:
    """Bytes on the disk of a data directory: the store, the recall index, and all the rest."""
    parts = {"store": 0, "recall": 0, "rest": 0}
    for path, _, names in os.walk(folder):
        inside = Path(path).relative_to(folder).parts
        top = inside[0] if inside else ""
        part = "store" if top.startswith(_STORE) else _RECALL if top == _RECALL else "rest"
        for name in names:
            try:
                parts[part] += os.lstat(os.path.join(path, name)).st_blocks * _BLOCK_BYTES  # noqa: PTH118 - many files
            except FileNotFoundError:
                continue  # an index file that was merged away meanwhile
    return parts | {"total": sum(parts.values())}


def file_bytes(folder: Path) -> dict[str, int]:
    """Bytes on the disk by the ending of file names, the largest first."""
    kinds: dict[str, int] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            kind = path.suffix or path.name
            kinds[kind] = kinds.get(kind, 0) + path.stat().st_blocks * _BLOCK_BYTES
    return dict(sorted(kinds.items(), key=lambda item: -item[1]))


def table_bytes(store: Path) -> dict[str, dict[str, int]]:
    """Pages of every table of a store, in bytes, and its rows; what no table has is `free`.

    The store may be in use: this is a reader like any other.
    """
    with lmdb.open(
        str(store), readonly=True, lock=False, max_dbs=len(TABLE_NAMES) + 8, create=False
    ) as env:
        info, page = env.info(), env.stat()["psize"]
        tables = {}
        with env.begin() as txn:
            for name in (key.decode() for key in txn.cursor().iternext(values=False)):
                handle = env.open_db(name.encode(), txn=txn, create=False)
                found = txn.stat(handle)
                pages = found["branch_pages"] + found["leaf_pages"] + found["overflow_pages"]
                tables[name] = {
                    "bytes": pages * page,
                    "rows": found["entries"],
                    "overflow": found["overflow_pages"] * page,
                }
    used = (info["last_pgno"] + 1) * page
    free = used - sum(row["bytes"] for row in tables.values())
    tables["free"] = {"bytes": free, "rows": 0, "overflow": 0}
    return dict(sorted(tables.items(), key=lambda item: -item[1]["bytes"]))


def store_of(data_dir: Path) -> Path:
    """The folder of the present store."""
    return data_dir / (data_dir / "CURRENT").read_text(encoding="utf-8").strip()
