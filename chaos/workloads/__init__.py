"""Clients that write histories while the mesh around them is broken.

Law: a workload does what agents do, through the interface that agents have, and believes nothing:
what it was told goes into the history and is judged by `chaos.check`. Nine of them, by name; a
new one is the last, so that the seed of an old cycle mostly plays what it played.
"""

from collections.abc import Callable, Mapping
from typing import Final

from chaos.stage import Workload
from chaos.workloads.causal import CausalWorkload
from chaos.workloads.counter import CounterWorkload
from chaos.workloads.delete import DeleteWorkload
from chaos.workloads.document import DocumentWorkload
from chaos.workloads.governance import GovernanceWorkload
from chaos.workloads.idempotence import IdempotenceWorkload
from chaos.workloads.register import RegisterWorkload
from chaos.workloads.session import SessionWorkload
from chaos.workloads.set import SetWorkload

WORKLOADS: Final[Mapping[str, Callable[[], Workload]]] = {
    "set": SetWorkload,
    "register": RegisterWorkload,
    "counter": CounterWorkload,
    "delete": DeleteWorkload,
    "governance": GovernanceWorkload,
    "causal": CausalWorkload,
    "session": SessionWorkload,
    "idempotence": IdempotenceWorkload,
    "document": DocumentWorkload,
}
