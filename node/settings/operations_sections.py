"""The sections about running a node for years: what it tells outsiders of itself.

Law: as of the other sections; what is not declared cannot be set, and nothing leaves the host
unless a setting here says where to.
"""

# ruff: noqa: RUF009 -- setting() returns a dataclass field, never a shared mutable value

from dataclasses import dataclass
from pathlib import Path

from node.declare import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Traces for a collector of OpenTelemetry; needs the extra `otel`."""

    otlp_endpoint: str | None = setting(
        None,
        help="Where spans are sent by OTLP over HTTP, as http://127.0.0.1:4318/v1/traces; "
        "nothing is traced when unset.",
    )
    api_key_file: Path | None = setting(
        None, secret_file=True, help="File with the key of the collector, sent as a bearer token."
    )
    api_key_env: str | None = setting(
        None, help="Name of an environment variable that holds that key."
    )
    sample_ratio: float = setting(
        0.05,
        minimum=0.0,
        maximum=1.0,
        help="Part of the requests that is traced; one whose traceparent says so always is.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrity:
    """How the store is read through in search of damage."""

    scrub_interval_hours: float = setting(
        24.0,
        reload=True,
        minimum=0.0,
        maximum=8760.0,
        unit="hours",
        help="Time from one full pass over the store to the next; 0 for never by itself.",
    )
    scrub_rows_per_second: int = setting(
        5000,
        reload=True,
        minimum=10,
        maximum=1_000_000,
        help="Most rows that a pass reads in a second.",
    )
