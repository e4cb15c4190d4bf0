"""Two notes that a node leaves in its data directory for the command line.

Law: `listener.json` (0600) is written by a running node and says how to reach it; it is
believed only while the directory lock is held. `last_exit.json` says how the last process
ended; after a kill it is missing or older than the start. Both are replaced in one step.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from transport.secret_files import replace_file


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerFacts:
    """How to reach a running node.

    Attributes:
        pid: process that holds the store.
        node_id: lowercase hex.
        name: what people call it.
        cluster: name of the mesh, empty before it has one.
        agent_url: where agents talk: plain loopback HTTP, else the TLS listener.
        peer_url: the mTLS listener, empty without TLS.
        fingerprint: SHA-256 of the served certificate, lowercase hex, empty without TLS.
        api_key_file: path of the key that agents present, empty without one.
        key_dir: folder of the keys.
        allowlist: path of the allowlist in force, empty without one.
        config: path of the configuration file.
        argv: command line that starts this node again.
        started_at: milliseconds since the epoch.
        client_cert: certificate the command line shows where no API key is configured.
        client_key: its private key.
    """

    pid: int
    node_id: str
    name: str
    cluster: str
    agent_url: str
    peer_url: str
    fingerprint: str
    api_key_file: str
    key_dir: str
    allowlist: str
    config: str
    argv: tuple[str, ...]
    started_at: int
    client_cert: str = ""
    client_key: str = ""

    def write(self, path: Path) -> None:
        """Put the note in place, readable by the owner alone."""
        write_note(path, asdict(self))

    @classmethod
    def show(cls, path: Path, fingerprint: str) -> None:
        """Note that this process shows another certificate from now on."""
        noted = cls.read(path)
        if noted is not None and noted.pid == os.getpid() and noted.fingerprint != fingerprint:
            replace(noted, fingerprint=fingerprint).write(path)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The note, or None when there is none that can be read."""
        data = read_note(path)
        if data is None:
            return None
        data["argv"] = tuple(data.get("argv", ()))
        known = {item.name for item in fields(cls)}
        try:
            return cls(**{key: value for key, value in data.items() if key in known})
        except TypeError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastExit:
    """How the last process on a data directory ended.

    Attributes:
        code: exit code.
        at_ms: when, milliseconds since the epoch.
        what: the error in words, empty after a clean stop.
    """

    code: int
    at_ms: int
    what: str = ""

    def write(self, path: Path) -> None:
        """Put the note in place."""
        write_note(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The note, or None when there is none that can be read."""
        data = read_note(path)
        try:
            return None if data is None else cls(**data)
        except TypeError:
            return None


def write_note(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON with mode 0600 in one step, flushed to the disk."""
    replace_file(path, json.dumps(data, indent=1).encode())


def read_note(path: Path) -> dict[str, Any] | None:
    """Read such a note; None when it is absent or torn."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
