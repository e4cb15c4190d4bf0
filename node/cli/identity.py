"""`mnemesh identity ...`: keys of agents and peers, and which REST peers may speak here.

Law: everything happens in files of the key folder, with or without a running node, which
reads them again by itself. A private key is never printed and nothing is replaced or deleted
without being told to.
"""

import base64
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from node.auth.enrolments import Enrolled, Enrolments, format_enrolments, parse_enrolments
from node.auth.identities import FOLDER, Identities, Identity, checked_id
from node.auth.places import enrolments_path
from node.auth.public_keys import parse_public_key, public_pem
from node.auth.watched import read_file, rewriting
from node.cli.members import parse_fingerprint
from node.cli.options import AsJson, DataDir, DryRun, KeyDir, Yes, paths_of
from node.cli.output import Output, facts_table, table
from node.errors import Refused, UsageError
from node.paths import Paths
from transport.errors import PublicKeyError
from transport.pins import is_key_pin
from transport.secret_files import replace_file

IdentityOf = Annotated[
    str, typer.Option("--agent-id", metavar="ID", help="Agent or peer that the key belongs to.")
]
_FILE_BYTES_MAX = 4096


def generate(
    *,
    agent_id: IdentityOf,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing key; it is gone then.")
    ] = False,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a key pair for an agent or a peer."""
    out, held = Output(as_json=as_json), _identities(paths_of(data_dir, key_dir))
    ident = checked_id(agent_id)
    if dry_run:
        path = str(held.private_path(ident))
        out.answer({"dry_run": True, "would_write": path}, f"would make a key in {path}")
        return
    made = held.generate(ident, os.urandom, force=force)
    facts = _facts(held, made)
    out.answer(facts, facts_table(list(facts.items())))


def list_identities(
    *, data_dir: DataDir = None, key_dir: KeyDir = None, as_json: AsJson = False
) -> None:
    """Show the keys of this node's agents and peers, and who is enrolled."""
    paths = paths_of(data_dir, key_dir)
    held = _identities(paths)
    enrolled = _read(paths).peers
    rows = [_facts(held, one, enrolled.get(one.agent_id)) for one in held.listed()]
    shown = table(
        ("ID", "PRIVATE", "PUBLIC KEY", "ENROLLED WITH"),
        [
            (
                row["agent_id"],
                "here" if row["private"] else "elsewhere",
                row["public_key"],
                row["fingerprint"] or "-",
            )
            for row in rows
        ],
    )
    data = {"identities": rows, "count": len(rows)}
    Output(as_json=as_json).answer(data, shown if rows else "there is no key")


def export_public(
    *,
    agent_id: IdentityOf,
    file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write it here.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    as_json: AsJson = False,
) -> None:
    """Give out the public key of an agent or a peer, as PEM."""
    held = _identities(paths_of(data_dir, key_dir))
    found = held.find(checked_id(agent_id))
    if found is None:
        raise UsageError(
            f"there is no key for {agent_id}",
            fix=f"Make one: mnemesh identity generate --agent-id {agent_id}",
        )
    pem = public_pem(found.public_key)
    data = {
        "agent_id": found.agent_id,
        "public_key": _text(found.public_key),
        "pem": pem.decode(),
        "file": None if file is None else str(file),
    }
    if file is not None:
        _write(file, pem)
    Output(as_json=as_json).answer(data, pem.decode().rstrip() if file is None else f"wrote {file}")


