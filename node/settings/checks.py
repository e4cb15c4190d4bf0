"""What settings must be true of each other.

Law: pure, and all of it before the first socket or file is touched. Each refusal names the
setting to change.
"""

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from node.errors import ConfigError, ImpossibleQuorum
from node.memory.problems import InvalidField
from node.memory.rules import agent_id

if TYPE_CHECKING:
    from node.settings.load import Settings

_WILDCARDS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 -- names it, does not bind it
_PORT_MAX: Final = 65_535
_NAME_CHARS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host and a port to bind."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_wildcard(host: str) -> bool:
    """True when the host means every address of the machine."""
    return host.strip("[]") in _WILDCARDS


def is_loopback(host: str) -> bool:
    """True when only this machine can reach the host (RFC 1122 3.2.1.3, RFC 4291 2.5.3)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def listen_hosts(settings: "Settings") -> tuple[str, ...]:
    """The addresses of the main listener."""
    hosts = (part.strip().strip("[]") for part in settings.listen.host.split(","))
    return tuple(host for host in hosts if host)


def agent_address(settings: "Settings") -> Address | None:
    """The extra plain HTTP listener, if one is wanted.

    Raises:
        ConfigError: not `host:port`, or not a loopback address.
    """
    text = settings.listen.agent_listen
    if not text:
        return None
    address = _address("--agent-listen", text)
    if not is_loopback(address.host):
        raise ConfigError(
            f"--agent-listen is {text!r}",
            why="plain HTTP is served on loopback only, for anybody could read along elsewhere",
            fix="Use 127.0.0.1, or let agents use the TLS listener of --host with an API key",
        )
    return address


def probe_address(settings: "Settings") -> Address | None:
    """The listener for probes, if one is wanted; on any address, for it tells nothing else.

    Raises:
        ConfigError: not `host:port`.
    """
    text = settings.listen.probe
    return _address("--probe-listen", text) if text else None


def _address(flag: str, text: str) -> Address:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > _PORT_MAX:
        raise ConfigError(f"{flag} is {text!r}", why="expected an address as 127.0.0.1:9077")
    return Address(host=host, port=int(port))


def clean_url(url: str, flag: str) -> str:
    """A peer address in its one spelling: `https://host:port`, lower case, no slash.

    Raises:
        ConfigError: not such an address.
    """
    parts = _split(url)
    if parts is None or parts.scheme != "https" or not parts.hostname:
        raise ConfigError(
            f"{flag} has {url!r}",
            why="expected https://host:port",
            fix="Peers talk over mutual TLS only, so the address starts with https://",
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise ConfigError(f"{flag} has {url!r}", why="expected https://host:port and nothing more")
    host = parts.hostname.lower()
    return f"https://{Address(host=host, port=parts.port or 443)}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        return None
    return parts


def check_settings(settings: "Settings") -> None:
    """Refuse contradictions that the settings alone show.

    Raises:
        ConfigError: which names what to change.
    """
    _check_pairs(settings)
    _check_name(settings)
    _check_addresses(settings)
    _check_peers(settings)
    reach_of(settings)
    _check_limits(settings)
    _check_administrators(settings)


def _check_pairs(settings: "Settings") -> None:
    listen, quorum = settings.listen, settings.quorum
    for one, other, names in (
        (listen.tls_cert, listen.tls_key, "--tls-cert and --tls-key"),
        (quorum.client_cert, quorum.client_key, "--quorum-client-cert and --quorum-client-key"),
    ):
        if (one is None) != (other is None):
            raise ConfigError(f"only one of {names} is given", why="each needs the other")


def _check_name(settings: "Settings") -> None:
    name = settings.identity.name
    if len(name) > _NAME_CHARS_MAX or not name.isprintable() or "/" in name:
        raise ConfigError(
            "--name cannot be used", why="expected 1 to 64 printable characters without a slash"
        )


def _check_addresses(settings: "Settings") -> None:
    if not listen_hosts(settings):
        raise ConfigError("--host is empty", why="expected an address, as 127.0.0.1 or 0.0.0.0")
    agent, _ = agent_address(settings), probe_address(settings)
    port = settings.listen.port
    if agent and port and agent.port == port:
        hosts = listen_hosts(settings)
        if agent.host in hosts or any(is_wildcard(host) for host in hosts):
            raise ConfigError(
                f"--agent-listen {agent} is the address of the main listener too",
                fix="Give the agent listener another port, or --host a single other address",
            )


def _check_peers(settings: "Settings") -> None:
    peers = settings.quorum.peers
    twice = sorted({url for url in peers if peers.count(url) > 1})
    if twice:
        raise ConfigError(
            f"--quorum-peers has {twice[0]} twice",
            why="a member is counted once",
            fix="Name every other member once",
        )
    port = settings.listen.port
    own = {f"https://{Address(host=host, port=port)}" for host in listen_hosts(settings)}
    own.add(settings.listen.advertise or "")
    mine = sorted(own.intersection(peers))
    if mine:
        raise ConfigError(
            f"--quorum-peers has {mine[0]}, which is this node itself",
            why="a node does not confirm its own writes twice",
            fix="Name only the other members",
        )


def reach_of(settings: "Settings") -> dict[str, str]:
    """Address that a member tells -> where it is dialled from here.

    Raises:
        ConfigError: an entry of `[quorum] reach` is no pair of addresses.
    """
    ways = {}
    for entry in settings.quorum.reach:
        told, between, way = entry.partition("=")
        if not between:
            raise ConfigError(
                f"--reach has {entry!r}",
                why="expected TOLD=DIALLED, as https://node-b:9077=https://127.0.0.1:19077",
            )
        ways[clean_url(told, "--reach")] = clean_url(way, "--reach")
    return ways


def _check_limits(settings: "Settings") -> None:
    limits = settings.limits
    for small, large in (
        ("message_bytes_max", "frame_bytes_max"),
        ("bundle_bytes_max", "message_bytes_max"),
        ("backoff_ms_min", "backoff_ms_max"),
        ("content_bytes_max", "body_bytes_max"),
    ):
        if getattr(limits, small) > getattr(limits, large):
            raise ConfigError(f"[limits] {small} is larger than {large}", why="it must fit into it")


def _check_administrators(settings: "Settings") -> None:
    for ident in settings.admin.agent_ids:
        try:
            agent_id("[admin] agent_ids", ident, settings.limits)
        except InvalidField as error:
            raise ConfigError(f"[admin] agent_ids has {ident!r}", why=error.what) from error


def check_quorum_possible(writes: int | None, members: int) -> None:
    """Refuse a W that the membership can never meet.

    Args:
        writes: the W that was set, or None for the majority.
        members: N, this node included.

    Raises:
        ImpossibleQuorum: W > N.
    """
    if writes is not None and writes > max(members, 1):
        raise ImpossibleQuorum(
            f"--quorum-writes is {writes} and the mesh has {members} members",
            why="no write could ever be confirmed",
            fix=f"Use at most {members}, or leave it out for the majority",
        )
