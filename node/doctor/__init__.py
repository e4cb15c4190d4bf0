"""What is wrong with a node, in words an operator can act on.

Law: findings are pure functions of facts; only `running`, `offline`, `asking` and the `_seen`
modules look at anything. One table names the sections and all that they can find, and one the
switches that weaken a node.
"""

from node.doctor.facts import Facts
from node.doctor.finding import Finding, Section, Severity, worst_of
from node.doctor.table import SECTIONS, Check, examine

__all__ = [
    "SECTIONS",
    "Check",
    "Facts",
    "Finding",
    "Section",
    "Severity",
    "examine",
    "worst_of",
]
