"""What the node says while it runs: one line per event, from one table of events.

Law: every line is an event of `EVENTS` with plain facts beside it. There is no content of a
memory and no secret in a line, and no sentence that a script would have to parse. An event
name that is not in the table, or a field that could carry content, is a programmer's error.
"""

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

from node.log_file import LogFile
from node.log_output import LEVELS, LibraryHandler, Output
from node.settings.sections import Logging

# name -> (level, what it means)
EVENTS: Final[Mapping[str, tuple[str, str]]] = {
    # life of the process
    "node_starting": ("info", "settings are read, nothing is open yet"),
    "node_started": ("info", "listeners are open; says version, node, listeners, N, W, store"),
    "node_draining": ("info", "a shutdown began; no new writes"),
    "node_stopped": ("info", "everything is closed; says the exit code"),
    "node_failed": ("error", "the process ends with an error"),
    "setting_warning": ("warning", "a setting looks wrong but prevents nothing"),
    "settings_reloaded": ("info", "SIGHUP was obeyed; says what changed"),
    "settings_refused": ("error", "SIGHUP found a configuration that cannot be used"),
    "switch_weakened": ("warning", "a setting that protects is off, to stage a rollout"),
    "mode_announced": ("info", "the mesh knows the permissions.mode of this node"),
    "mode_refused": ("warning", "the mesh refused the permissions.mode; this node enforces"),
    "identity_made": ("warning", "a node without init made its signing key"),
    "faults_armed": ("critical", "this node fails by order: a test build, never a service"),
    "fault_fired": ("warning", "a fault was ordered for this place, and comes now"),
    "fault_order_wrong": ("warning", "what lies in the faults folder can never be carried out"),
    "library_message": ("warning", "a library complained; only its kind is shown"),
    "log_file_failed": ("warning", "the log file cannot be written; its lines are lost"),
    "log_file_resumed": ("warning", "the log file is written again; says how many lines it lacks"),
    # store
    "store_opened": ("info", "the store is open and its digest is known"),
    "store_saved": ("info", "a store is about to be migrated; a sound copy lies beside it"),
    "store_migrated": ("info", "one step of a migration is on the disk"),
    "store_proven": ("info", "a migrated store was read as a whole, and may be used"),
    "incoming_dropped": ("info", "what an older program had received of a peer's store is gone"),
    "store_grown": ("info", "the map was too small and is larger now"),
    "store_full": ("error", "the disk is full; writes are refused until there is room"),
    "store_resumed": ("info", "there is room again"),
    "store_failed": ("critical", "the disk reported an error; nothing is acknowledged any more"),
    "store_set_aside": ("warning", "a store was moved aside and another one takes its place"),
    "store_swapped": ("info", "a joined store is in place under a new store id"),
    "store_restored": ("warning", "the store came from a backup; no writes until it has pulled"),
    "store_recovered": ("info", "a restored store has what its mesh has; says how that is known"),
    "store_rewritten": ("info", "the file is written anew, without what was erased before"),
    "store_rewrite_failed": ("warning", "the file stays as it was and is rewritten later"),
    "record_corrupt": ("critical", "a stored value does not match its checksum"),
    "scrub_started": ("info", "a pass over the store begins, or goes on after a restart"),
    "scrub_passed": ("info", "the whole store was read; says how many rows, and how many damaged"),
    "store_repaired": ("warning", "damaged rows were made whole; says how many with a peer's help"),
    "records_quarantined": ("critical", "damaged records are not served until they are whole"),
    "life_restarted": ("warning", "damage was met while applying; the node begins anew over it"),
    "store_unaided": (
        "critical",
        "the store is damaged and no peer is in reach: it was left alone",
    ),
    "log_truncated": ("info", "log that all members hold, or beyond the limits, is gone"),
    "maintenance_failed": ("warning", "a round of maintenance failed and will be tried again"),
    # recall
    "index_rebuilding": ("info", "the index is made anew, beside the one in force"),
    "index_rebuilt": ("info", "a new index is in force; the files of the old one are gone"),
    "index_damaged": ("warning", "the index could not be opened; it is made anew"),
    "embeddings_failed": ("warning", "no vectors could be made; recall goes on with words"),
    "index_failed": ("warning", "the index could not follow the store; it is tried again"),
    # audit
    "audit_chain_recovered": ("warning", "an incomplete last entry of the chain was cut"),
    "audit_chain_broken": ("critical", "entries of the chain do not hold; see mnemesh verify"),
    "audit_rollback": ("critical", "a node shows less than, or other than, it had countersigned"),
    "audit_head_refused": ("warning", "what a peer said about a chain is not genuine"),
    "audit_stalled": ("error", "the disk is full; entries of the chain wait for room"),
    "audit_mirror_failed": ("warning", "the copy of the chain cannot be written; lines wait"),
    # peers
    "peer_connected": ("info", "a link is up and both sides have proven who they are"),
    "peer_disconnected": ("info", "a link ended; says why"),
    "peer_unreachable": ("warning", "dialling failed 3, 6, 12 ... times in a row"),
    "peer_refused": ("warning", "a peer was turned away; says why"),
    "peer_skewed": ("warning", "the clock of a peer is too far ahead"),
    "peer_slow": ("warning", "the queue of a peer overflowed; it falls back to catch-up"),
    "peer_incompatible": ("warning", "a peer speaks another protocol or belongs to another mesh"),
    "peer_bundle_refused": ("warning", "a bad bundle: its actor waits on that link; `more` untold"),
    "handshake_failed": ("debug", "a TLS handshake failed; says why"),
    "twin_detected": ("critical", "two live processes answer under one node id"),
    "self_in_peers": ("warning", "one of the peer addresses leads to this node itself"),
    "allowlist_loaded": ("info", "the allowlist was read; says how many may connect"),
    "certificate_expires": ("warning", "a certificate ends in less than 30 days; told daily"),
    "certificate_expired": ("error", "a certificate has ended: its node is let in nowhere"),
    "allowlist_refused": ("error", "the allowlist cannot be read; the old one stays in force"),
    # replication
    "catchup_started": ("info", "the node is behind and asks one peer"),
    "catchup_finished": ("info", "the node is level; says how much came"),
    "catchup_failed": ("warning", "a catch-up session ended early; another source is asked"),
    "snapshot_started": ("info", "the log does not reach back far enough; a snapshot begins"),
    "snapshot_failed": ("warning", "a snapshot ended early; it resumes"),
    "snapshot_compared": ("info", "another member was asked about a snapshot; says its word"),
    "snapshot_unconfirmed": ("warning", "a snapshot is believed that nobody else could confirm"),
    "snapshot_unclaimed": ("error", "a snapshot was thrown away: nobody else claims as much"),
    "snapshot_refused": ("critical", "a snapshot was refused: it is not what the others hold"),
    "snapshot_disputed": ("critical", "one member says of a snapshot what two others deny"),
    "snapshot_passed_over": ("warning", "no snapshot is taken of a member; one was refused before"),
    "digest_mismatch": ("critical", "equal clocks with unequal digests; the pair stops"),
    "equivocation_found": ("critical", "two signed bundles claim one place in one log"),
    "clock_skewed": ("warning", "the local clock is off; nothing is minted until it is right"),
    "clock_jump_refused": (
        "warning",
        "the clock of the machine jumped away from the others; the node goes on by the old time",
    ),
    "clock_jump_followed": ("info", "the clock of the machine jumped, and the node follows"),
    "clock_recovered": ("info", "the local clock is right again"),
    "gate_refused": ("info", "the gate refused a change; says the code and the agent"),
    "quorum_lost": ("warning", "too few members are connected; writes answer 503"),
    "quorum_regained": ("info", "enough members are connected again"),
    # membership
    "mesh_founded": ("info", "this node founded a mesh; says name and members"),
    "mesh_joined": ("info", "this node belongs to a mesh now"),
    "member_introduced": ("info", "the certificate of an allowlisted newcomer is known"),
    "member_added": ("info", "a node was added to the membership"),
    "member_ready": ("info", "a member has caught up and counts in the quorum"),
    "member_removed": ("info", "a node was taken out of the membership"),
    "join_refused": ("warning", "a newcomer was turned away; says why"),
    # other meshes
    "foreign_peer_added": ("info", "this node exchanges with a foreign peer from now on"),
    "foreign_peer_dropped": ("info", "an exchange with a foreign peer was withdrawn"),
    "foreign_peer_level": ("info", "a foreign peer was reached and has what it is owed"),
    "foreign_peer_failed": ("warning", "rounds with a foreign peer failed 1, 3, 6, 12 ... times"),
    "foreign_peer_is_member": ("critical", "a foreign peer belongs to this mesh; it is stopped"),
    "foreign_items_untaken": ("warning", "items of an exchange were not taken; says why"),
    # events
    "webhook_failed": ("warning", "deliveries of a subscription failed 3, 6, 9 ... times in a row"),
    "webhook_given_up": ("error", "an event was not delivered in time and is left out"),
    "hook_refused": ("info", "a hook refused a request; says which hook"),
    "hook_failed": ("warning", "a hook gave no answer; says whether the request passed"),
    "hook_events_lost": ("warning", "a hook is slower than what it is told of; events are lost"),
    # agents
    "auth_rejected": ("warning", "a request without a valid key or certificate"),
    "auth_file_loaded": ("info", "keys or enrolled peers changed; says which file"),
    "auth_file_refused": ("error", "keys or enrolled peers cannot be read; the old ones stay"),
    "request_failed": ("error", "a request ended in an unexpected error"),
    "request_served": ("info", "a request was answered; `[logging] requests` asks for this line"),
    "request_slow": ("debug", "a request took longer than expected"),
}

