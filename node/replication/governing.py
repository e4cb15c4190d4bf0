"""Governance and what waits for approval, as this node has applied them.

Law: reads only, and only what is applied; nothing here waits.
"""

from collections.abc import Mapping, Sequence

from crdt.dot import Dot
from crdt.fields import REVISION
from crdt.governance_state import GovernanceState
from crdt.op import Value
from crdt.pending import Pending
from node.replication.engine import Engine


class StoreGoverning:
    """Implements `node.contracts.Governing` over an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def state(self) -> GovernanceState:
        """Members, policies, agents, roles and keys as this node has applied them."""
        return self._engine.replica.governance.now

    def pendings(self) -> Mapping[Dot, Pending]:
        """Every pending operation known, decided ones too."""
        return self._engine.replica.pending

    def together(self, pending: Dot) -> Sequence[Dot]:
        """The pending operations that are decided with one, the first of them first."""
        return self._engine.replica.held.group(pending)

    def shown(self, pending: Dot) -> bool:
        """Whether a pending operation is approved, with all of its request."""
        return self._engine.replica.shown(pending)

    def payload(self, pending: Dot) -> dict[str, Value]:
        """The fields that a pending operation writes, as far as they are still kept."""
        replica = self._engine.replica
        held = replica.pending.get(pending)
        record = replica.read(held.key) if held is not None else None
        if record is None:
            return {}
        return {
            name: versions[pending].value
            for name, versions in record.fields.items()
            if pending in versions and name != REVISION
        }
