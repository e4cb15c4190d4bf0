"""What a migration left: the store as it was before it, in a file or folder of its own.

Law: such a copy has no manifest and no signature; its name says which schemas it stands between,
its rows are read before it is believed, and it is restored only when it is named.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.backup.manifest import DATA, BadBackup
from node.errors import UsageError

_NAME: Final = re.compile(r".+\.pre-migration-v(\d+)-to-v(\d+)-[0-9A-Za-z]+\.bak")


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A copy that a migration made.

    Attributes:
        path: as it was named: a folder with `data.mdb`, or that file itself.
        data: the file of the store.
        schema: version of its tables, as its name says.
    """

    path: Path
    data: Path
    schema: int


def is_earlier(path: Path) -> bool:
    """Whether a path is called as a migration calls its copies."""
    return _NAME.fullmatch(path.name) is not None


def earlier_at(path: Path) -> Earlier:
    """The copy at a path.

    Raises:
        UsageError: there is nothing.
        BadBackup: it is no copy of a store.
    """
    named = _NAME.fullmatch(path.name)
    if named is None or not path.exists():
        raise UsageError(f"there is no copy of a store at {path}")
    data = path / DATA if path.is_dir() else path
    if not data.is_file():
        raise BadBackup(f"{path} is no copy of a store", why=f"it holds no {DATA}")
    return Earlier(path=path, data=data, schema=int(named[1]))
