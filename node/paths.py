"""Where a node keeps its things.

Law: `--data-dir D` alone names a whole node: its keys are in `D/keys`, its configuration in
`D/config.toml`. Without it the folders of the platform are used (XDG Base Directory
Specification). Nothing here creates, reads or checks a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Absolute places of one node.

    Attributes:
        data_dir: the store, the lock and the facts of the running node.
        key_dir: keys, certificate and allowlist; mode 0700.
        config: the TOML file.
    """

    data_dir: Path
    key_dir: Path
    config: Path

    @property
    def lock(self) -> Path:
        """Locked for as long as a node process lives."""
        return self.data_dir / "lock"

    @property
    def facts(self) -> Path:
        """What the running node says about its listeners (0600)."""
        return self.data_dir / "listener.json"

    @property
    def last_exit(self) -> Path:
        """How the last process ended; absent after a kill."""
        return self.data_dir / "last_exit.json"

    @property
    def log(self) -> Path:
        """Output of a detached node."""
        return self.data_dir / "node.log"

    @property
    def join(self) -> Path:
        """Answer of the sponsor, waiting for the next start (0600)."""
        return self.data_dir / "join.json"

    @property
    def current(self) -> Path:
        """Names the live store; absent before the first start."""
        return self.data_dir / "CURRENT"

    @property
    def node_key(self) -> Path:
        """Ed25519 key that signs bundles."""
        return self.key_dir / "node.key"

    @property
    def tls_cert(self) -> Path:
        """Own certificate."""
        return self.key_dir / "tls.crt"

    @property
    def tls_key(self) -> Path:
        """Private key of the own certificate."""
        return self.key_dir / "tls.key"

    @property
    def api_key(self) -> Path:
        """Key that agents present."""
        return self.key_dir / "api_key"

    @property
    def allowlist(self) -> Path:
        """Fingerprints that may connect."""
        return self.key_dir / "allowlist"

    @property
    def peers(self) -> Path:
        """Certificates of allowed peers, `<fingerprint>.pem`."""
        return self.key_dir / "peers"


def resolve_paths(
    environ: Mapping[str, str],
    home: Path,
    *,
    data_dir: Path | None = None,
    key_dir: Path | None = None,
    config: Path | None = None,
) -> Paths:
    """Find the places of a node: argument, else environment, else platform folder.

    Args:
        environ: the process environment.
        home: home folder of the user.
        data_dir: value of `--data-dir`.
        key_dir: value of `--key-dir`.
        config: value of `--config`.
    """
    data_dir = data_dir or _from(environ, "MNEMESH_DATA_DIR")
    key_dir = key_dir or _from(environ, "MNEMESH_KEY_DIR")
    config = config or _from(environ, "MNEMESH_CONFIG")
    if data_dir is None:
        data_home = _from(environ, "XDG_DATA_HOME") or home / ".local" / "share"
        config_home = _from(environ, "XDG_CONFIG_HOME") or home / ".config"
        data_dir = data_home / "mnemesh"
        config = config or config_home / "mnemesh" / "config.toml"
        key_dir = key_dir or config.parent / "keys"
    return Paths(
        data_dir=data_dir.expanduser().absolute(),
        key_dir=(key_dir or data_dir / "keys").expanduser().absolute(),
        config=(config or data_dir / "config.toml").expanduser().absolute(),
    )


def _from(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name, "")
    return Path(value) if value else None


Stamp = tuple[int, int, int] | None
"""Time of change, size and number of a file; None while there is none."""


def stamp_of(path: Path) -> Stamp:
    """What tells that a file was rewritten or replaced, without reading it."""
    try:
        held = path.stat()
    except OSError:
        return None
    return held.st_mtime_ns, held.st_size, held.st_ino
