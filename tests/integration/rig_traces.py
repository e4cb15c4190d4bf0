"""Looking for words in everything that nodes keep on their disks.

Law: every byte of every file is looked at, whatever the file is; what a running node has
mapped or buffered is on its disk as far as any other process can see.
"""

from pathlib import Path
from typing import Any

from tests.integration.rig import RealNode, until


def traces(node: RealNode, words: str) -> list[str]:
    """Files of a node, its log among them, that hold the words."""
    needle = words.encode()
    found = [path for path in [*node.data_dir.rglob("*"), node.log] if path.is_file()]
    return [str(path.relative_to(node.data_dir.parent)) for path in found if needle in _read(path)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""  # it went while the folder was listed


def erasure(node: RealNode) -> dict[str, Any]:
    """How far the node says it is."""
    body: dict[str, Any] = node.tell("GET", "/erasure")
    return body


def until_clear(nodes: list[RealNode]) -> None:
    """Wait until the first of them knows that all logs are clear."""

    def clear() -> bool:
        told = erasure(nodes[0])
        return bool(told["covered"] and told["log_clear"])

    until(clear, "all logs are clear", seen=lambda: erasure(nodes[0]))


def until_gone(nodes: list[RealNode]) -> None:
    """Wait until the first of them knows that nothing is left anywhere."""
    until(lambda: erasure(nodes[0])["gone"], "gone", seen=lambda: erasure(nodes[0]))
