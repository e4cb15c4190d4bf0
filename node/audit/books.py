"""What this node keeps of heads: those of others it countersigned, and who countersigned its own.

    <data dir>/audit/heads.json      newest head of each member; heads they contradicted
    <data dir>/audit/witnesses.json  newest countersignature of each member; those that the
                                     chain contradicts

Law: a book is a value on the disk, replaced in one step. What was signed is kept as it was
signed, so that anybody can check it later; a line that cannot be read is left out and counted.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from crdt.dot import NodeId
from node.audit.chain import Verify
from node.audit.heads import Head, HeadError, Witness, read_head, read_witness
from transport.secret_files import replace_file

HEADS: Final = "heads.json"
WITNESSES: Final = "witnesses.json"
DISPUTES_MAX: Final = 16


def _write(path: Path, newest: Mapping[NodeId, bytes], disputed: Iterable[bytes]) -> None:
    row = {
        "newest": {node.hex(): _text(data) for node, data in sorted(newest.items())},
        "disputed": [_text(data) for data in disputed],
    }
    replace_file(path, json.dumps(row, indent=1).encode("ascii") + b"\n")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _read(path: Path) -> tuple[list[bytes], list[bytes], int]:
    """(newest, disputed, lines that cannot be read)."""
    try:
        row: Any = json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return [], [], 0
    except (OSError, ValueError, RecursionError):
        return [], [], 1
    if not isinstance(row, dict) or not isinstance(row.get("newest"), dict):
        return [], [], 1
    disputed = row.get("disputed")
    newest, bad = _decoded(row["newest"].values())
    others, more = _decoded(disputed if isinstance(disputed, list) else [])
    return newest, others, bad + more


def _decoded(texts: Iterable[object]) -> tuple[list[bytes], int]:
    out, bad = [], 0
    for text in texts:
        try:
            out.append(base64.b64decode(str(text).encode("ascii"), validate=True))
        except ValueError:
            bad += 1
    return out, bad


@dataclass(slots=True)
class HeadBook:
    """Heads of other members that this node has countersigned.

    Attributes:
        newest: by node.
        disputed: heads that their node contradicted later.
        unread: lines of the file that could not be used.
    """

    newest: dict[NodeId, Head] = field(default_factory=dict)
    disputed: list[Head] = field(default_factory=list)
    unread: int = 0

    def dispute(self, head: Head) -> bool:
        """Keep a head as proof; whether it is a new one."""
        return _keep(self.disputed, head, [held.data for held in self.disputed])

    def save(self, folder: Path) -> None:
        """Put the book on the disk."""
        newest = {node: head.data for node, head in self.newest.items()}
        _write(folder / HEADS, newest, [head.data for head in self.disputed])


@dataclass(slots=True)
class WitnessBook:
    """Countersignatures under this node's own heads.

    Attributes:
        newest: by the member that gave it.
        disputed: countersignatures under heads that the chain does not hold.
        unread: lines of the file that could not be used.
    """

    newest: dict[NodeId, Witness] = field(default_factory=dict)
    disputed: list[Witness] = field(default_factory=list)
    unread: int = 0

    def take(self, witness: Witness) -> bool:
        """Keep a countersignature unless there is a newer one by the same member."""
        held = self.newest.get(witness.by)
        if held is not None and (held.head.seq, held.at) > (witness.head.seq, witness.at):
            return False
        self.newest[witness.by] = witness
        return True

    def dispute(self, witness: Witness) -> bool:
        """Keep one as proof; whether it is a new one."""
        return _keep(self.disputed, witness, [held.head.data for held in self.disputed])

    def save(self, folder: Path) -> None:
        """Put the book on the disk."""
        newest = {node: witness.data for node, witness in self.newest.items()}
        _write(folder / WITNESSES, newest, [witness.data for witness in self.disputed])


def _keep(held: list[Any], proof: Head | Witness, known: list[bytes]) -> bool:
    data = proof.data if isinstance(proof, Head) else proof.head.data
    if data in known or len(held) >= DISPUTES_MAX:
        return False
    held.append(proof)
    return True


def read_heads(folder: Path, verify: Verify) -> HeadBook:
    """The heads of others kept in a folder."""
    newest, disputed, unread = _read(folder / HEADS)
    book = HeadBook(unread=unread)
    for data in newest:
        try:
            head = read_head(data, verify)
        except HeadError:
            book.unread += 1
        else:
            book.newest[head.node_id] = head
    for data in disputed:
        try:
            book.disputed.append(read_head(data, verify))
        except HeadError:
            book.unread += 1
    return book


def read_witnesses(folder: Path, me: NodeId, verify: Verify) -> WitnessBook:
    """The countersignatures kept in a folder."""
    newest, disputed, unread = _read(folder / WITNESSES)
    book = WitnessBook(unread=unread)
    for data, disputes in [*((d, False) for d in newest), *((d, True) for d in disputed)]:
        try:
            witness = read_witness(data, verify)
        except HeadError:
            book.unread += 1
            continue
        if witness.head.node_id != me:
            book.unread += 1
        elif disputes:
            book.disputed.append(witness)
        else:
            book.newest[witness.by] = witness
    return book
