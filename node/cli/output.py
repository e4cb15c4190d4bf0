"""What the command line prints, and where.

Law: stdout carries the answer, as a table for people or as one JSON document; stderr carries
words, progress and errors. Text that came from somewhere else cannot move the cursor, change
colours or be taken for markup. `NO_COLOR` is obeyed (https://no-color.org).
"""

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from node.errors import NodeError, UsageError

# A pipe has no width; wide enough that no id or path is ever folded.
_PIPE_COLUMNS: Final = 400
_REPLACEMENT: Final = "\ufffd"


def plain(text: str) -> str:
    """Text without control characters, but for line breaks and tabs."""
    return "".join(
        char if char in "\n\t" or unicodedata.category(char) != "Cc" else _REPLACEMENT
        for char in text
    )


def _console(*, to_stderr: bool) -> Console:
    stream = sys.stderr if to_stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_COLUMNS
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


class Output:
    """How one command speaks.

    Args:
        as_json: the caller wants one JSON document on stdout.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def answer(self, data: object, people: str | Table | Sequence[str | Table]) -> None:
        """Print the answer of the command, once, in the shape that was asked for."""
        if self.as_json:
            print_json(data)
            return
        console = _console(to_stderr=False)
        parts = [people] if isinstance(people, str | Table) else people
        for part in parts:
            if isinstance(part, str):
                console.print(Text(plain(part)), soft_wrap=True)
            else:
                console.print(part)

    def say(self, words: str) -> None:
        """Tell people something beside the answer."""
        _console(to_stderr=True).print(Text(plain(words)), soft_wrap=True)

    def progress(self) -> Progress:
        """A progress bar on stderr; silent when stderr is no terminal."""
        console = _console(to_stderr=True)
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )

    def confirm(self, question: str, *, yes: bool) -> None:
        """Let a person stop something that cannot be undone.

        Raises:
            UsageError: nobody can be asked and `--yes` was not given, or the answer was no.
        """
        if yes:
            return
        if self.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(
                "this cannot be undone and nobody can be asked",
                why="there is no terminal",
                fix="Add --yes if it is meant",
            )
        self.say(f"{question} [y/N] ")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise UsageError("nothing was changed", why="the answer was no")


def print_json(data: object) -> None:
    """One JSON document on stdout; arrives even when stdout is not UTF-8."""
    encodable = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    sys.stdout.write(json.dumps(data, ensure_ascii=not encodable, indent=2, default=str) + "\n")
    sys.stdout.flush()


def table(columns: Iterable[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table for people; cells are shown as they are, never as markup."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(plain(str(cell))) for cell in row))
    return made


def facts_table(facts: Iterable[tuple[str, object]]) -> Table:
    """Names and values, one per line; what has no value is left out."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in facts:
        if value is None:
            continue
        made.add_row(Text(name), Text(plain(str(value))))
    return made


def show_error(error: NodeError, *, as_json: bool) -> int:
    """Print an error where it belongs and return its exit code."""
    console = _console(to_stderr=True)
    lines = [("error: ", error.what), ("  why: ", error.why), ("   do: ", error.fix)]
    for label, words in lines:
        if words:
            console.print(Text.assemble((label, "bold red"), plain(words)), soft_wrap=True)
    if as_json:
        print_json(error.facts())
    return int(error.exit_code)
