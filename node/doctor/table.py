"""The sections of the doctor, in the order in which they are told.

Law: a section exists by its row here. It is left out when what it looks at is not there; it
never fails because a neighbour did.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from node.doctor import governance_sections as governed
from node.doctor import mesh_sections as mesh
from node.doctor import node_sections as machine
from node.doctor.facts import Facts
from node.doctor.finding import Finding, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One section.

    Attributes:
        name: as it is told.
        look: what follows from the facts; nothing when there is nothing to look at.
    """

    name: str
    look: Callable[[Facts], list[Finding]]


SECTIONS: Final = (
    Check(name="node", look=machine.node),
    Check(name="config", look=machine.config),
    Check(name="identity", look=machine.identity),
    Check(name="allowlist", look=mesh.allowlist),
    Check(name="peers", look=mesh.peers),
    Check(name="quorum", look=mesh.quorum),
    Check(name="store", look=machine.store),
    Check(name="governance", look=governed.governance),
    Check(name="pending", look=governed.pending),
    Check(name="exposure", look=machine.exposure),
    Check(name="audit", look=governed.audit),
)


def examine(facts: Facts) -> list[Section]:
    """Look at everything there is to look at."""
    sections = []
    for check in SECTIONS:
        findings = check.look(facts)
        if findings:
            sections.append(Section(name=check.name, findings=tuple(findings)))
    return sections
