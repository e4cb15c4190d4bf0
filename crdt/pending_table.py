"""All operations that were ever held for approval, by record and by request.

Law: an operation shows when its own votes approve it and those of the others of its request
about the same record do too: a request is never shown half. What shows of a record is
answered without looking at any other record.
"""

from collections.abc import Mapping

from crdt.dot import Dot, NodeId, node_of
from crdt.pending import Pending
from crdt.view import NOTHING_APPROVED, Approved


class PendingTable:
    """Pending operations by dot.

    Args:
        loaded: what the store holds.
    """

    def __init__(self, loaded: Mapping[Dot, Pending]) -> None:
        self.ops: dict[Dot, Pending] = {}
        self._of_record: dict[bytes, list[Dot]] = {}
        self._followers: dict[Dot, list[Dot]] = {}
        self._unsealed: set[Dot] = set()
        for dot in sorted(loaded):
            self.put(dot, loaded[dot])

    def put(self, dot: Dot, pending: Pending) -> None:
        """Add one, or change what is known of one."""
        if pending.sealed:
            self._unsealed.discard(dot)
        elif dot not in self.ops:
            self._unsealed.add(dot)
        if dot not in self.ops:
            self._of_record.setdefault(pending.key, []).append(dot)
            if pending.leader is not None:
                self._followers.setdefault(pending.leader, []).append(dot)
        self.ops[dot] = pending

    def group(self, dot: Dot) -> list[Dot]:
        """The operations that are decided together with this one, itself among them."""
        held = self.ops.get(dot)
        leader = held.leader if held is not None and held.leader is not None else dot
        return [leader, *self._followers.get(leader, ())]

    def unsealed(self, node: NodeId) -> list[Dot]:
        """What a node asked for and has not sealed."""
        return sorted(dot for dot in self._unsealed if node_of(dot.actor) == node)

    def shown(self, dot: Dot) -> bool:
        """Whether a pending operation is approved, with all of its request."""
        if dot not in self.ops:
            return False
        return all(
            (held := self.ops.get(other)) is not None and held.approved()
            for other in self.group(dot)
        )

    def stamp(self, dot: Dot) -> int:
        """The stamp that orders a pending operation."""
        held = self.ops.get(dot)
        return held.stamp() if held else 0

    def approved(self, key: bytes) -> Approved:
        """What shows of a record although it was held, with its stamps."""
        dots = self._of_record.get(key)
        if dots is None:
            return NOTHING_APPROVED
        return Approved({dot: self.stamp(dot) for dot in dots if self.shown(dot)})
