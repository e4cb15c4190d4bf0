"""Which mesh a store belongs to before it says so itself.

Law: a store that has a standing keeps it. An empty one belongs to the mesh that a note names
(left by a join, and kept up to date by every member), else to the one that its quorum peers
and it found together, else to the one that it founds alone with its first write.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crdt.governance import Genesis
from node import failpoints
from node.errors import ConfigError
from node.facts import read_note, write_note
from node.settings import Settings, is_wildcard, listen_hosts

DEFAULT_CLUSTER = "mnemesh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """What an empty store is told.

    Attributes:
        genesis: the mesh it belongs to.
        claim: the founding place this node takes in it; its own lone founding otherwise.
        known_urls: members it may dial before governance tells.
        joins: whether an empty store must join: a note says that the mesh exists already.
    """

    genesis: Genesis
    claim: str
    known_urls: tuple[str, ...] = ()
    joins: bool = False


def founding_of(settings: Settings, node_id: bytes, url: str) -> Founding:
    """Read the founding off the settings and the note that a join left.

    Raises:
        ConfigError: peers are named, and it is not clear under which address they know us.
    """
    lone = f"node:{node_id.hex()}"
    note = read_join_note(settings.paths.join)
    peers = settings.quorum.peers
    if note is not None:
        claim = url if url in note.genesis.founders else lone
        known = tuple(dict.fromkeys((*note.urls, *peers)))
        return Founding(genesis=note.genesis, claim=claim, known_urls=known, joins=True)
    cluster = settings.federation.cluster or DEFAULT_CLUSTER
    if not peers:
        return Founding(genesis=Genesis(cluster=cluster, founders=(lone,)), claim=lone)
    _check_address(settings)
    founders = tuple(sorted({url, *peers}))
    return Founding(
        genesis=Genesis(cluster=cluster, founders=founders), claim=url, known_urls=peers
    )


def _check_address(settings: Settings) -> None:
    wildcard = any(is_wildcard(host) for host in listen_hosts(settings))
    if wildcard and not settings.listen.advertise:
        raise ConfigError(
            "--quorum-peers needs --advertise here",
            why="the node listens on every address, so it cannot know how its peers call it",
            fix="Give the address that the other members list, as https://10.0.0.1:9077",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinNote:
    """What a sponsor answered to a join."""

    genesis: Genesis
    urls: tuple[str, ...]


def read_join_note(path: Path) -> JoinNote | None:
    """The note that `mnemesh node join` left; None when there is none that can be read."""
    data = read_note(path)
    if data is None:
        return None
    genesis: Any = data.get("genesis")
    if not isinstance(genesis, dict) or not isinstance(genesis.get("founders"), list):
        return None
    sponsor = data.get("sponsor")
    urls = [str(sponsor.get("url", ""))] if isinstance(sponsor, dict) else []
    members = data.get("members")
    listed = members if isinstance(members, list) else []
    urls += [str(member.get("url", "")) for member in listed if isinstance(member, dict)]
    return JoinNote(
        genesis=Genesis(
            cluster=str(genesis.get("cluster", "")),
            founders=tuple(str(founder) for founder in genesis["founders"]),
        ),
        urls=tuple(dict.fromkeys(url for url in urls if url)),
    )


def leave_join_note(path: Path, genesis: Genesis, members: Iterable[Mapping[str, str]]) -> None:
    """Write down which mesh this node belongs to, and who is in it.

    A store that is lost or set aside is then joined again from the members, and never founds
    an island under the same name.
    """
    kept = read_note(path) or {}
    failpoints.hit("join.note")
    write_note(
        path,
        {
            **kept,
            "cluster": genesis.cluster,
            "genesis": {"cluster": genesis.cluster, "founders": list(genesis.founders)},
            "members": [dict(member) for member in members],
        },
    )
