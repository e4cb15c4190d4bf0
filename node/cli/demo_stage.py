"""How the demonstration speaks: plain sentences, and a table that lives on a terminal.

Law: words go where people read them; with `--json` that is stderr, so that stdout carries the
result alone. Off a terminal every line is plain and final.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from node.cli.output import plain

_PIPE_COLUMNS: Final = 110
_FRAMES_PER_SECOND: Final = 5
COLUMNS: Final = ("NODE", "STATE", "LINKS", "MEMORIES", "CONFIRMED HERE", "DIGEST")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the table shows of one node."""

    name: str
    state: str
    links: str = ""
    memories: str = ""
    confirmed: str = ""
    digest: str = ""

    def cells(self) -> tuple[str, ...]:
        """In the order of the columns."""
        return (self.name, self.state, self.links, self.memories, self.confirmed, self.digest)


@dataclass(slots=True)
class Stage:
    """Where the story is told.

    Args:
        as_json: keep stdout for the result.
    """

    as_json: bool
    clock: Callable[[], float] = time.monotonic
    rows: Sequence[Row] = ()
    _began: float = 0.0
    _acts: int = 0
    _console: Console = field(init=False)

    def __post_init__(self) -> None:
        stream = sys.stderr if self.as_json else sys.stdout
        width = None if stream.isatty() else _PIPE_COLUMNS
        self._console = Console(
            file=stream, markup=False, highlight=False, emoji=False, width=width
        )
        self._began = self.clock()

    @property
    def live(self) -> bool:
        """Whether there is a terminal to draw on."""
        return self._console.is_terminal

    def act(self, title: str) -> None:
        """A new part of the story begins."""
        self._acts += 1
        seconds = self.clock() - self._began
        self._console.print()
        self._console.print(Text(f"{self._acts}. {title}  ({seconds:.0f} s)", style="bold"))

    def say(self, words: str) -> None:
        """One sentence of it."""
        self._console.print(Text("   " + plain(words)), soft_wrap=True)

    def show(self, rows: Sequence[Row]) -> None:
        """Put the present state into the table; off a terminal nothing is printed."""
        self.rows = rows

    def picture(self) -> None:
        """Print the state as it is now, where no table lives."""
        if self.live:
            return
        for row in self.rows:
            words = (
                f"{row.name}: {row.state}, {row.links or 'no'} links, "
                f"{row.memories or '-'} memories, digest {row.digest or '-'}"
            )
            self.say(words)

    def _table(self) -> Table:
        made = Table(title=None, expand=False)
        for column in COLUMNS:
            right = column in {"LINKS", "MEMORIES", "CONFIRMED HERE"}
            made.add_column(column, justify="right" if right else "left")
        for row in self.rows:
            style = "" if row.state == "up" else "red"
            made.add_row(*(Text(plain(cell)) for cell in row.cells()), style=style)
        return made

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Let the table live below the words while the story is told."""
        if not self.live:
            yield
            return
        with Live(
            console=self._console,
            get_renderable=self._table,
            refresh_per_second=_FRAMES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            yield
