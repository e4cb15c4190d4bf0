"""What the demonstration was promised, and whether the promise was kept.

Law: only an answer that says so counts as acknowledged, and every one of them is looked for
on every node, by id and by the hash of its content. A judge who saw nothing acknowledged has
judged nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


def content_hash(memory: Mapping[str, Any]) -> str:
    """SHA-256 over title and content, the text that was promised to be kept."""
    text = f"{memory.get('title', '')}\0{memory.get('content', '')}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(slots=True)
class Ledger:
    """Promises, by id.

    Attributes:
        acknowledged: content hash that each confirmed memory must have.
        unconfirmed: ids of writes that a node kept and could not confirm; they may appear.
        retried: writes that were sent to a second node after the first one broke off.
    """

    acknowledged: dict[str, str] = field(default_factory=dict)
    unconfirmed: set[str] = field(default_factory=set)
    retried: int = 0

    def promise(self, ident: str, memory: Mapping[str, Any]) -> None:
        """A node confirmed this memory under this id."""
        self.acknowledged[ident] = content_hash(memory)
        self.unconfirmed.discard(ident)

    def doubt(self, ident: str) -> None:
        """A node kept a write and said that it could not confirm it."""
        if ident not in self.acknowledged:
            self.unconfirmed.add(ident)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found on the nodes.

    Attributes:
        lost: acknowledged memories that are missing or differ on at least one node.
        differing: ids that are not the same on all nodes, acknowledged or not.
        strangers: ids that nobody ever sent.
        memories: how many each node holds.
    """

    lost: tuple[str, ...]
    differing: tuple[str, ...]
    strangers: tuple[str, ...]
    memories: tuple[int, ...]

    @property
    def converged(self) -> bool:
        """Whether all nodes hold the same, and nothing that was never written."""
        return not self.differing and not self.strangers


def judge(ledger: Ledger, held: Sequence[Mapping[str, str]]) -> Verdict:
    """Compare what was promised with what the nodes hold.

    Args:
        ledger: what was promised.
        held: for each node, content hash by id.
    """
    every = set().union(*held)
    lost = tuple(
        sorted(
            ident
            for ident, wanted in ledger.acknowledged.items()
            if any(node.get(ident) != wanted for node in held)
        )
    )
    differing = tuple(
        sorted(ident for ident in every if len({node.get(ident) for node in held}) > 1)
    )
    strangers = tuple(sorted(every - ledger.acknowledged.keys() - ledger.unconfirmed))
    return Verdict(
        lost=lost,
        differing=differing,
        strangers=strangers,
        memories=tuple(len(node) for node in held),
    )
