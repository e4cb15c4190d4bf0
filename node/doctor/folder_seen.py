"""What lies in a node's folders, for the doctor of a running node and of a stopped one alike.

Law: looks at names, modes, sizes and small notes; never into a secret, and changes nothing.
"""

import os
import shlex
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from node.backup.notes import LAST_BACKUP, RECOVERING
from node.doctor.facts import IdentityFacts, KeyFact, NodeFacts
from node.doctor.machine_facts import BackupFacts, StoreFacts
from node.facts import LastExit, ListenerFacts, read_note
from node.paths import Paths
from node.settings import TABLE, Settings
from node.store.folder import set_aside_stores
from transport.certificate import expires_at, fingerprint, load_der
from transport.errors import LooseModeError, TransportError
from transport.tls import OwnCertificate

_REPLACED: Final = "replaced"
_MOUNTS: Final = Path("/proc/self/mountinfo")
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def options_of(paths: Paths, usual: Paths) -> str:
    """What leads every command to a data folder, after a space; there it finds the rest."""
    return (
        ""
        if paths.data_dir == usual.data_dir
        else f" --data-dir {shlex.quote(str(paths.data_dir))}"
    )


def killed(paths: Paths, *, since_ms: int) -> bool:
    """Whether the process before this one ended without a word.

    To be asked before this process writes its own note.

    Args:
        paths: of the node.
        since_ms: when this process began; a note that is younger is its own.
    """
    facts, last = ListenerFacts.read(paths.facts), LastExit.read(paths.last_exit)
    if facts is None or facts.started_at >= since_ms:
        return False
    return last is None or last.at_ms < facts.started_at


def last_exit_of(paths: Paths) -> int:
    """The exit code of the process before; 0 when nothing is known."""
    last = LastExit.read(paths.last_exit)
    return last.code if last is not None else 0


def with_notes(node: NodeFacts, paths: Paths) -> NodeFacts:
    """What notes in the folder say beside."""
    return replace(node, recovering=(paths.data_dir / RECOVERING).exists())


def backup_of(paths: Paths) -> BackupFacts:
    """The last backup that succeeded."""
    note = read_note(paths.data_dir / LAST_BACKUP) or {}
    at_ms: Any = note.get("at_ms")
    if type(at_ms) is not int:
        return BackupFacts()
    return BackupFacts(at_ms=at_ms, path=str(note.get("path", "")))


def writable_by_others(path: Path) -> bool:
    """Whether users other than the owner can write a file; false when it is not there."""
    try:
        return bool(path.stat().st_mode & _OTHERS_WRITE)
    except OSError:
        return False


# --- the disk ---------------------------------------------------------------------------------


def store_of(data_dir: Path) -> StoreFacts:
    """The disk of a store, and what lies beside it."""
    disk = os.statvfs(data_dir)
    return StoreFacts(
        disk_free_bytes=disk.f_bavail * disk.f_frsize,
        disk_bytes=disk.f_blocks * disk.f_frsize,
        inodes_free_ratio=disk.f_favail / disk.f_files if disk.f_files else 1.0,
        file_system=file_system_of(data_dir),
        aside=tuple(
            str(path) for path in set_aside_stores(data_dir) if not (path / _REPLACED).exists()
        ),
    )


def file_system_of(folder: Path, mounts: Path = _MOUNTS) -> str:
    """The type of the file system of a folder, as proc_pid_mountinfo(5) names it; else empty."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    whole, best, found = folder.resolve(), -1, ""
    for line in lines:
        left, _, right = line.partition(" - ")
        parts, kind = left.split(), right.partition(" ")[0]
        if len(parts) < 5:  # noqa: PLR2004 - the fifth is the place
            continue
        place = Path(parts[4].replace("\\040", " "))
        # Of two at one place the later covers the earlier.
        if whole.is_relative_to(place) and len(place.parts) >= best:
            best, found = len(place.parts), kind
    return found


# --- keys and certificate ---------------------------------------------------------------------


def identity_of(
    settings: Settings, *, in_force: str = "", expires_ms: int | None = None
) -> IdentityFacts:
    """The modes of everything that is secret, and the certificate as its file stands now.

    Args:
        settings: they name the files.
        in_force: fingerprint of the certificate that a running node shows.
        expires_ms: when that one ends; None without one.
    """
    paths = settings.paths
    keys = [KeyFact(path=str(path), mode=_mode(path)) for path in _secrets(settings)]
    keys.append(KeyFact(path=str(paths.key_dir), mode=_mode(paths.key_dir), folder=True))
    cert = settings.listen.tls_cert or paths.tls_cert
    key = settings.listen.tls_key or paths.tls_key
    if not cert.exists() or not key.exists():
        trouble = f"{cert} is gone" if in_force and not cert.exists() else ""
        return IdentityFacts(
            keys=tuple(keys), certificate_expires_ms=expires_ms, certificate_trouble=trouble
        )
    trouble, shown = "", ""
    try:
        der = load_der(cert)
        shown = fingerprint(der)
        if not in_force:
            expires_ms = int(expires_at(der).timestamp() * 1000)
        OwnCertificate.load(cert, key)
    except LooseModeError:
        pass  # told as what it is, with the mode
    except TransportError as error:
        trouble = str(error)
    return IdentityFacts(
        keys=tuple(keys),
        certificate_expires_ms=expires_ms,
        certificate_trouble=trouble,
        certificate_waits=bool(in_force) and not trouble and shown != in_force,
    )


def _secrets(settings: Settings) -> list[Path]:
    """Every file that holds a secret: those that were named, and the own ones that are used."""
    paths = settings.paths
    named = [
        path
        for row in TABLE
        if row.about.secret_file
        and (path := getattr(getattr(settings, row.section), row.key)) is not None
    ]
    named += [h.table.secret_file for h in settings.hooks if h.table.secret_file is not None]
    own: Mapping[Path, bool] = {
        paths.node_key: True,
        paths.tls_key: settings.listen.tls_key is None and paths.tls_cert.exists(),
        paths.api_key: settings.admin.api_key_file is None and paths.api_key.exists(),
    }
    return list(dict.fromkeys([*(path for path, used in own.items() if used), *named]))


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return None
