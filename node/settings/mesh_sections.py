"""The sections about the other nodes: who they are, how they are reached, and what they confirm.

Law: as of the other sections; what is not declared cannot be set.
"""

# ruff: noqa: RUF009 -- setting() returns a dataclass field, never a shared mutable value

from dataclasses import dataclass
from pathlib import Path

from node.declare import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """How the node keeps level with its peers."""

    cluster: str | None = setting(
        None, flag="--cluster", help="Name of the mesh that an empty store founds."
    )
    catchup_interval_secs: float = setting(
        30.0,
        flag="--catchup-interval-secs",
        minimum=0.05,
        maximum=86_400,
        unit="s",
        help="Longest time between two comparisons of clocks with each peer.",
    )
    full_fanout_max: int = setting(
        12, minimum=0, help="Members up to which a writer pushes to all; above it, relay begins."
    )
    relay_extra: int = setting(
        2, minimum=0, help="Members beyond its quorum that a writer pushes to where relay is on."
    )
    share_private: bool = setting(
        False, help="Replicate private memories to the members of the mesh."
    )
    require_signature: bool = setting(
        True, reload=True, help="Refuse a push over REST that its enrolled key did not sign."
    )
    require_nonce: bool = setting(
        True, reload=True, help="Refuse a push over REST that brings no fresh nonce."
    )
    foreign_peers: tuple[str, ...] = setting(
        (), help="Addresses of nodes of other meshes to exchange memories with, with commas."
    )
    foreign_interval_secs: float = setting(
        2.0,
        minimum=0.1,
        maximum=86_400,
        unit="s",
        help="Time between two rounds with each foreign peer.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How many must hold a write, and who they are at the start."""

    writes: int | None = setting(
        None,
        flag="--quorum-writes",
        reload=True,
        minimum=0,
        maximum=1000,
        help="Members, the writer included, that must hold a write before it is confirmed; "
        "unset is the majority, 0 and 1 answer after the local commit.",
    )
    peers: tuple[str, ...] = setting(
        (),
        flag="--quorum-peers",
        help="Addresses of the other members, with commas, as https://host:port.",
    )
    reach: tuple[str, ...] = setting(
        (),
        flag="--reach",
        help="Where members are dialled from here, when not at the address that they tell: "
        "https://told:9077=https://tunnel:19077, with commas.",
    )
    timeout_ms: int = setting(
        2000,
        flag="--quorum-timeout-ms",
        reload=True,
        minimum=1,
        maximum=600_000,
        unit="ms",
        help="How long a write waits for its quorum.",
    )
    client_cert: Path | None = setting(
        None,
        flag="--quorum-client-cert",
        help="Certificate (PEM) shown to peers when dialling; that of the listener when unset.",
    )
    client_key: Path | None = setting(
        None,
        flag="--quorum-client-key",
        secret_file=True,
        help="Private key (PEM) of --quorum-client-cert.",
    )
    ca_cert: Path | None = setting(
        None,
        flag="--quorum-ca-cert",
        help="CA certificate (PEM) that signed the certificates of the peers.",
    )
