"""`mnemesh key ...`: API keys with a role, an agent and namespaces.

Law: a key is shown once, when it is made, and kept only as its hash. A running node reads
the list again by itself, so a revoked key is refused within a second.
"""

import os
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from node.auth.keys import (
    GRADES,
    KeyGrant,
    KeyRing,
    KeyWish,
    format_keys,
    make_key,
    parse_keys,
    revoke,
)
from node.auth.places import keys_path
from node.auth.watched import read_file, rewriting
from node.cli.options import AsJson, DataDir, DryRun, KeyDir, paths_of
from node.cli.output import Output, facts_table, table
from node.errors import Refused, UsageError
from node.memory.times import format_ms
from node.paths import Paths
from transport.secret_files import read_secret, write_secret

_ROLES: Final = ", ".join(GRADES[1:]) + " or " + GRADES[0]


def create(  # noqa: PLR0913 -- the options of a command are its parameters
    *,
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help=f"One of {_ROLES}.")],
    agent_id: Annotated[
        str | None,
        typer.Option(
            "--agent-id",
            metavar="ID",
            help="Agent that the key names; any when left out.",
            show_default=False,
        ),
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace", "-n", metavar="NS", help="Subtree it is limited to; repeatable."
        ),
    ] = None,
    expires_days: Annotated[
        float | None,
        typer.Option(
            "--expires-days", metavar="N", help="Days until it expires.", show_default=False
        ),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Name to remember it by.")] = "",
    file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write the key here (0600) instead of printing it.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Let a key that another node drew be good here too; FILE (0600) holds it.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make an API key and show it, once."""
    out, paths = Output(as_json=as_json), paths_of(data_dir, key_dir)
    wish = KeyWish(
        role=role,
        agent_id=agent_id or "",
        namespaces=tuple(dict.fromkeys(namespace or ())),
        expires_days=expires_days,
        name=name,
    )
    if file is not None and file.exists():
        raise UsageError(f"{file} exists already", why="nothing is overwritten with a key")
    if file is not None and source is not None:
        raise UsageError("--out and --from exclude each other", why="the key is in a file already")
    drawn = None if source is None else read_secret(source).decode(errors="replace").strip()
    _make(out, paths, wish, drawn, file, source, dry_run=dry_run)


def _make(
    out: Output,
    paths: Paths,
    wish: KeyWish,
    drawn: str | None,
    file: Path | None,
    source: Path | None,
    *,
    dry_run: bool,
) -> None:
    """Make the key that was wished for, or take the drawn one, and say where it is."""
    now_ms = time.time_ns() // 1_000_000
    if dry_run:
        _, grant = make_key(_read(paths), wish, now_ms=now_ms, entropy=os.urandom, drawn=drawn)
        facts = {**_facts(grant, now_ms), "id": None, "name": wish.name or None}
        out.answer({"dry_run": True, **facts}, f"would make a key with the role {wish.role}")
        return
    with rewriting(keys_path(paths)) as put:
        ring = _read(paths)
        text, grant = make_key(ring, wish, now_ms=now_ms, entropy=os.urandom, drawn=drawn)
        if file is not None:
            write_secret(file, f"{text}\n".encode())
        put(format_keys(ring.with_key(grant)))
    facts = _facts(grant, now_ms)
    if file is not None:
        out.answer({**facts, "key_file": str(file)}, f"wrote the key {grant.name} to {file}")
        return
    if source is not None:
        out.answer({**facts, "key_file": str(source)}, f"the key in {source} is good here too")
        return
    out.answer({**facts, "key": text}, [facts_table(_shown(grant, now_ms)), "", text])
    out.say("The key is not kept and cannot be shown again.")


def list_keys(*, data_dir: DataDir = None, key_dir: KeyDir = None, as_json: AsJson = False) -> None:
    """Show the API keys that were given out, without the keys themselves."""
    now_ms = time.time_ns() // 1_000_000
    keys = list(_read(paths_of(data_dir, key_dir)).grants.values())
    shown = table(
        ("ID", "NAME", "ROLE", "AGENT", "NAMESPACES", "STATE", "EXPIRES"),
        [[value for _, value in _shown(key, now_ms)] for key in keys],
    )
    data = {"keys": [_facts(key, now_ms) for key in keys], "count": len(keys)}
    Output(as_json=as_json).answer(data, shown if keys else "no key was given out")


def revoke_key(
    which: Annotated[str, typer.Argument(metavar="NAME|ID")],
    *,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take an API key out of force; a running node refuses it within a second."""
    out, paths = Output(as_json=as_json), paths_of(data_dir, key_dir)
    now_ms = time.time_ns() // 1_000_000
    if dry_run:
        grant = _read(paths).named(which)
        data = {"dry_run": True, **_facts(grant, now_ms)}
        out.answer(data, f"would revoke {grant.name} ({grant.id})")
        return
    with rewriting(keys_path(paths)) as put:
        before = _read(paths)
        ring, grant = revoke(before, which, now_ms)
        if ring is not before:
            put(format_keys(ring))
    word = "revoked" if ring is not before else "was revoked already:"
    out.answer(
        {**_facts(grant, now_ms), "changed": ring is not before},
        f"{word} {grant.name} ({grant.id})",
    )


def _read(paths: Paths) -> KeyRing:
    path = keys_path(paths)
    try:
        return parse_keys(read_file(path))
    except ValueError as error:
        raise Refused(
            f"{path} cannot be read", why=str(error), fix="Mend it, or move it aside"
        ) from error


def _facts(key: KeyGrant, now_ms: int) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "agent_id": key.agent_id or None,
        "namespaces": list(key.namespaces),
        "created_at": format_ms(key.created_at),
        "expires_at": None if key.expires_at is None else format_ms(key.expires_at),
        "revoked_at": None if key.revoked_at is None else format_ms(key.revoked_at),
        "state": key.state(now_ms),
    }


def _shown(key: KeyGrant, now_ms: int) -> list[tuple[str, object]]:
    return [
        ("id", key.id),
        ("name", key.name),
        ("role", key.role),
        ("agent", key.agent_id or "any"),
        ("namespaces", ", ".join(key.namespaces) or "all"),
        ("state", key.state(now_ms)),
        ("expires", "never" if key.expires_at is None else format_ms(key.expires_at)),
    ]