def import_public(
    *,
    agent_id: IdentityOf,
    pub: Annotated[
        Path,
        typer.Option("--pub", metavar="FILE", help="Its public key: PEM, or base64 or hex."),
    ],
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint",
            metavar="FP",
            help="SHA-256 of its certificate: enrols it as a REST peer that may push here.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace another key or certificate of this id.")
    ] = False,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Keep the public key of an agent, or enrol a REST peer."""
    out, paths = Output(as_json=as_json), paths_of(data_dir, key_dir)
    ident, key = checked_id(agent_id), read_public_key(pub)
    wanted = parse_fingerprint(fingerprint) if fingerprint is not None else None
    if wanted is not None and is_key_pin(wanted):
        raise UsageError(
            "--fingerprint names a key", why="a push is known by the certificate of its sender"
        )
    _check_enrolment(_read(paths), ident, key, wanted, force=force)
    data: dict[str, Any] = {
        "agent_id": ident,
        "public_key": _text(key),
        "fingerprint": wanted,
        "enrolled": wanted is not None,
    }
    words = f"{ident} is enrolled with certificate {wanted}" if wanted else f"{ident} is known"
    if dry_run:
        out.answer({"dry_run": True, **data}, f"would import the key of {ident}")
        return
    _identities(paths).learn(ident, key, force=force)
    if wanted is not None:
        with rewriting(enrolments_path(paths)) as put:
            held = _read(paths)
            _check_enrolment(held, ident, key, wanted, force=force)
            peer = Enrolled(
                peer_id=ident,
                public_key=key,
                fingerprint=wanted,
                enrolled_at=time.time_ns() // 1_000_000,
            )
            put(format_enrolments(held.with_peer(peer)))
    out.answer(data, words)


def remove(
    *,
    agent_id: IdentityOf,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Delete the key of an agent or a peer; an enrolled peer is turned away from now on."""
    out, paths = Output(as_json=as_json), paths_of(data_dir, key_dir)
    held, ident = _identities(paths), checked_id(agent_id)
    private = held.private_path(ident).exists()
    enrolled = ident in _read(paths).peers
    if not (private or enrolled or held.public_path(ident).exists()):
        raise UsageError(f"there is no key for {ident}", fix="See mnemesh identity list")
    # Ending an enrolment is undone by another import; deleting a private key by nothing.
    keeps = private and enrolled and not yes
    data = {
        "agent_id": ident,
        "private_key_deleted": private and not keeps,
        "enrolment_ended": enrolled,
    }
    if dry_run:
        out.answer({"dry_run": True, **data}, f"would remove {ident}")
        return
    if private and not keeps:
        out.confirm(f"Delete the private key of {ident} for ever?", yes=yes)
    if enrolled:
        with rewriting(enrolments_path(paths)) as put:
            put(format_enrolments(_read(paths).without(ident)))
    if not keeps:
        held.remove(ident)
    out.answer(data, f"{ident} is no longer {'enrolled' if keeps else 'known'}")
    if keeps:
        out.say("Its private key is here and stays; repeat with --yes to delete it.")


def read_public_key(path: Path) -> bytes:
    """The public key in a file.

    Raises:
        UsageError: the file cannot be read, or holds no usable public key.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_FILE_BYTES_MAX + 1).decode()
        return parse_public_key(text)
    except OSError as error:
        raise UsageError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (PublicKeyError, ValueError) as error:
        why = "it is no text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise UsageError(f"{path} holds no usable public key", why=why) from error


def _check_enrolment(
    held: Enrolments, ident: str, key: bytes, fingerprint: str | None, *, force: bool
) -> None:
    """Make sure that nobody's enrolment is replaced unawares.

    Raises:
        Refused: the id is enrolled otherwise, or the key under another id.
    """
    before = held.peers.get(ident)
    changes = before is not None and (
        before.public_key != key or fingerprint not in (None, before.fingerprint)
    )
    if changes and not force:
        raise Refused(
            f"{ident} is enrolled already, with another key or certificate",
            fix=f"Repeat with --force, or first: mnemesh identity rm --agent-id {ident}",
        )
    others = [peer.peer_id for peer in held.peers.values() if peer.public_key == key]
    if fingerprint is not None and set(others) - {ident}:
        raise Refused(f"the key is enrolled as {others[0]} already", why="one key names one peer")


def _identities(paths: Paths) -> Identities:
    return Identities(paths.key_dir / FOLDER)


def _read(paths: Paths) -> Enrolments:
    path = enrolments_path(paths)
    try:
        return parse_enrolments(read_file(path))
    except ValueError as error:
        raise Refused(
            f"{path} cannot be read", why=str(error), fix="Mend it, or move it aside"
        ) from error


def _facts(held: Identities, one: Identity, peer: Enrolled | None = None) -> dict[str, Any]:
    ident = one.agent_id
    return {
        "agent_id": ident,
        "public_key": _text(one.public_key),
        "private": one.private,
        "private_key_file": str(held.private_path(ident)) if one.private else None,
        "public_key_file": str(held.public_path(ident)),
        "fingerprint": None if peer is None else peer.fingerprint,
    }


def _text(public: bytes) -> str:
    return base64.b64encode(public).decode()


def _write(path: Path, data: bytes) -> None:
    try:
        replace_file(path, data, mode=0o644)
    except OSError as error:
        raise UsageError(f"cannot write {path}", why=error.strerror or str(error)) from error
