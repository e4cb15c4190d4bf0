"""The allowlist: which certificates may connect, as a text file an operator can read and edit.

Law: only what is written grants anything; one unreadable line refuses the whole file, so that a
slip of the pen can neither admit a stranger nor lock out a friend silently. Rewrites are atomic,
keep every comment, and change nothing when there is nothing to change.

    # the laptop under the stairs
    sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  node-b
    9F:86:D0:81: ... :0A:08
    spki:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=  node-c, whatever certificate it makes
"""

import contextlib
import fcntl
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from transport.errors import AllowlistError
from transport.pins import admits, is_key_pin, normalise
from transport.secret_files import replace_file

__all__ = ["Allowlist", "add", "load", "normalise", "parse", "remove"]

_COMMENT = re.compile(r"(?:^|\s)#.*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowlist:
    """Allowed pins of certificates and of keys, and the names given to them ("" if none)."""

    entries: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __contains__(self, pin: object) -> bool:
        return pin in self.entries

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def pins(self) -> frozenset[str]:
        """All of them."""
        return frozenset(self.entries)

    @property
    def fingerprints(self) -> frozenset[str]:
        """The allowed certificates: 64 lowercase hex digits each."""
        return frozenset(pin for pin in self.entries if not is_key_pin(pin))

    @property
    def keys(self) -> frozenset[str]:
        """The allowed keys, as pins."""
        return frozenset(filter(is_key_pin, self.entries))

    def admits(self, der: bytes) -> bool:
        """Whether a certificate is on the list, by itself or by its key."""
        return admits(self.pins, der)


def parse(text: str) -> Allowlist:
    """Read the text of an allowlist file.

    Raises:
        AllowlistError: a line is neither empty, a comment nor an entry; `.line` is its number.
    """
    entries: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        entry = _entry(line, number)
        if entry is not None:
            entries[entry[0]] = entry[1]
    return Allowlist(entries=MappingProxyType(entries))


def _entry(line: str, number: int) -> tuple[str, str] | None:
    words = _COMMENT.sub("", line).strip().split(maxsplit=1)
    if not words:
        return None
    try:
        pin = normalise(words[0])
    except AllowlistError as error:
        raise AllowlistError(f"allowlist line {number}: {error}", line=number) from error
    return pin, words[1] if len(words) > 1 else ""


def load(path: Path, *, missing_is_empty: bool = False) -> Allowlist:
    """Read an allowlist file.

    Args:
        path: the file.
        missing_is_empty: take an absent file for an empty one; for the file a node keeps itself,
            never for one that an operator named.

    Raises:
        AllowlistError: the file cannot be read, or has an unparsable line.
    """
    return _parsed(path, _read(path, missing_is_empty=missing_is_empty))


def add(path: Path, fingerprint: str, name: str = "") -> bool:
    """Allow a fingerprint; the file is made when absent. A new name replaces the old one.

    Returns:
        Whether the file changed.

    Raises:
        AllowlistError: no fingerprint, a name that would break its line, or a bad file.
    """
    wanted = normalise(fingerprint)
    name = name.strip()
    if _COMMENT.search(name) or len(name.splitlines()) > 1:
        raise AllowlistError(f"the name {name!r} would not survive: no '#' and no line breaks")
    with _locked(path):
        text = _read(path, missing_is_empty=True)
        entries = _parsed(path, text).entries
        if wanted in entries and (not name or entries[wanted] == name):
            return False
        lines = [line for line in text.splitlines() if not _is_entry_of(line, wanted)]
        _write(path, [*lines, f"{wanted} {name}".rstrip()])
    return True


def remove(path: Path, fingerprint: str) -> bool:
    """Take a fingerprint off the list, in every spelling it has there.

    Returns:
        Whether the file changed.

    Raises:
        AllowlistError: no fingerprint, or the file cannot be read.
    """
    unwanted = normalise(fingerprint)
    with _locked(path):
        text = _read(path, missing_is_empty=True)
        if unwanted not in _parsed(path, text):
            return False
        _write(path, [line for line in text.splitlines() if not _is_entry_of(line, unwanted)])
    return True


def _is_entry_of(line: str, fingerprint: str) -> bool:
    entry = _entry(line.removeprefix("\ufeff"), 0)
    return entry is not None and entry[0] == fingerprint


def _read(path: Path, *, missing_is_empty: bool) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if missing_is_empty:
            return ""
        raise AllowlistError(
            f"the allowlist {path} does not exist: make it, one fingerprint per line"
        ) from error
    except UnicodeDecodeError as error:
        raise AllowlistError(f"the allowlist {path} is not UTF-8 text") from error
    except OSError as error:
        raise AllowlistError(f"cannot read the allowlist {path}: {error.strerror}") from error


def _parsed(path: Path, text: str) -> Allowlist:
    try:
        return parse(text)
    except AllowlistError as error:
        raise AllowlistError(f"{path}: {error}", line=error.line) from error


def _write(path: Path, lines: list[str]) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
        replace_file(path, "".join(f"{line}\n" for line in lines).encode(), mode=mode)
    except OSError as error:
        raise AllowlistError(f"cannot write the allowlist {path}: {error.strerror}") from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Two commands may allow two peers at once; the folder is locked because the file is replaced.
    try:
        descriptor = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise AllowlistError(f"cannot write the allowlist {path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
