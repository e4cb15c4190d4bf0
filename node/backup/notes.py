"""Two notes beside a store: when it was last backed up, and that it was restored.

Law: each is replaced in one step and flushed. `recovering.json` is there from before a restored
store takes its place until its node has pulled; nothing but the node, or an operator who says
that there is nobody to pull from, removes it.
"""

import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from node.facts import read_note, write_note
from transport.secret_files import sync_folder

LAST_BACKUP: Final = "last_backup.json"
RECOVERING: Final = "recovering.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastBackup:
    """The last backup that succeeded: when (ms since the epoch), where, which."""

    at_ms: int
    path: str
    id: str


def last_backup(data_dir: Path) -> LastBackup | None:
    """The last backup that was noted; None when none was."""
    row = read_note(data_dir / LAST_BACKUP)
    try:
        return None if row is None else LastBackup(**row)
    except TypeError:
        return None


def note_backup(data_dir: Path, last: LastBackup) -> None:
    """Note a backup beside the store that it was made of.

    Raises:
        OSError: the folder does not allow it.
    """
    path = data_dir / LAST_BACKUP
    write_note(path, asdict(last))
    give_to_owner(path, data_dir)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """How a store came to be where it is.

    Attributes:
        at_ms: when it was restored, milliseconds since the epoch.
        backup: id of the backup, or name of the file.
        of_node: node that the backup was made of, hex; empty where nobody said.
        store: name of the folder that it became.
        verified: whether all of it was verified first.
        founder: whether an operator said that there is nobody to pull from.
        begun: whether it holds for whatever store is the live one: a node has started on it.
        told: whether the chain of events of the node has it.
    """

    at_ms: int
    backup: str
    of_node: str
    store: str
    verified: bool
    founder: bool
    begun: bool = False
    told: bool = False


def recovering(data_dir: Path) -> Restored | None:
    """The note of a restore whose node has not pulled yet."""
    row = read_note(data_dir / RECOVERING)
    if row is None:
        return None
    known = {field.name for field in fields(Restored)}
    try:
        return Restored(**{name: value for name, value in row.items() if name in known})
    except TypeError:
        # It cannot be read, and it is there: to serve as if it were not would be the worse guess.
        return Restored(
            at_ms=0,
            backup="",
            of_node="",
            store="",
            verified=False,
            founder=False,
            begun=True,
        )


def note_restored(data_dir: Path, note: Restored) -> None:
    """Note that a store was restored, or how far its node is."""
    write_note(data_dir / RECOVERING, asdict(note))
    give_to_owner(data_dir / RECOVERING, data_dir)


def forget_restored(data_dir: Path) -> None:
    """The node has pulled."""
    (data_dir / RECOVERING).unlink(missing_ok=True)
    sync_folder(data_dir)


def give_to_owner(path: Path, of: Path) -> None:
    """What root makes in a folder of another user is given to that user."""
    if os.geteuid() == 0:
        owner = of.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
