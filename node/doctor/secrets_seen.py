"""The modes of everything that is secret about a node.

Law: looks at names and modes, never into a file.
"""

from pathlib import Path

from node.doctor.facts import IdentityFacts, KeyFact
from node.settings import Material


def identity_of(material: Material, expires_ms: int | None) -> IdentityFacts:
    """The modes of everything that is secret."""
    secrets = (material.node_key, material.tls_key, material.api_key_file, material.client_key)
    files = tuple(dict.fromkeys(path for path in secrets if path is not None))
    keys = [KeyFact(path=str(path), mode=_mode(path)) for path in files]
    folder = material.node_key.parent
    keys.append(KeyFact(path=str(folder), mode=_mode(folder), folder=True))
    return IdentityFacts(keys=tuple(keys), certificate_expires_ms=expires_ms)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return None