# Names under which content or secrets would travel.
_FORBIDDEN: Final = frozenset(
    {"content", "title", "body", "metadata", "tags", "api_key", "token", "secret", "password"}
)


Tap = Callable[[str, Mapping[str, object]], None]
"""Hears of an event and its facts."""


class UnknownEventError(AssertionError):
    """The code logs something that is not in the table."""


def check_event(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Processor: only known events, only harmless fields.

    Raises:
        UnknownEventError: otherwise.
    """
    name = event.get("event")
    if name not in EVENTS:
        raise UnknownEventError(f"{name!r} is not in the table of events")
    leaks = _FORBIDDEN.intersection(event)
    if leaks:
        raise UnknownEventError(f"{name}: the field {min(leaks)} could carry content or a secret")
    return event


class EventLog:
    """Writes events; the one object other parts hold.

    Args:
        logger: a structlog logger, bound or not.
        output: what it writes to.
        taps: who hears of every event, whatever the level; called on the thread that logs.
    """

    def __init__(self, logger: Any, output: Output, taps: "list[Tap] | None" = None) -> None:
        self._logger = logger
        self._output = output
        self.taps: list[Tap] = [] if taps is None else taps

    def __call__(self, event: str, **facts: object) -> None:
        """Write one event at the level of the table.

        Raises:
            UnknownEventError: the event is not in the table.
        """
        if event not in EVENTS:
            raise UnknownEventError(f"{event!r} is not in the table of events")
        for tap in self.taps:
            tap(event, facts)
        level = LEVELS[EVENTS[event][0]]
        if level >= self._output.level:
            self._logger.log(level, event, **facts)

    def bind(self, **facts: object) -> "EventLog":
        """The same log with facts that go into every line."""
        return EventLog(self._logger.bind(**facts), self._output, self.taps)

    def set_level(self, level: str) -> None:
        """Write what is as severe as this, or more, from now on; bound logs too."""
        self._output.level = LEVELS[level]

    def reopen(self) -> None:
        """Go on in the file that lies at its path now: another program may have moved it."""
        self._output.reopen()

    def tend(self) -> None:
        """Let lines of the file go that are too old; meant for every few seconds."""
        self._output.tend()

    @property
    def lost_lines(self) -> int:
        """Lines that the log file lacks, since the process began."""
        return self._output.lost_lines

    def close(self) -> None:
        """Close the log file, if there is one."""
        self._output.close()


def make_log(settings: Logging, stream: TextIO | None = None) -> EventLog:
    """Set the log up for this process.

    Args:
        settings: level, format and file.
        stream: where lines go, stderr when not given; never stdout, which belongs to answers.
    """
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    pretty = settings.format == "pretty" or (settings.format == "auto" and terminal)
    output = Output(
        stream,
        pretty=structlog.dev.ConsoleRenderer(colors=terminal) if pretty else None,
        file=_file_of(settings),
        pretty_file=None if settings.structured else structlog.dev.ConsoleRenderer(colors=False),
        level=LEVELS[settings.level],
    )
    logger = structlog.wrap_logger(
        output,
        processors=[
            check_event,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
    )
    log = output.tell = EventLog(logger, output)
    root = logging.getLogger()
    for handler in [old for old in root.handlers if isinstance(old, LibraryHandler)]:
        root.removeHandler(handler)
    root.addHandler(LibraryHandler(log))
    return log


def _file_of(settings: Logging) -> LogFile | None:
    if settings.path is None:
        return None
    return LogFile(
        settings.path,
        rotate_bytes=settings.rotate_bytes,
        retention_days=settings.retention_days,
        files_kept_max=settings.files_kept_max,
    )
