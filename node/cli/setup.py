"""`mnemesh init`: the identity of a node, made once and aloud.

Law: keys come into being here or not at all; an existing one is never overwritten without
`--force`. Secrets are 0600 in a folder of 0700 and are never printed.
"""

import datetime as dt
import ipaddress
import os
import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from node.cli.options import (
    AsJson,
    ConfigFile,
    DataDir,
    DryRun,
    KeyDir,
    Yes,
    options_of,
    paths_of,
)
from node.cli.output import Output, facts_table
from node.errors import Refused, UsageError
from node.limits import Limits
from node.lock import find_holder, held_error
from node.memory.problems import InvalidField
from node.memory.rules import agent_id
from node.paths import Paths
from node.settings import is_wildcard, listen_hosts, load_settings
from node.settings.checks import clean_url
from node.settings.toml_file import read_config, write_config
from transport.certificate import make_certificate
from transport.identity import NodeKey
from transport.secret_files import write_secret

# Whatever the node is called elsewhere, agents beside it reach it under these.
# RFC 1123 section 2.1, with the wildcard of RFC 9525 and letters beyond ASCII.
_HOST_NAME = re.compile(r"(?:\*\.)?(?!-)[\w-]{1,63}(?<!-)(?:\.(?!-)[\w-]{1,63}(?<!-))*")
_LOCAL_SANS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What `make_identity` made."""

    node_id: str
    fingerprint: str
    certificate_pem: bytes


def init(  # noqa: PLR0913 -- the options of a command are its parameters
    *,
    name: Annotated[str, typer.Option("--name", help="Name that people will read.")],
    advertise: Annotated[
        str | None,
        typer.Option(
            "--advertise",
            metavar="URL",
            help="Address that peers are told, as https://host:port; the bound one when left out.",
            show_default=False,
        ),
    ] = None,
    san: Annotated[
        list[str] | None,
        typer.Option(
            "--san", metavar="NAME", help="Further host name or address for the certificate."
        ),
    ] = None,
    admin: Annotated[
        list[str] | None,
        typer.Option(
            "--admin",
            metavar="AGENT_ID",
            help="Agent that administers the mesh which this node founds; may be repeated.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing identity; it is gone then.")
    ] = False,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    config: ConfigFile = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make the keys, the certificate and the configuration of a new node."""
    out = Output(as_json=as_json)
    paths = paths_of(data_dir, key_dir, config)
    url = clean_url(advertise, "--advertise") if advertise else None
    sans = certificate_names(url, san or [])
    admins = administrators(admin or [])
    _check_init(paths, name, url)
    present = [path for path in _secrets(paths) if path.exists()]
    if present and not force:
        raise Refused(
            f"{paths.key_dir} already holds an identity",
            why=f"{present[0]} exists and a key is never overwritten silently",
            fix="Keep it, or name another --data-dir, or repeat with --force",
        )
    if dry_run:
        facts = {"dry_run": True, "would_write": [str(path) for path in _secrets(paths)]}
        out.answer(facts, f"would make {len(facts['would_write'])} files in {paths.key_dir}")  # type: ignore[arg-type]  # a list, two lines above
        return
    if present:
        out.confirm(f"Replace the identity in {paths.key_dir} for ever?", yes=yes)
    made = make_identity(paths, name=name, sans=sans, force=force)
    _remember(paths, name, url, sans, admins)
    _tell(out, paths, name, url, made, admins)


def certificate_names(url: str | None, further: Sequence[str]) -> tuple[str, ...]:
    """Host names and addresses for a certificate, each once."""
    host = urlsplit(url).hostname if url else None
    for name in further:
        if not _HOST_NAME.fullmatch(name) and not _is_address(name):
            raise UsageError(
                f"--san {name!r} is neither a host name nor an IP address",
                fix="Write it as node-a.example or 192.0.2.7",
            )
    return tuple(dict.fromkeys([*([host] if host else []), *further, *_LOCAL_SANS]))


def administrators(given: Sequence[str]) -> tuple[str, ...]:
    """Agent ids, each once.

    Raises:
        UsageError: one is no agent id.
    """
    try:
        checked = [agent_id("--admin", ident, Limits()) for ident in given]
    except InvalidField as error:
        raise UsageError(error.what, fix="Write it as ai:alice or human:bob") from error
    return tuple(dict.fromkeys(checked))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _secrets(paths: Paths) -> tuple[Path, ...]:
    return (paths.node_key, paths.tls_cert, paths.tls_key, paths.api_key)


