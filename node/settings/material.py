"""Which key, certificate and list a node uses, and what it may therefore listen on.

Law: a file the operator named wins over the one that `init` made; a named file that is
absent is an error, never a fall-back. Nothing but loopback is served without TLS and either
an API key or an allowlist.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node.auth.places import keys_path
from node.errors import ConfigError, LooseModes
from node.settings.checks import Address, agent_address, is_loopback, listen_hosts, probe_address
from node.settings.load import Settings
from transport.errors import LooseModeError
from transport.secret_files import check_mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Files in use; None where there is none. The API key itself is not here.

    Attributes:
        has_api_key: agents must present a key: the node's own, or one that was given out.
        founded_by_flags: the operator brings the certificate.
    """

    node_key: Path
    tls_cert: Path | None
    tls_key: Path | None
    allowlist: Path | None
    api_key_file: Path | None
    client_cert: Path | None
    client_key: Path | None
    ca_cert: Path | None
    has_api_key: bool
    founded_by_flags: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """What to bind: `main` with TLS when `tls`, `agent` plain and on loopback, `probe` plain."""

    main: tuple[Address, ...]
    tls: bool
    agent: Address | None
    probe: Address | None = None


def find_material(settings: Settings, environ: Mapping[str, str]) -> Material:
    """Decide which files the node uses and check that they can be.

    Raises:
        ConfigError: a file that was named is not there or cannot be read.
        LooseModes: a secret is readable by others.
    """
    paths, listen, quorum = settings.paths, settings.listen, settings.quorum
    named = listen.tls_cert is not None
    cert = listen.tls_cert or _if_there(paths.tls_cert)
    key = listen.tls_key or _if_there(paths.tls_key)
    api_key_file = settings.admin.api_key_file
    if api_key_file is None and not named:
        api_key_file = _if_there(paths.api_key)
    variable = settings.admin.api_key_env
    if variable and not environ.get(variable):
        raise ConfigError(
            f"[admin] api_key_env names {variable}", why="that variable is not set or is empty"
        )
    material = Material(
        node_key=paths.node_key,
        tls_cert=cert,
        tls_key=key,
        allowlist=listen.mtls_allowlist or _if_there(paths.allowlist),
        api_key_file=None if variable else api_key_file,
        client_cert=quorum.client_cert or cert,
        client_key=quorum.client_key or key,
        ca_cert=quorum.ca_cert,
        has_api_key=bool(variable) or api_key_file is not None or keys_path(paths).exists(),
        founded_by_flags=named,
    )
    _check_files(material)
    return material


def _if_there(path: Path) -> Path | None:
    return path if path.exists() else None


def _check_files(material: Material) -> None:
    for path in (material.tls_cert, material.allowlist, material.client_cert, material.ca_cert):
        if path is not None:
            _check_readable(path)
    for path in (material.tls_key, material.api_key_file, material.client_key):
        if path is not None:
            _check_readable(path)
            check_secret_modes(path)


def _check_readable(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", fix="Check the path or leave it out")
    if not os.access(path, os.R_OK):
        raise ConfigError(f"cannot read {path}", why="permission denied")


def check_secret_modes(path: Path) -> None:
    """Refuse a secret that users other than its owner can reach (0400 and 0600 are good).

    Raises:
        LooseModes: with the command that mends it.
    """
    try:
        check_mode(path)
    except LooseModeError as error:
        mode = stat.S_IMODE(path.stat().st_mode)
        raise LooseModes(
            f"{path} has mode {mode:04o}",
            why="a secret must be readable by its owner alone",
            fix=f"Run: chmod 600 {path}",
        ) from error


def read_api_key(settings: Settings, material: Material, environ: Mapping[str, str]) -> str | None:
    """The API key, or None when none is configured.

    Raises:
        ConfigError: the file is empty.
    """
    if settings.admin.api_key_env:
        return environ[settings.admin.api_key_env].strip()
    if material.api_key_file is None:
        return None
    key = material.api_key_file.read_text(encoding="utf-8").strip()
    if not key:
        raise ConfigError(f"{material.api_key_file} is empty", fix="Run mnemesh init --force")
    return key


def plan_listeners(settings: Settings, material: Material) -> Listeners:
    """What to bind, or why it would not be safe.

    Raises:
        ConfigError: an address beyond loopback without TLS and a key or an allowlist, peers
            without TLS, or no key although one is demanded.
    """
    tls = material.tls_cert is not None
    main = tuple(Address(host=host, port=settings.listen.port) for host in listen_hosts(settings))
    if settings.listen.require_api_key and not material.has_api_key:
        raise ConfigError(
            "an API key is demanded and there is none",
            why="[listen] require_api_key is set",
            fix="Run mnemesh init, or name a file in [admin] api_key_file",
        )
    open_hosts = [str(address) for address in main if not is_loopback(address.host)]
    if open_hosts and not tls:
        raise ConfigError(
            f"will not listen on {open_hosts[0]} without TLS",
            why="anybody on the network could read and write the memory",
            fix="Run mnemesh init, or give --tls-cert and --tls-key, or use --host 127.0.0.1",
        )
    if open_hosts and not material.has_api_key and material.allowlist is None:
        raise ConfigError(
            f"will not listen on {open_hosts[0]} without an API key or an allowlist",
            why="everybody on the network would be let in",
            fix="Give --mtls-allowlist FILE, or name a file in [admin] api_key_file",
        )
    if settings.quorum.peers and not tls:
        raise ConfigError(
            "--quorum-peers needs a certificate",
            why="members know each other by their certificates",
            fix="Run mnemesh init, or give --tls-cert and --tls-key",
        )
    return Listeners(
        main=main, tls=tls, agent=agent_address(settings), probe=probe_address(settings)
    )
