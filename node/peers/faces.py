"""Which certificate each node last showed, and whom the allowlist named when this node stopped.

Law: a member is known by its key, an allowlist by certificates; only a live link shows which
belong together, so it is written down when it shows. The note helps people to read lists and
lets a change of the allowlist be told that was made while no node ran; nobody is let in by it.
"""

import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from node.facts import read_note, write_note
from transport.pins import is_pin

_NODE_IDS_MAX: Final = 1000
_DIGITS: Final = frozenset(string.hexdigits)
_HEX_CHARS: Final = 64


@dataclass(slots=True)
class Faces:
    """The note of one node.

    Attributes:
        path: of the note (0600), beside the store.
        allowed: pins on the allowlist when last looked at; None when never.
    """

    path: Path
    allowed: frozenset[str] | None = None
    _shown: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read what an earlier process wrote down."""
        data = read_note(self.path) or {}
        shown: Any = data.get("shown")
        if isinstance(shown, dict):
            self._shown = {n: f for n, f in shown.items() if _is_hash(n) and _is_hash(f)}
        allowed: Any = data.get("allowed")
        if isinstance(allowed, list):
            self.allowed = frozenset(pin for pin in allowed if is_pin(pin))

    def of(self, node_id: bytes) -> str:
        """The certificate's fingerprint (lowercase hex); empty when it never showed one."""
        return self._shown.get(node_id.hex(), "")

    def owner(self, fingerprint: str) -> str:
        """Hex id of the node that last showed a certificate; empty for none."""
        return next((n for n, shown in self._shown.items() if shown == fingerprint), "")

    def look(self, links: Iterable[tuple[bytes, str]], allowed: frozenset[str]) -> None:
        """Write down what is new.

        Args:
            links: node id and fingerprint of every live link.
            allowed: the pins on the allowlist now.
        """
        seen = {node.hex(): shown for node, shown in links if _is_hash(shown)}
        fresh = {node: shown for node, shown in seen.items() if self._shown.get(node) != shown}
        if not fresh and allowed == self.allowed:
            return
        # The latest last, so that a bounded note forgets the oldest.
        merged = {node: s for node, s in self._shown.items() if node not in fresh} | fresh
        self._shown = dict(list(merged.items())[-_NODE_IDS_MAX:])
        self.allowed = allowed
        write_note(self.path, {"shown": self._shown, "allowed": sorted(allowed)})


def _is_hash(text: object) -> bool:
    return isinstance(text, str) and len(text) == _HEX_CHARS and _DIGITS.issuperset(text)
