"""The sections of the doctor, in the order in which they are told, and what each can find.

Law: a section exists by its row here, and so does everything that it can find: the page of the
doctor is written from this table. A section is left out when what it looks at is not there; it
never fails because a neighbour did.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from node.doctor import document_sections as written
from node.doctor import exposure_sections as exposed
from node.doctor import governance_sections as governed
from node.doctor import machine_sections as machine
from node.doctor import mesh_sections as mesh
from node.doctor import node_sections as own
from node.doctor import peer_sections as others
from node.doctor import store_sections as kept
from node.doctor.facts import Facts
from node.doctor.finding import Finding, Kind, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One section.

    Attributes:
        name: as it is told.
        about: what it looks at, for people.
        look: what follows from the facts; nothing when there is nothing to look at.
        kinds: what it can find.
    """

    name: str
    about: str
    look: Callable[[Facts], list[Finding]]
    kinds: tuple[Kind, ...]


SECTIONS: Final = (
    Check(
        name="node",
        about="whether a process runs and serves, and how the one before it ended",
        look=own.node,
        kinds=own.NODE_KINDS,
    ),
    Check(
        name="config",
        about="whether the configuration could be used for a start, and is in force",
        look=own.config,
        kinds=own.CONFIG_KINDS,
    ),
    Check(
        name="identity",
        about="keys and who can read them, the certificate and how long it lasts",
        look=own.identity,
        kinds=own.IDENTITY_KINDS,
    ),
    Check(
        name="allowlist",
        about="whether those who belong may connect, and who else may",
        look=mesh.allowlist,
        kinds=mesh.ALLOWLIST_KINDS,
    ),
    Check(
        name="peers",
        about="each member both ways: link, clock, version, lag, content, settings, and what it "
        "says of this node",
        look=others.peers,
        kinds=others.KINDS,
    ),
    Check(
        name="quorum",
        about="whether writes can be confirmed, and how many members may still be lost",
        look=mesh.quorum,
        kinds=mesh.QUORUM_KINDS,
    ),
    Check(
        name="store",
        about="the store, its disk, the time of a commit, its address range",
        look=kept.store,
        kinds=kept.STORE_KINDS,
    ),
    Check(
        name="scrub",
        about="whether what is stored is whole, and read through often enough to know",
        look=kept.scrub,
        kinds=kept.SCRUB_KINDS,
    ),
    Check(
        name="backups",
        about="whether there is a backup, and how old it is",
        look=kept.backups,
        kinds=kept.BACKUP_KINDS,
    ),
    Check(
        name="host",
        about="what the system lets the process have",
        look=machine.host,
        kinds=machine.HOST_KINDS,
    ),
    Check(
        name="time",
        about="whether the clock is right, and stays so",
        look=machine.clock,
        kinds=machine.TIME_KINDS,
    ),
    Check(
        name="governance",
        about="whether policies are obeyed, can be met, and who may set them",
        look=governed.governance,
        kinds=governed.GOVERNANCE_KINDS,
    ),
    Check(
        name="pending",
        about="whether what waits for approval is decided",
        look=governed.pending,
        kinds=governed.PENDING_KINDS,
    ),
    Check(
        name="exposure",
        about="who can reach the node, and what they have to show",
        look=exposed.exposure,
        kinds=exposed.EXPOSURE_KINDS,
    ),
    Check(
        name="foreign",
        about="peers of other meshes; left out where there are none",
        look=exposed.foreign,
        kinds=exposed.FOREIGN_KINDS,
    ),
    Check(
        name="hooks",
        about="hooks that may refuse; left out where nothing is wrong with them",
        look=exposed.hooks,
        kinds=exposed.HOOK_KINDS,
    ),
    Check(
        name="documents",
        about="documents that a part of is not shown, that are nearly full, or that not all "
        "members can read; left out where there are none",
        look=written.documents,
        kinds=written.KINDS,
    ),
    Check(
        name="audit",
        about="whether the chain of events holds, and others could tell if its end were cut off",
        look=governed.audit,
        kinds=governed.AUDIT_KINDS,
    ),
)


def examine(facts: Facts) -> list[Section]:
    """Look at everything there is to look at."""
    sections = []
    for check in SECTIONS:
        findings = check.look(facts)
        if findings:
            sections.append(Section(name=check.name, findings=tuple(findings)))
    return sections
