"""The sections of the configuration, and thereby the table of all settings.

Law: what is not declared here cannot be set, by any road. A secret is never a value here;
only the path of a file, or the name of an environment variable, that holds it.
"""

# ruff: noqa: RUF009 -- setting() returns a dataclass field, never a shared mutable value

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.declare import Setting, rows_of, setting
from node.limits import Limits
from node.settings.mesh_sections import Federation, Quorum
from node.settings.operations_sections import Integrity, Telemetry

SCHEMA_VERSION: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the node is reached, and what it demands there."""

    host: str = setting("127.0.0.1", flag="--host", help="Address to bind; several with commas.")
    port: int = setting(
        9077, flag="--port", minimum=0, maximum=65535, help="Port to bind; 0 takes a free one."
    )
    agent_listen: str | None = setting(
        None,
        flag="--agent-listen",
        help="Loopback address of an extra plain HTTP listener for agents, as 127.0.0.1:9077.",
    )
    probe: str | None = setting(
        None,
        flag="--probe-listen",
        help="Address of a plain HTTP listener for probes, as 0.0.0.0:9079; it answers "
        "/livez and /readyz and nothing else.",
    )
    advertise: str | None = setting(
        None,
        flag="--advertise",
        help="Address that peers are told, as https://host:port; the bound one when unset.",
    )
    hostnames: tuple[str, ...] = setting(
        (), reload=True, help="Further Host names under which requests are answered."
    )
    require_api_key: bool = setting(
        False,
        env="MNEMESH_REQUIRE_API_KEY",
        help="Refuse to start without an API key, on any address.",
    )
    tls_cert: Path | None = setting(
        None, flag="--tls-cert", help="Certificate (PEM) to serve with, instead of the own one."
    )
    tls_key: Path | None = setting(
        None, flag="--tls-key", secret_file=True, help="Private key (PEM) of --tls-cert."
    )
    mtls_allowlist: Path | None = setting(
        None,
        flag="--mtls-allowlist",
        help="File of certificate fingerprints that may connect, one per line.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the node is called."""

    name: str = setting("", flag="--name", help="Name that people read; the host name when unset.")
    sans: tuple[str, ...] = setting(
        (), help="Names and addresses that `init` wrote into the certificate."
    )
    anonymize_default: bool = setting(
        False,
        reload=True,
        help="Leave a program that uses the tools and names no agent without a name, instead of "
        "naming it by what it calls itself.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What is kept, where in the map, and for how long."""

    default_namespace: str = setting("global", help="Namespace of a memory that names none.")
    map_bytes: int = setting(
        1 << 40,
        minimum=1 << 16,
        unit="bytes",
        help="Size of the sparse address range of the store; grows by itself when too small.",
    )
    log_bytes_max: int = setting(
        4 << 30,
        minimum=1 << 20,
        unit="bytes",
        help="Size above which the oldest log goes, as far as W members hold it.",
    )
    log_bytes_min: int = setting(
        64 << 20, minimum=0, unit="bytes", help="Size of log that stays although all hold it."
    )
    log_days_max: float = setting(30.0, minimum=0.01, unit="days", help="Age above which log goes.")
    idempotency_hours: float = setting(
        48.0, minimum=0.01, unit="hours", help="How long a retry is recognised."
    )
    expiry_grace_days: float = setting(
        7.0, minimum=0.0, unit="days", help="How long an expired memory is only hidden."
    )
    maintenance_interval_secs: float = setting(
        60.0, minimum=0.05, unit="s", help="Time between two rounds of maintenance."
    )
    erase_rewrite_hours: float = setting(
        24.0,
        minimum=0.0,
        unit="hours",
        reload=True,
        help="Age of an erasure at which the file is rewritten, so that its bytes are gone.",
    )
    archive_on_delete: bool = setting(False, help="Archive a memory before it is deleted.")
    archive_on_gc: bool = setting(False, help="Archive expired memories instead of deleting them.")
    archive_max_days: float = setting(
        0.0, minimum=0.0, unit="days", help="Age above which archived memories go; 0 for never."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Logging:
    """What is written to the log, and how."""

    level: str = setting(
        "info",
        flag="--log-level",
        reload=True,
        choices=("debug", "info", "warning", "error"),
        help="Least severe level that is written.",
    )
    format: str = setting(
        "auto",
        choices=("auto", "json", "pretty"),
        help="Shape of a line; auto is pretty on a terminal and JSON elsewhere.",
    )
    path: Path | None = setting(None, help="File that gets every line too; none when unset.")
    structured: bool = setting(
        True, help="Write JSON lines to the file; else lines that are made for people."
    )
    rotate_bytes: int = setting(
        64 << 20, minimum=4096, unit="bytes", help="Size at which the file is set aside."
    )
    retention_days: float = setting(
        30.0, minimum=0.01, unit="days", help="Age above which lines of the file go."
    )
    files_kept_max: int = setting(
        20, minimum=1, maximum=1000, help="Most files that are set aside, whatever their age."
    )
    requests: bool = setting(
        False,
        reload=True,
        help="Write a line for every request: who, route, status, time, size; never content.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """Who may do everything."""

    api_key_file: Path | None = setting(
        None,
        env="MNEMESH_API_KEY_FILE",
        secret_file=True,
        help="File with the API key; the one that `init` made when unset.",
    )
    api_key_env: str | None = setting(
        None, help="Name of an environment variable that holds the API key."
    )
    agent_ids: tuple[str, ...] = setting(
        (), help="Agent ids that are system administrators of the mesh that this node founds."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """What becomes of governance verdicts."""

    mode: str = setting(
        "enforce",
        reload=True,
        choices=("enforce", "advisory", "off"),
        help="enforce obeys verdicts, advisory only counts them, off does not ask.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceRules:
    """How this node asks for approval, and what it does when its own gate fails."""

    approval_timeout_secs: int = setting(
        604_800,
        minimum=1,
        reload=True,
        unit="s",
        help="How long an approval may take under a policy that does not say.",
    )
    approval_timeout_secs_max: int = setting(
        2_592_000, minimum=1, reload=True, unit="s", help="Longest time that a policy may give."
    )
    fail_open_on_error: bool = setting(
        False,
        reload=True,
        help="Let a request pass when this node's own part of the gate (keys, quotas) fails.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The chain of events of this node, for others to read."""

    path: Path | None = setting(
        None, help="File that gets every event of the audit chain as one JSON line."
    )
    retention_days: float = setting(
        365.0, minimum=1.0, unit="days", help="Age above which closed parts of the chain go."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Llm:
    """A language model that the node may ask, behind an OpenAI-compatible endpoint."""

    url: str | None = setting(
        None, help="Base address of the endpoint, as https://host/v1; none is asked when unset."
    )
    model: str | None = setting(None, help="Name of the model there.")
    api_key_file: Path | None = setting(
        None, secret_file=True, help="File with the key of the endpoint."
    )
    api_key_env: str | None = setting(
        None, help="Name of an environment variable that holds that key."
    )
    timeout_secs: float = setting(
        30.0, minimum=0.1, maximum=600, unit="s", help="Longest time of one request to it."
    )
    in_flight_max: int = setting(4, minimum=1, maximum=64, help="Most requests to it at once.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """What recall uses beside words; anything but `off` needs the extra `vectors`."""

    engine: str = setting(
        "off",
        choices=("off", "fuzzy", "local", "endpoint"),
        help="Beside words: likeness of spelling, a model2vec folder, or an OpenAI-compatible "
        "endpoint, to which texts of memories are then sent.",
    )
    model_dir: Path | None = setting(None, help="Folder of the model2vec model, for `local`.")
    url: str | None = setting(
        None, help="Base address of the endpoint, as https://host/v1, for `endpoint`."
    )
    model: str | None = setting(None, help="Name of the model there.")
    api_key_file: Path | None = setting(
        None, secret_file=True, help="File with the key of the endpoint."
    )
    api_key_env: str | None = setting(
        None, help="Name of an environment variable that holds that key."
    )
    timeout_secs: float = setting(
        10.0, minimum=0.1, maximum=600, unit="s", help="Longest time of one request to it."
    )
    batch_items_max: int = setting(
        64, minimum=1, maximum=2048, help="Most texts in one request to it."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriptions:
    """How events are delivered to webhooks."""

    allow_loopback_webhooks: bool = setting(
        False, reload=True, help="Let webhooks lead to this machine; for tests and labs."
    )
    allow_dns_failure: bool = setting(
        False,
        reload=True,
        help="Drop deliveries whose host cannot be resolved instead of trying them again; "
        "for tests and labs.",
    )
    delivery_timeout_ms: int = setting(
        5000,
        minimum=100,
        maximum=60_000,
        reload=True,
        unit="ms",
        help="Longest time for one delivery.",
    )
    retry_hours: float = setting(
        24.0,
        minimum=0.0,
        maximum=720.0,
        reload=True,
        unit="hours",
        help="How long a delivery is tried again before it is given up.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mcp:
    """The tools of the Model Context Protocol, over stdio and at /mcp."""

    profile: str = setting(
        "core",
        reload=True,
        choices=("core", "full", "knowledge-graph"),
        help="Which tools are shown where nobody names a profile.",
    )
    sessions_max: int = setting(
        256, minimum=1, maximum=10_000, help="Most sessions at /mcp at once, for each profile."
    )
    session_idle_secs: float = setting(
        1800.0, minimum=1.0, unit="s", help="Silence after which a session at /mcp ends."
    )


SECTIONS: Final[dict[str, type[Any]]] = {
    "listen": Listen,
    "identity": Identity,
    "federation": Federation,
    "quorum": Quorum,
    "storage": Storage,
    "limits": Limits,
    "logging": Logging,
    "admin": Admin,
    "permissions": Permissions,
    "governance": GovernanceRules,
    "audit": Audit,
    "subscriptions": Subscriptions,
    "llm": Llm,
    "embeddings": Embeddings,
    "mcp": Mcp,
    "telemetry": Telemetry,
    "integrity": Integrity,
}

TABLE: Final[tuple[Setting, ...]] = rows_of(SECTIONS)
