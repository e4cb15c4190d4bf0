"""Where the index lies: one folder per generation, and one file that names the one in force.

Law: the file is replaced whole, after everything it speaks of is on the disk. It says how far
the generation has followed which store; as changes may be taken twice, a file that is behind
its folder loses nothing and doubles nothing. A folder that no file names is thrown away.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from transport.secret_files import sync_folder

_NAME: Final = "CURRENT"
_DRAWN_BYTES: Final = 6
_PREFIX: Final = "g-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a generation has taken in.

    Attributes:
        generation: name of its folder.
        version: of its shape.
        store_id: of the store that it follows.
        arrival: position in the feed of that store up to which everything is in it.
    """

    generation: str
    version: int
    store_id: str
    arrival: int


class Shelf:
    """The folder of the index.

    Args:
        root: made when it is needed.
        entropy: gives so many random bytes.
    """

    def __init__(self, root: Path, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._root = root
        self._entropy = entropy

    def read(self) -> Progress | None:
        """What is in force; None when nothing is, or it cannot be understood."""
        try:
            told = json.loads((self._root / _NAME).read_text(encoding="utf-8"))
            progress = Progress(
                generation=str(told["generation"]),
                version=int(told["version"]),
                store_id=str(told["store_id"]),
                arrival=int(told["arrival"]),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None
        named = progress.generation
        plain = named.startswith(_PREFIX) and named == Path(named).name
        return progress if plain and self.folder(named).is_dir() else None

    def write(self, progress: Progress) -> None:
        """Put a generation, as far as it has come, in force.

        An engine brings its files to the disk; their names, which say which of them count,
        come there here.
        """
        folder = self.folder(progress.generation)
        for path in (*(part for part in folder.rglob("*") if part.is_dir()), folder):
            sync_folder(path)
        fresh = self._root / f".{_NAME}.new"
        with fresh.open("w", encoding="utf-8") as target:
            json.dump(asdict(progress), target)
            target.flush()
            os.fsync(target.fileno())
        fresh.replace(self._root / _NAME)
        sync_folder(self._root)
        sync_folder(self._root.parent)

    def fresh(self) -> str:
        """A new, empty generation that is not in force yet."""
        name = _PREFIX + self._entropy(_DRAWN_BYTES).hex()
        self.folder(name).mkdir(parents=True, mode=0o700)
        self._root.chmod(0o700)
        return name

    def folder(self, generation: str) -> Path:
        """Where a generation lies."""
        return self._root / generation

    def remove(self, generation: str) -> None:
        """Throw a generation away."""
        shutil.rmtree(self.folder(generation), ignore_errors=True)

    def sweep(self, keep: str | None) -> None:
        """Throw away every generation but one."""
        if not self._root.is_dir():
            return
        for path in self._root.glob(f"{_PREFIX}*"):
            if path.name != keep:
                shutil.rmtree(path, ignore_errors=True)
