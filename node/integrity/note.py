"""What is kept of scrubs beside the store, so that a restart goes on where it was.

Law: losing it costs one pass more. It names no memory: only places in tables, and counts.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from node.facts import read_note, write_note

NAME: Final = "integrity.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubNote:
    """The last full pass, and the one under way.

    Attributes:
        last_pass_ms: when the last one ended, milliseconds since the epoch; 0 for never.
        last_pass_rows: how many rows it read.
        store: the store of the pass under way.
        table: where that one is; empty for at its beginning, or when there is none.
        key: the row there, in hexadecimal digits.
        rows: how many rows it has read.
    """

    last_pass_ms: int = 0
    last_pass_rows: int = 0
    store: str = ""
    table: str = ""
    key: str = ""
    rows: int = 0

    def write(self, data_dir: Path) -> None:
        """Put it in place."""
        write_note(data_dir / NAME, asdict(self))

    @classmethod
    def read(cls, data_dir: Path) -> Self:
        """The note; an empty one when there is none that can be read."""
        data: dict[str, Any] = read_note(data_dir / NAME) or {}
        kinds = {item.name: int if item.type in {int, "int"} else str for item in fields(cls)}
        known = {name: data[name] for name, kind in kinds.items() if type(data.get(name)) is kind}
        try:
            bytes.fromhex(str(known.get("key", "")))
        except ValueError:
            return cls()
        return cls(**known)
