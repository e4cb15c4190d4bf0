"""Whose backup it is, and where it would go.

Law: what another node signed, or what belongs to another mesh, is not restored unless somebody
says that it is meant. A mesh is known by the note beside the store, else by the store itself.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import lmdb

from crdt.genesis import decode_standing
from node.backup.manifest import Manifest
from node.errors import NodeError, Refused
from node.founding import read_join_note
from node.store.environment import DATA_FILE
from node.store.folder import current_path
from node.store.schema import TABLE_NAMES, unseal
from node.store.writing import GENESIS_KEY

_DBS_MAX: Final = len(TABLE_NAMES) + 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a store is restored to.

    Attributes:
        data_dir: of the node; its lock is held.
        node_id: of the node whose key is there, hex; empty when there is none.
        places: {path below `node/` of a backup: where that file belongs}; put only where
            nothing is.
    """

    data_dir: Path
    node_id: str
    places: dict[str, Path]


def check_is_ours(target: Target, manifest: Manifest, *, of_another: bool) -> None:
    """Make sure that a backup is of this node and its mesh.

    Raises:
        Refused: it is not, and nobody said that this is meant.
    """
    if of_another:
        return
    fix = "Name the folder of this node's backups; if it is meant, add --of-another-node"
    if target.node_id and manifest.node_id != target.node_id:
        raise Refused(
            "it is a backup of another node",
            why=f"of {manifest.name or manifest.node_id}, and the key here is that of "
            f"{target.node_id}",
            fix=fix,
        )
    mesh = genesis_here(target.data_dir)
    if mesh and manifest.contents.genesis and manifest.contents.genesis != mesh:
        raise Refused(
            "it is a backup of another mesh",
            why=f"its mesh is {manifest.contents.cluster!r}",
            fix=fix,
        )


def genesis_here(data_dir: Path) -> str:
    """The mesh that a data directory belongs to, hex; empty when it belongs to none yet."""
    note = read_join_note(data_dir / "join.json")
    return genesis_of_store(data_dir) if note is None else note.genesis.id.hex()


def genesis_of_store(data_dir: Path) -> str:
    """The mesh that the live store of a data directory says it is of, hex; empty without one."""
    with suppress(NodeError, lmdb.Error, OSError, ValueError):
        path = current_path(data_dir)
        if path is not None and (path / DATA_FILE).exists():
            return _genesis_of(path)
    return ""


def _genesis_of(path: Path) -> str:
    options = {"readonly": True, "lock": False, "create": False, "max_dbs": _DBS_MAX}
    with lmdb.open(str(path), **options) as env, env.begin() as txn:  # type: ignore[arg-type]  # by name
        value = txn.get(GENESIS_KEY, db=env.open_db(b"meta", txn=txn, create=False))
    standing = None if value is None else decode_standing(unseal("meta", GENESIS_KEY, value))
    return "" if standing is None else standing.genesis.id.hex()
