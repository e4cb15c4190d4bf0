"""Where lines of the log go: the stream, and a file when one is asked for.

Law: a line that cannot be written is lost and counted; it stops nothing and raises nothing. That
the file is in trouble is told on the stream, once, and the file is told how many lines it lacks
as soon as it takes some again.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TextIO

import orjson

from node.log_file import LogFile

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

_FIRST: Final = {"at": 0, "level": 1, "event": 2}


def _place(key: str) -> int:
    return _FIRST.get(key, len(_FIRST))


def _shown(value: object) -> str:
    """Any value in letters that any line can hold."""
    text = value if isinstance(value, str) else repr(value)
    return text.encode(errors="backslashreplace").decode()


class Output:
    """A structlog sink.

    Args:
        stream: gets every line.
        pretty: renders a line of the stream for people; None for JSON.
        file: gets every line too.
        pretty_file: renders a line of the file; None for JSON.
        level: least severe level that is written, as a number of `LEVELS`.

    Attributes:
        tell: writes an event; put in by the log, for the file's own troubles.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        pretty: Any | None = None,
        file: LogFile | None = None,
        pretty_file: Any | None = None,
        level: int = LEVELS["info"],
    ) -> None:
        self._stream = stream
        self._pretty = pretty
        self._file = file
        self._pretty_file = pretty_file
        self._failing = False
        self.level = level
        self.tell: Callable[..., None] | None = None

    @property
    def lost_lines(self) -> int:
        """Lines that the file lacks, since the process began."""
        return self._file.lost_total if self._file is not None else 0

    def msg(self, **event: Any) -> None:
        """Write one line; a stream that nobody reads any more loses it and stops nothing."""
        ordered = {key: event[key] for key in sorted(event, key=_place)}
        try:
            line = orjson.dumps(ordered, default=str).decode()
        except TypeError:  # a name on a disk that is no UTF-8, a number beyond 64 bits
            ordered = {key: _shown(value) for key, value in ordered.items()}
            line = orjson.dumps(ordered).decode()
        # A renderer takes out of the mapping what it has shown.
        shown = self._pretty(None, "", dict(ordered)) if self._pretty else line
        with suppress(OSError, ValueError):
            self._stream.write(shown + "\n")
            self._stream.flush()
        if self._file is not None:
            kept = self._pretty_file(None, "", dict(ordered)) if self._pretty_file else line
            self._write(self._file, kept)

    def _write(self, file: LogFile, line: str) -> None:
        written = file.write(line)
        if written == (not self._failing) or self.tell is None:
            return
        self._failing = not written
        if written:
            lost, file.lost = file.lost, 0
            self.tell("log_file_resumed", lost=lost)
        else:
            self.tell("log_file_failed", error=file.trouble)

    def tend(self) -> None:
        """Let lines of the file go that are too old."""
        if self._file is not None:
            self._file.tend()

    def reopen(self) -> None:
        """Go on in the file that lies at the path now."""
        if self._file is not None:
            self._file.reopen()

    def close(self) -> None:
        """Close the file; the stream belongs to somebody else."""
        if self._file is not None:
            self._file.close()

    debug = info = warning = error = critical = log = msg


class LibraryHandler(logging.Handler):
    """Turns the logging of libraries into one event without their text."""

    def __init__(self, log: Callable[..., None]) -> None:
        super().__init__(level=logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Say who complained and about which exception; the text may quote a request."""
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        self._log("library_message", library=record.name, line=record.lineno, error=kind)
