"""The Grafana dashboard, written from a table of its panels.

Law: nobody types the JSON. `python -m tests.architecture.dashboard` writes
`deploy/grafana/mnemesh.json`; a test fails when the file says something else, and when a panel
asks for a metric that no node has. One question a panel, units as the metrics have them; what
people on call look at first stands on top.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
TARGET: Final = ROOT / "deploy" / "grafana" / "mnemesh.json"
_WIDTH: Final = 24
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_OF: Final = '{job=~"$job",instance=~"$instance"}'
_RED: Final = "red"
_GREEN: Final = "green"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        title: what is shown.
        asks: legend -> expression; `OF` in it stands for the chosen nodes.
        unit: of Grafana: `s`, `bytes`, `ops`, `percentunit`, `short`, `dateTimeFromNow`.
        kind: `timeseries`, or `stat` for one number.
        width: of 24.
        bad: (value, whether above is bad); colours a number.
        words: what the numbers 0 and 1 mean.
    """

    title: str
    asks: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    bad: tuple[float, bool] | None = None
    words: tuple[str, str] | None = None


def _stat(title: str, ask: str, **about: Any) -> Panel:
    return Panel(title=title, asks={"": ask}, kind="stat", width=4, **about)


def _quantiles(metric: str, by: str = "") -> dict[str, str]:
    rate = f"sum by (le{by}) (rate({metric}_bucketOF[$__rate_interval]))"
    legend = "{{" + by.strip(", ") + "}} " if by else ""
    return {f"{legend}p{q * 100:g}": f"histogram_quantile({q}, {rate})" for q in (0.5, 0.99)}


