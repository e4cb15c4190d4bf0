"""The rows of the table of events that no operation in the log stands for.

Law: each goes to the hooks of this node alone. A row of `BEFORE` is asked before anything is
minted, and may be refused; a row of `LIFE` is told of afterwards, with the line of the log that
it names where there is one.
"""

from collections.abc import Sequence
from typing import Final

from node.events.event_name import EventName, Road

BEFORE_WRITE: Final = "before_write"
BEFORE_IMPORT: Final = "before_import"
BEFORE_DECISION: Final = "before_decision"
BEFORE_RECALL: Final = "before_recall"
BEFORE_SEARCH: Final = "before_search"
BEFORE_MEMBER_ADD: Final = "before_member_add"
BEFORE_MEMBER_REMOVE: Final = "before_member_remove"
RECALLED: Final = "memory_recalled"
SEARCHED: Final = "memory_searched"
IMPORTED: Final = "import_finished"
QUORUM_NOT_MET: Final = "quorum_not_met"
CERTIFICATE_ROTATED: Final = "certificate_rotated"
BACKUP_DONE: Final = "backup_done"
BACKUP_FAILED: Final = "backup_failed"
RESTORED: Final = "restore_done"
_BEFORE: Final = "before_"
_AFTER: Final = "after_"


def _asked(name: str, meaning: str, *asks: str) -> EventName:
    return EventName(name=_BEFORE + name, meaning=meaning, road=Road.HOOKS, asks=asks)


def _life(name: str, meaning: str, *, logged: str = "", also: tuple[str, ...] = ()) -> EventName:
    return EventName(name=name, meaning=meaning, road=Road.HOOKS, logged=logged, also=also)


BEFORE: Final[Sequence[EventName]] = (
    _asked("write", "anything is about to be written, of whatever kind"),
    _asked(
        "store",
        "a memory is about to be made, by whatever road",
        *("memory_store", "memory_consolidated", "entity_created"),
    ),
    _asked("update", "a memory is about to be changed", "memory_update", "entity_updated"),
    _asked("delete", "a memory is about to be deleted", "memory_delete"),
    _asked("forget", "a memory is about to be erased for good", "memory_erased"),
    _asked("promote", "a memory is about to be kept for longer", "memory_promote"),
    _asked("move", "a memory is about to change its namespace", "memory_moved"),
    _asked("archive", "a memory is about to go to the archive", "memory_archived"),
    _asked("restore", "a memory is about to come back from the archive", "memory_restored"),
    _asked("consolidate", "several memories are about to become one", "memory_consolidated"),
    _asked("import", "exported memories are about to be taken in", IMPORTED),
    _asked(
        "entity", "an entity is about to be named or changed", "entity_created", "entity_updated"
    ),
    _asked(
        "link",
        "a link is about to be made or changed",
        *("memory_link_created", "memory_link_updated", "memory_link_invalidated"),
    ),
    _asked("unlink", "a link is about to be taken back", "memory_link_deleted"),
    _asked("message", "a message is about to be sent", "message_received"),
    _asked(
        "decision",
        "somebody is about to vote on an action",
        "approval_granted",
        "approval_rejected",
    ),
    _asked("policy_set", "rules are about to change", "policy_set", "policy_cleared"),
    _asked("agent_register", "an agent is about to be registered", "agent_registered"),
    _asked("role_grant", "a role is about to be given or taken", "role_granted"),
    _asked("member_add", "a node is about to become a member", "member_added"),
    _asked("member_remove", "a node is about to be taken out", "member_removed"),
    _asked("recall", "somebody is about to recall", RECALLED),
    _asked("search", "somebody is about to search", SEARCHED),
)

LIFE: Final[Sequence[EventName]] = (
    _life(RECALLED, "memories were recalled here"),
    _life(SEARCHED, "memories were searched here"),
    _life(IMPORTED, "exported memories were taken in here"),
    _life(QUORUM_NOT_MET, "a write is stored here and not on enough members"),
    _life("quorum_lost", "too few members are connected", logged="quorum_lost"),
    _life("quorum_regained", "enough members are connected again", logged="quorum_regained"),
    _life("write_refused", "the gate refused a change", logged="gate_refused"),
    _life("node_started", "the node serves", logged="node_started"),
    _life("node_stopping", "the node shuts down", logged="node_draining"),
    _life("settings_reloaded", "other settings are in force", logged="settings_reloaded"),
    _life("settings_refused", "a reload found settings of no use", logged="settings_refused"),
    _life("peer_connected", "a link to a member is up", logged="peer_connected"),
    _life("peer_disconnected", "a link to a member ended", logged="peer_disconnected"),
    _life("peer_unreachable", "a member was dialled in vain", logged="peer_unreachable"),
    _life("peer_refused", "a peer was turned away", logged="peer_refused"),
    _life("mesh_founded", "this node founded a mesh", logged="mesh_founded"),
    _life("mesh_joined", "this node belongs to a mesh now", logged="mesh_joined"),
    _life("join_refused", "a newcomer was turned away", logged="join_refused"),
    _life("catchup_finished", "the node is level again", logged="catchup_finished"),
    _life("snapshot_joined", "the state of the mesh came as a whole", logged="store_swapped"),
    _life("digest_disagreed", "two nodes hold different states", logged="digest_mismatch"),
    _life("store_set_aside", "a store was moved aside", logged="store_set_aside"),
    _life("store_full", "the disk is full", logged="store_full"),
    _life("store_resumed", "there is room on the disk again", logged="store_resumed"),
    _life("scrub_damage", "a stored value is damaged", logged="record_corrupt"),
    _life(CERTIFICATE_ROTATED, "another certificate is served"),
    _life("clock_skewed", "the clock is off; nothing is written", logged="clock_skewed"),
    _life("clock_recovered", "the clock is right again", logged="clock_recovered"),
    _life("twin_detected", "two processes answer under one node id", logged="twin_detected"),
    _life("equivocation_found", "a node signed two histories", logged="equivocation_found"),
    _life("audit_broken", "the chain of events does not hold", logged="audit_chain_broken"),
    _life("webhook_given_up", "an event was not delivered in time", logged="webhook_given_up"),
    _life("foreign_peer_failed", "a foreign peer cannot be reached", logged="foreign_peer_failed"),
    _life(BACKUP_DONE, "a backup succeeded"),
    _life(BACKUP_FAILED, "a backup failed"),
    _life(RESTORED, "a backup was put in the place of the store"),
)