def _check_init(paths: Paths, name: str, url: str | None) -> None:
    holder = find_holder(paths.lock)
    if holder is not None:
        raise held_error(paths.lock, holder)
    flags = {"identity.name": name} | ({"listen.advertise": url} if url else {})
    settings = load_settings(paths, environ=os.environ, flags=flags)
    if not name.strip():
        raise UsageError("--name is empty", fix="Give the node a name, as node-a")
    wildcard = [host for host in listen_hosts(settings) if is_wildcard(host)]
    if wildcard and settings.listen.advertise is None:
        raise UsageError(
            "--advertise is missing",
            why=f"the node listens on {wildcard[0]}, which no peer can dial",
            fix="Give the address that peers shall use, as --advertise https://node-a:9077",
        )


def make_identity(paths: Paths, *, name: str, sans: Sequence[str], force: bool) -> Made:
    """Make node key, certificate and API key in the key folder.

    Raises:
        Refused: the folders cannot be made or written.
        transport.errors.KeyFileError: a file exists and `force` is not given.
        transport.errors.CertificateError: a name that no certificate can carry.
    """
    made = make_certificate(name, sans, dt.datetime.now(dt.UTC), os.urandom)
    make_folders(paths)
    key = NodeKey.generate(os.urandom)
    key.save(paths.node_key, force=force)
    made.save(paths.tls_cert, paths.tls_key, force=force)
    write_secret(paths.api_key, secrets.token_urlsafe(32).encode() + b"\n", force=force)
    return Made(
        node_id=key.node_id.hex(),
        fingerprint=made.fingerprint,
        certificate_pem=made.certificate_pem,
    )


def make_folders(paths: Paths) -> None:
    """Make the folders of a node, for its owner alone.

    Raises:
        Refused: the operating system says no.
    """
    for folder in (paths.data_dir, paths.key_dir, paths.config.parent):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _unwritable(folder, error.strerror or str(error)) from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _unwritable(folder, "permission denied")


def _unwritable(folder: Path, why: str) -> Refused:
    return Refused(
        f"cannot write to {folder}",
        why=why,
        fix="Give the folder to this user, or name another one with --data-dir",
    )


def _remember(
    paths: Paths, name: str, url: str | None, sans: Sequence[str], admins: Sequence[str]
) -> None:
    values = read_config(paths.config) if paths.config.exists() else {}
    merged: dict[str, Mapping[str, object]] = dict(values)
    merged["identity"] = {**values.get("identity", {}), "name": name, "sans": list(sans)}
    if url:
        merged["listen"] = {**values.get("listen", {}), "advertise": url}
    if admins:
        merged["admin"] = {**values.get("admin", {}), "agent_ids": list(admins)}
    write_config(paths.config, merged)


def _tell(
    out: Output, paths: Paths, name: str, url: str | None, made: Made, admins: Sequence[str]
) -> None:
    here = options_of(paths)
    member_url = url or "https://HOST:PORT"
    allow = f"mnemesh node allow {made.fingerprint} --name {shlex.quote(name)}"
    join = f"mnemesh node join {member_url} --fingerprint {made.fingerprint}"
    steps = [
        f"start this node:                mnemesh serve{here}",
        f"to join a mesh, on each member: {allow}",
        f"to be joined, on the newcomer:  {join}",
    ]
    data = {
        "name": name,
        "node_id": made.node_id,
        "fingerprint": made.fingerprint,
        "advertise": url,
        "admins": list(admins),
        "data_dir": str(paths.data_dir),
        "key_dir": str(paths.key_dir),
        "config": str(paths.config),
        "api_key_file": str(paths.api_key),
        "next": steps,
    }
    facts = [
        ("name", name),
        ("node id", made.node_id),
        ("fingerprint", made.fingerprint),
        ("keys", paths.key_dir),
        ("API key", paths.api_key),
        ("configuration", paths.config),
        *([("administrators", ", ".join(admins))] if admins else []),
    ]
    out.answer(data, [facts_table(facts), "", "Next:", *("  " + step for step in steps)])
