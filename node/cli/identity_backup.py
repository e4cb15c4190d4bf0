"""`mnemesh identity backup` and `restore`: the key folder, kept somewhere else, encrypted.

Law: the passphrase comes from a file, never from the command line; nothing is written over
without being told to, and nothing at all when the passphrase is another one.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from node.backup.identity_file import check_free, gather, opened, put, sealed
from node.cli.options import AsJson, DataDir, DryRun, KeyDir, paths_of
from node.cli.output import Output
from node.errors import Refused, UsageError
from node.lock import DirectoryLock
from transport.secret_files import read_secret, replace_file

PassphraseFile = Annotated[
    Path,
    typer.Option("--passphrase-file", metavar="FILE", help="Holds the passphrase; 0400 or 0600."),
]
Force = Annotated[bool, typer.Option("--force", help="Write over what is there.")]
_BYTES_MAX = 64 << 20


def backup_identity(
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where to write it.")],
    passphrase_file: PassphraseFile,
    force: Force = False,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write the keys of a node into one encrypted file."""
    out, paths = Output(as_json=as_json), paths_of(data_dir, key_dir)
    keys, passphrase = gather(paths.key_dir), _passphrase(passphrase_file)
    if to.exists() and not force:
        raise Refused(f"{to} is there already", fix="Name another file, or repeat with --force")
    data = {"path": str(to), "files": sorted(keys), "dry_run": dry_run}
    if dry_run:
        out.answer(data, f"would write {len(keys)} files into {to}")
        return
    try:
        replace_file(to, sealed(keys, passphrase, os.urandom))
    except OSError as error:
        raise UsageError(f"cannot write {to}", why=error.strerror or str(error)) from error
    out.answer(data, f"{len(keys)} files are in {to}; without the passphrase nobody can read it")


def restore_identity(
    *,
    source: Annotated[Path, typer.Option("--from", metavar="FILE", help="Such a file.")],
    passphrase_file: PassphraseFile,
    force: Force = False,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put the keys of a node back; the node must not run."""
    out, paths = Output(as_json=as_json), paths_of(data_dir, key_dir)
    keys = opened(_read(source), _passphrase(passphrase_file))
    data = {"key_dir": str(paths.key_dir), "files": sorted(keys), "dry_run": dry_run}
    with DirectoryLock(paths.lock):
        check_free(keys, paths.key_dir, force=force)
        if dry_run:
            out.answer(data, f"would put {len(keys)} files into {paths.key_dir}")
            return
        try:
            put(keys, paths.key_dir)
        except OSError as error:
            raise UsageError(
                f"cannot write to {paths.key_dir}", why=error.strerror or str(error)
            ) from error
    out.answer(data, f"{len(keys)} files are back in {paths.key_dir}")


def _passphrase(path: Path) -> bytes:
    """What a file holds, without the line break at its end."""
    return read_secret(path).rstrip(b"\r\n")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}", why=error.strerror or str(error)) from error