def _rate(metric: str, by: str) -> dict[str, str]:
    return {"{{" + by + "}}": f"sum by ({by}) (rate({metric}OF[$__rate_interval]))"}


ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    (
        "Overview",
        (
            _stat("Nodes down", 'count(up{job=~"$job"} == 0) or vector(0)', bad=(1, True)),
            _stat("Links down", "count(mnemesh_peer_upOF == 0) or vector(0)", bad=(1, True)),
            _stat(
                "Members to spare",
                "min(1 + sum by (instance) (mnemesh_peer_upOF)"
                " - on (instance) mnemesh_quorum_neededOF)",
                bad=(0, False),
            ),
            _stat(
                "Writes without quorum",
                'sum(rate(mnemesh_quorum_writes_total{job=~"$job",instance=~"$instance",'
                'outcome="short"}[$__rate_interval]))'
                " / sum(rate(mnemesh_quorum_writes_totalOF[$__rate_interval]))",
                unit="percentunit",
                bad=(0.05, True),
            ),
            _stat("Worst lag", "max(mnemesh_replication_lag_secondsOF)", unit="s", bad=(60, True)),
            _stat(
                "States agree",
                "min(mnemesh_digest_agreeOF)",
                bad=(0, False),
                words=("differ", "agree"),
            ),
            Panel(
                title="Nodes up",
                asks={"{{instance}}": 'up{job=~"$job",instance=~"$instance"}'},
                width=12,
            ),
            Panel(
                title="Alerts that are lit",
                asks={"{{alertname}} {{instance}}": 'ALERTS{alertstate="firing",job=~"$job"}'},
                width=12,
            ),
        ),
    ),
    (
        "Writes",
        (
            Panel(
                title="Writes by outcome of their quorum",
                asks=_rate("mnemesh_quorum_writes_total", "outcome"),
                unit="ops",
            ),
            Panel(
                title="Wait for the quorum",
                asks=_quantiles("mnemesh_quorum_wait_seconds"),
                unit="s",
            ),
            Panel(
                title="Writes turned away for want of room",
                asks=_rate("mnemesh_writes_shed_total", "reason"),
                unit="ops",
            ),
            Panel(
                title="Memories written",
                asks=_rate("mnemesh_memory_writes_total", "instance"),
                unit="ops",
            ),
            Panel(
                title="Verdicts of the gate",
                asks={
                    "{{effect}} {{action}}": "sum by (effect, action) "
                    "(rate(mnemesh_governance_decisions_totalOF[$__rate_interval]))",
                },
                unit="ops",
            ),
            Panel(
                title="A write that came now would wait",
                asks={"{{instance}}": "mnemesh_writes_wait_secondsOF"},
                unit="s",
            ),
        ),
    ),
    (
        "Reads and requests",
        (
            Panel(
                title="Memories read",
                asks=_rate("mnemesh_memory_reads_total", "instance"),
                unit="ops",
            ),
            Panel(
                title="Requests by code",
                asks=_rate("mnemesh_http_requests_total", "code"),
                unit="reqps",
            ),
            Panel(
                title="Time to answer", asks=_quantiles("mnemesh_http_request_seconds"), unit="s"
            ),
            Panel(
                title="Slowest routes (p99)",
                asks={
                    "{{route}}": "topk(5, histogram_quantile(0.99, sum by (le, route) "
                    "(rate(mnemesh_http_request_seconds_bucketOF[$__rate_interval]))))",
                },
                unit="s",
            ),
            Panel(
                title="Operations that the index has not seen",
                asks={"{{instance}}": "mnemesh_index_lag_opsOF"},
            ),
            Panel(title="Fields in conflict", asks={"{{instance}}": "mnemesh_conflicts_openOF"}),
        ),
    ),
    (
        "Store",
        (
            Panel(
                title="Commit, with its fsync",
                asks=_quantiles("mnemesh_store_commit_seconds"),
                unit="s",
            ),
            Panel(
                title="Commits", asks=_rate("mnemesh_store_commits_total", "instance"), unit="ops"
            ),
            Panel(
                title="Size of the store",
                asks={"{{instance}}": "mnemesh_store_bytesOF"},
                unit="bytes",
            ),
            Panel(
                title="Address range in use",
                asks={"{{instance}}": "mnemesh_store_map_used_ratioOF"},
                unit="percentunit",
            ),
            Panel(
                title="Free on the disk",
                asks={"{{instance}}": "mnemesh_disk_free_bytesOF"},
                unit="bytes",
            ),
            Panel(
                title="Damage and disk errors",
                asks={
                    "{{instance}} damaged": "mnemesh_scrub_corrupt_totalOF",
                    "{{instance}} fsync": "mnemesh_store_fsync_errors_totalOF",
                    "{{instance}} new stores": "mnemesh_store_changes_totalOF",
                },
            ),
            Panel(
                title="Operations no longer in the log",
                asks={"{{instance}}": "mnemesh_log_floor_opsOF"},
            ),
            Panel(
                title="Lag of the event loop",
                asks={"{{instance}}": "mnemesh_event_loop_lag_secondsOF"},
                unit="s",
            ),
            Panel(
                title="Memory of the process",
                asks={
                    "{{instance}}": "process_resident_memory_bytes"
                    '{job=~"$job",instance=~"$instance"}'
                },
                unit="bytes",
            ),
        ),
    ),
    (
        "Peers",
        (
            Panel(title="Links", asks={"{{instance}} to {{peer}}": "mnemesh_peer_upOF"}),
            Panel(
                title="Lag",
                asks={"{{peer}} behind {{instance}}": "mnemesh_replication_lag_secondsOF"},
                unit="s",
            ),
            Panel(
                title="Operations not acknowledged",
                asks={"{{peer}} behind {{instance}}": "mnemesh_replication_lag_opsOF"},
            ),
            Panel(
                title="Operations exchanged",
                asks={
                    "{{instance}} {{direction}} {{peer}}": "sum by (instance, direction, peer) "
                    "(rate(mnemesh_sync_ops_totalOF[$__rate_interval]))",
                },
                unit="ops",
            ),
            Panel(
                title="Round trip (p99)",
                asks={
                    "{{peer}}": "histogram_quantile(0.99, sum by (le, peer) "
                    "(rate(mnemesh_peer_round_trip_seconds_bucketOF[$__rate_interval])))",
                },
                unit="s",
            ),
            Panel(
                title="Clock of the peer minus the own one",
                asks={
                    "{{instance}} and {{peer}}": "mnemesh_clock_skew_secondsOF",
                    "{{instance}} does not follow": "mnemesh_clock_jump_refused_secondsOF",
                },
                unit="s",
            ),
            Panel(
                title="Bytes that wait for the peer",
                asks={"{{instance}} to {{peer}}": "mnemesh_queue_bytesOF"},
                unit="bytes",
            ),
            Panel(
                title="Failed dials in a row",
                asks={"{{instance}} to {{peer}}": "mnemesh_peer_consecutive_failuresOF"},
            ),
            Panel(
                title="States agree",
                asks={"{{instance}} and {{peer}}": "mnemesh_digest_agreeOF"},
            ),
        ),
    ),
    (
        "Security",
        (
            Panel(
                title="Requests turned away",
                asks=_rate("mnemesh_auth_rejected_total", "reason"),
                unit="ops",
            ),
            Panel(
                title="TLS handshakes that failed",
                asks=_rate("mnemesh_handshake_failures_total", "reason"),
                unit="ops",
            ),
            Panel(
                title="Frames and messages refused",
                asks=_rate("mnemesh_frames_rejected_total", "reason"),
                unit="ops",
            ),
            _stat("Equivocations", "sum(mnemesh_equivocations_totalOF)", bad=(1, True)),
            _stat("Cut chains", "sum(mnemesh_audit_rollbacks_totalOF)", bad=(1, True)),
            _stat(
                "Switches that do not protect",
                "sum(mnemesh_security_switch_weakenedOF)",
                bad=(1, True),
            ),
            _stat("Waiting for approval", "max(mnemesh_pending_actionsOF)"),
            _stat(
                "Oldest of them",
                "max(mnemesh_pending_oldest_secondsOF)",
                unit="s",
                bad=(86400, True),
            ),
            _stat(
                "First certificate ends in",
                "min(mnemesh_certificate_expiry_timestamp_secondsOF > 0) - time()",
                unit="s",
                bad=(14 * 86400, False),
            ),
        ),
    ),
    (
        "Backups and restarts",
        (
            Panel(
                title="Age of the last backup",
                asks={
                    "{{instance}}": "time() - mnemesh_backup_last_success_timestamp_secondsOF > 0"
                },
                unit="s",
            ),
            Panel(
                title="Uptime",
                asks={
                    "{{instance}}": "time() - process_start_time_seconds"
                    '{job=~"$job",instance=~"$instance"}'
                },
                unit="s",
            ),
            Panel(
                title="Exit code of the process before",
                asks={"{{instance}}": "mnemesh_last_exit_codeOF"},
            ),
            Panel(
                title="Restored, and waiting for a peer",
                asks={"{{instance}}": "mnemesh_recoveringOF"},
            ),
            Panel(
                title="Erased records of which bytes may be left",
                asks={"{{instance}}": "mnemesh_erasures_outstandingOF"},
            ),
            Panel(
                title="Versions",
                asks={"{{version}}": "count by (version) (mnemesh_build_infoOF)"},
            ),
        ),
    ),
)


