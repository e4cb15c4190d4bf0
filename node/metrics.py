"""The one table of metrics, and the page that Prometheus reads.

Law: a metric exists by its row here: prefix `mnemesh_`, base units, and no label that names
an agent, a memory or a namespace. Every row shows its TYPE line before its first event.
Children are cached, so that the hot path pays one dictionary look-up; the page is rendered
from any thread.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics import disable_created_metrics
from prometheus_client.process_collector import ProcessCollector

from node import __version__
from node.metrics_page import Page
from transport.refusals import Refusal

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_FAST: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One row: what is measured and how it is split."""

    name: str
    kind: type[Counter] | type[Gauge] | type[Histogram]
    help: str
    labels: tuple[str, ...] = ()


def _rows(
    kind: type[Counter] | type[Gauge] | type[Histogram],
    rows: Mapping[str, tuple[str, tuple[str, ...]]],
) -> tuple[Metric, ...]:
    return tuple(
        Metric(name="mnemesh_" + name, kind=kind, help=text, labels=labels)
        for name, (text, labels) in rows.items()
    )


_COUNTERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "memory_writes_total": ("Memories created, updated or deleted by agents here.", ()),
    "memory_reads_total": ("Memories read by agents here.", ()),
    "writes_shed_total": ("Writes refused because too much waited.", ("reason",)),
    "quorum_writes_total": ("Writes by how their quorum ended.", ("outcome",)),
    "sync_ops_total": ("Operations exchanged with peers.", ("peer", "direction")),
    "ops_applied_total": ("Operations by what applying them gave.", ("outcome",)),
    "governance_decisions_total": ("Verdicts of the gate.", ("effect", "action")),
    "gate_refused_total": ("Changes that the gate refused.", ("code",)),
    "auth_rejected_total": ("Requests without a valid key or certificate.", ("reason",)),
    "handshake_failures_total": ("TLS handshakes that failed.", ("reason",)),
    "frames_rejected_total": ("Frames or messages of peers that were refused.", ("reason",)),
    "equivocations_total": ("Proofs that a node signed two bundles for one place.", ()),
    "store_changes_total": ("Times peers gave this node a new store, or filled a lost one.", ()),
    "store_fsync_errors_total": ("Disk errors at a commit.", ()),
    "store_rewrites_total": ("Rewrites of the file of the store.", ("outcome",)),
    "store_commits_total": ("Commits of the store.", ()),
    "audit_entries_total": ("Entries of the audit chain.", ("event",)),
    "audit_dropped_total": ("Events that found no room on their way to the chain.", ()),
    "audit_rollbacks_total": ("Chains that end before what was countersigned.", ()),
    "scrub_corrupt_total": ("Stored values that do not match their checksum.", ()),
    "faults_fired_total": ("Faults carried out by order; always 0 in a service.", ("point",)),
    "webhook_deliveries_total": ("Tries to deliver events to webhooks.", ("outcome",)),
    "log_lines_lost_total": ("Lines that the log file lacks.", ()),
    "hook_runs_total": ("Runs of hooks by how they ended.", ("hook", "outcome")),
    "hook_events_lost_total": ("Events that a hook was not told for want of room.", ("hook",)),
    "http_requests_total": ("Requests answered.", ("route", "code")),
}

_GAUGES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "build_info": ("Version of this program; always 1.", ("version",)),
    "faults_armed": ("Whether this node fails by order: test builds only.", ()),
    "ready": ("Whether reads and writes are served.", ()),
    "recovering": ("Whether a restored node still waits for what its peers have.", ()),
    "members": ("Members of the mesh, this node included.", ()),
    "quorum_needed": ("W: members that must hold a write.", ()),
    "peer_up": ("Whether a link to the peer is up.", ("peer",)),
    "peer_last_success_timestamp_seconds": ("When the peer last answered.", ("peer",)),
    "peer_consecutive_failures": ("Failed dials in a row.", ("peer",)),
    "replication_lag_ops": ("Operations the peer has not acknowledged.", ("peer",)),
    "replication_lag_seconds": ("Age of the oldest such operation.", ("peer",)),
    "clock_skew_seconds": ("Clock of the peer minus the local one.", ("peer",)),
    "clock_jump_refused_seconds": ("How far the machine's clock leapt without the mesh.", ()),
    "digest_agree": ("Whether digests agreed at the last equal clocks.", ("peer",)),
    "queue_bytes": ("Bytes waiting for the peer.", ("peer",)),
    "audit_head_countersigned": ("Members that hold the present end of the chain.", ()),
    "conflicts_open": ("Fields with concurrent values that nobody settled.", ()),
    "pending_actions": ("Actions that wait for approval.", ()),
    "pending_oldest_seconds": ("Age of the oldest of them.", ()),
    "store_bytes": ("Bytes of the store in use.", ()),
    "store_map_used_ratio": ("Part of the address range of the store in use.", ()),
    "disk_free_bytes": ("Free bytes on the disk of the store.", ()),
    "disk_size_bytes": ("Bytes that the disk of the store can hold.", ()),
    "records_quarantined": ("Damaged records that are not served until they are whole.", ()),
    "erasures_outstanding": ("Erased records of which bytes may be left here.", ()),
    "log_floor_ops": ("Operations that are no longer in the log.", ()),
    "documents_troubled": ("Documents that are in trouble, of those opened here.", ("trouble",)),
    "index_lag_ops": ("Operations that derived indexes have not seen.", ()),
    "certificate_expiry_timestamp_seconds": ("When the served certificate expires.", ()),
    "backup_last_success_timestamp_seconds": ("When the last backup succeeded.", ()),
    "writes_wait_seconds": ("How long a write that came now would wait.", ()),
    "event_loop_lag_seconds": ("How late the event loop ran at worst in the last seconds.", ()),
    "security_switch_weakened": ("Whether a switch that protects is off.", ("switch",)),
    "last_exit_code": ("Exit code of the process before this one.", ()),
}

