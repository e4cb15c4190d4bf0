"""The official JavaScript library, in a process that tests talk to.

Law: what is installed is what the lock beside this file names, by its checksum, into a folder
of the cache that is named after the lock; once a machine. Where that cannot be done, `Absent`
says why, and whoever wanted the library is skipped.
"""

import base64
import hashlib
import json
import os
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

_HERE: Final = Path(__file__).parent
_PROGRAM: Final = _HERE / "oracle.mjs"
_LOCKED: Final = ("package.json", "package-lock.json")
_NODE_MIN: Final = 18
_INSTALL_SECONDS: Final = 120.0
ANSWER_SECONDS: Final = 120.0


class AbsentError(Exception):
    """The library cannot be had here; says why."""


class OracleError(Exception):
    """The library refused; says what it said."""


def installed() -> Path:
    """A folder with the library in `node_modules`; made once.

    Raises:
        AbsentError: no node, no npm, or none of the packages to be had.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise AbsentError(f"{program} is not installed")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)  # noqa: S607
    major = said.stdout.strip().removeprefix("v").partition(".")[0]
    if not major.isdigit() or int(major) < _NODE_MIN:
        raise AbsentError(f"node {said.stdout.strip()!r} is older than {_NODE_MIN}")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mnemesh-tests"
    digest = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in _LOCKED)).hexdigest()
    folder = home / f"automerge-{digest[:16]}"
    if not folder.is_dir():
        _install(home, folder)
    return folder


def _install(home: Path, folder: Path) -> None:
    """Fetch into a folder beside it, and give that its name: two who do it at once do no harm."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=home))
    except OSError as error:
        raise AbsentError(f"no folder for it: {error}") from error
    try:
        for name in _LOCKED:
            shutil.copy(_HERE / name, made / name)
        _fetch(made)
        try:
            made.rename(folder)
        except OSError as error:
            if not folder.is_dir():
                raise AbsentError(f"no folder for it: {error}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _fetch(made: Path) -> None:
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            command, cwd=made, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise AbsentError(f"npm did not end in {_INSTALL_SECONDS:g} s") from error
    if done.returncode:
        raise AbsentError(f"npm ci: {done.stderr.strip()[-300:]}")


class Oracle:
    """The library, asked over two pipes."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["node", str(_PROGRAM), str(folder)],  # noqa: S607
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in = self._process.stdin
        self._out = self._process.stdout
        os.set_blocking(self._out.fileno(), False)
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(self._out, selectors.EVENT_READ)
        self._read = b""

    def ask(self, what: str, **about: Any) -> dict[str, Any]:
        """One request.

        Raises:
            OracleError: the library threw.
        """
        self._in.write(json.dumps({"do": what, **about}).encode() + b"\n")
        self._in.flush()
        answer: dict[str, Any] = json.loads(self._line())
        if "error" in answer:
            raise OracleError(answer["error"])
        return answer

    def _line(self) -> bytes:
        deadline = time.monotonic() + ANSWER_SECONDS
        while b"\n" not in self._read:
            ready = self._waiting.select(max(0.0, deadline - time.monotonic()))
            assert ready, f"the library was silent for {ANSWER_SECONDS:g} s"
            piece = os.read(self._out.fileno(), 1 << 20)
            assert piece, f"the library's process ended: {self._process.wait()}"
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        return line

    def close(self) -> None:
        """End the process."""
        self._waiting.close()
        self._in.close()
        self._out.close()
        self._process.kill()
        self._process.wait()

    # --- what is asked most ---------------------------------------------------------------

    def edit(self, doc: str, ops: Sequence[object], **options: Any) -> tuple[bytes, ...]:
        """Make one change of a document; the chunk that it became, none when it changed nothing."""
        told = self.ask("edit", doc=doc, ops=ops, **options)
        return tuple(base64.b64decode(one) for one in told["changes"])

    def apply(self, doc: str, changes: Sequence[bytes]) -> list[str]:
        """Give changes to a document; its heads then."""
        told = self.ask("apply", doc=doc, changes=[base64.b64encode(c).decode() for c in changes])
        heads: list[str] = told["heads"]
        return heads

    def load(self, doc: str, data: bytes, actor: str | None = None) -> list[str]:
        """Make a document of bytes; its heads."""
        told = self.ask("load", doc=doc, data=base64.b64encode(data).decode(), actor=actor)
        heads: list[str] = told["heads"]
        return heads

    def changes(self, doc: str, since: Sequence[str] | None = None) -> list[bytes]:
        """Changes of a document as the library gives them: long ones are deflated."""
        told = self.ask("changes", doc=doc, since=since)
        return [base64.b64decode(one) for one in told["changes"]]

    def text(self, doc: str) -> str:
        """The text of the root."""
        return str(self.ask("text", doc=doc)["text"])


@contextmanager
def oracle_of_the_library() -> Iterator[Oracle]:
    """The library in a process; skips the test where it cannot be had."""
    try:
        oracle = Oracle(installed())
    except AbsentError as error:
        pytest.skip(f"needs the JavaScript library of Automerge: {error}")
    try:
        yield oracle
    finally:
        oracle.close()