def expressions() -> Iterable[tuple[str, str]]:
    """(title, expression) of every panel, as Grafana sends it but for its variables."""
    for _, panels in ROWS:
        for panel in panels:
            for ask in panel.asks.values():
                yield panel.title, ask.replace("OF", _OF)


def _thresholds(bad: tuple[float, bool] | None) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": _GREEN, "value": None}]
    if bad is not None:
        value, above = bad
        edge = value if above else value + (1 if value == 0 else 0)
        first, then = (_GREEN, _RED) if above else (_RED, _GREEN)
        steps = [{"color": first, "value": None}, {"color": then, "value": edge}]
    return {"mode": "absolute", "steps": steps}


def _panel(panel: Panel, number: int, x: int, y: int, height: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": _thresholds(panel.bad)}
    if panel.words is not None:
        options = {str(at): {"text": word, "index": at} for at, word in enumerate(panel.words)}
        defaults["mappings"] = [{"type": "value", "options": options}]
    if panel.kind == "timeseries":
        defaults["custom"] = {"fillOpacity": 8, "lineWidth": 1, "showPoints": "never"}
    targets = [
        {
            "refId": chr(ord("A") + at),
            "datasource": _SOURCE,
            "expr": ask.replace("OF", _OF),
            "legendFormat": legend,
            "range": panel.kind == "timeseries",
            "instant": panel.kind == "stat",
        }
        for at, (legend, ask) in enumerate(panel.asks.items())
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": height},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }


def _placed() -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    y = 0
    for title, panels in ROWS:
        number = len(out) + 1
        place = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
        out.append({"id": number, "type": "row", "title": title, "gridPos": place, "panels": []})
        y, x, height = y + 1, 0, 0
        for panel in panels:
            if x + panel.width > _WIDTH:
                x, y, height = 0, y + height, 0
            tall = 4 if panel.kind == "stat" else 8
            out.append(_panel(panel, len(out) + 1, x, y, tall))
            x, height = x + panel.width, max(height, tall)
        y += height
    return out


def _variable(name: str, ask: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": ask, "refId": name},
        "definition": ask,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
        "sort": 1,
    }


def dashboard() -> str:
    """The whole file."""
    told = {
        "uid": "mnemesh",
        "title": "mnemesh",
        "description": "A mesh of memory for people on call; see docs/monitoring.md.",
        "tags": ["mnemesh"],
        "schemaVersion": 37,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "templating": {
            "list": [
                {
                    "name": "source",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                },
                _variable("job", "label_values(mnemesh_build_info, job)"),
                _variable("instance", 'label_values(mnemesh_build_info{job=~"$job"}, instance)'),
            ]
        },
        "panels": _placed(),
    }
    return json.dumps(told, indent=1) + "\n"


def main() -> int:
    """Write the file, where it changed."""
    fresh = dashboard()
    TARGET.parent.mkdir(exist_ok=True)
    if not TARGET.exists() or TARGET.read_text() != fresh:
        TARGET.write_text(fresh)
        print(f"wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
