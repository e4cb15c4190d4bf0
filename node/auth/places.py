"""Where keys, peers and nonces of a node are written down.

Law: what an operator grants is in the key folder, what the node remembers by itself in the
data folder, beside the store and not inside it.
"""

from pathlib import Path

from node.paths import Paths


def keys_path(paths: Paths) -> Path:
    """The API keys that were given out, hashed (0600)."""
    return paths.key_dir / "api_keys.json"


def enrolments_path(paths: Paths) -> Path:
    """The REST peers that are enrolled (0600)."""
    return paths.key_dir / "enrolled_peers.json"


def nonces_path(paths: Paths) -> Path:
    """The environment that remembers nonces."""
    return paths.data_dir / "nonces"


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for their owner alone.

    Raises:
        OSError: the operating system says no.
    """
    if not folder.exists():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