_HISTOGRAMS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "peer_round_trip_seconds": ("Time from a frame to its acknowledgement.", ("peer",)),
    "quorum_wait_seconds": ("Time a write waited for its quorum.", ()),
    "store_commit_seconds": ("Duration of a commit, with its fsync.", ()),
    "hook_run_seconds": ("Time of one run of a hook, its turn included.", ("hook",)),
    "http_request_seconds": ("Time to answer a request.", ("route",)),
    "event_loop_delay_seconds": ("How late each tick of the event loop came.", ()),
}

TABLE: Final[tuple[Metric, ...]] = (
    *_rows(Counter, _COUNTERS),
    *_rows(Gauge, _GAUGES),
    *_rows(Histogram, _HISTOGRAMS),
)

KNOWN_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "auth_rejected_total": (
        *("key", "no_key", "role", "certificate", "no_certificate", "key_in_url"),
        *("host", "origin", "not_loopback", "agent_not_of_key", "peer_not_enrolled"),
        *("agent_signature_missing", "agent_signature_bad", "agent_nonce_replay"),
    ),
    "handshake_failures_total": tuple(refusal.value for refusal in Refusal),
    "frames_rejected_total": ("greeting_twin",),
    "ops_applied_total": ("applied",),
    "store_rewrites_total": ("done", "failed"),
}
"""Values of a label that are on the page from the start, at 0: the rate of a series that begins
with its first event does not know of that event."""


class _LoopCounter(Counter):
    """A counter that only the loop's thread moves: no lock, no checks, a fifth of the price."""

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """Count."""
        del exemplar
        self._value._value += amount  # noqa: SLF001 - what `MutexValue.inc` does, less its lock


class _LoopHistogram(Histogram):
    """A histogram that only the loop's thread feeds."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Take one value."""
        del exemplar
        self._sum._value += amount  # noqa: SLF001 - as above
        bucket = bisect_left(self._upper_bounds, amount)
        self._buckets[bucket]._value += 1  # noqa: SLF001 - as above


class Metrics:
    """All metrics of one node, in a registry of its own.

    Names are those of the table without the prefix: `metrics.counter("memory_writes_total")`.
    An unknown name raises KeyError, a programmer's error.
    """

    def __init__(self) -> None:
        # The `_created` series double the page and say nothing that `up` does not.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library lacks the hint
        self._registry = CollectorRegistry()
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._families = {row.name: _family(row, self._registry) for row in TABLE}
        self._children: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._page = Page(self._families.values())
        for name, values in KNOWN_VALUES.items():
            for value in values:
                self.counter(name, value)
        self.gauge("build_info", __version__).set(1)

    def _child(self, name: str, labels: tuple[str, ...]) -> Any:
        child = self._children.get((name, labels))
        if child is None:
            family = self._families["mnemesh_" + name]
            child = family.labels(*labels) if labels else family
            self._children[name, labels] = child
        return child

    def counter(self, name: str, *labels: str) -> Counter:
        """The counter with these label values, in the order of the table."""
        child: Counter = self._child(name, labels)
        return child

    def gauge(self, name: str, *labels: str) -> Gauge:
        """The gauge with these label values."""
        child: Gauge = self._child(name, labels)
        return child

    def histogram(self, name: str, *labels: str) -> Histogram:
        """The histogram with these label values."""
        child: Histogram = self._child(name, labels)
        return child

    def forget_peer(self, peer: str) -> None:
        """Drop the series of a removed member."""
        for row in TABLE:
            if row.labels and row.labels[0] == "peer":
                self._families[row.name].remove_by_labels({"peer": peer})
        # Cached children of a removed label set would count into nowhere.
        self._children.clear()
        self._page = Page(self._families.values())

    def render(self, *, process: bool) -> bytes:
        """The page in text format 0.0.4; safe and meant to be called off the event loop.

        Args:
            process: whether to add the `process_*` metrics.
        """
        page = self._page.render()
        return page + generate_latest(self._process) if process else page


def _family(row: Metric, registry: CollectorRegistry) -> Any:
    if row.kind is Histogram:
        return _LoopHistogram(row.name, row.help, row.labels, registry=registry, buckets=_FAST)
    if row.kind is Counter:
        return _LoopCounter(row.name, row.help, row.labels, registry=registry)
    return row.kind(row.name, row.help, row.labels, registry=registry)


def sample_names(rows: Iterable[Metric] = TABLE) -> frozenset[str]:
    """Names that may appear on the page, for checks of dashboards and alerts."""
    names: set[str] = set()
    for row in rows:
        suffixes = ("_bucket", "_sum", "_count") if row.kind is Histogram else ("",)
        names.update(row.name + suffix for suffix in suffixes)
    return frozenset(names)
