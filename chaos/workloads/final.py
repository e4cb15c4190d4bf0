"""What every node holds after the heal.

Law: everything that a user sees of the cycle's namespaces is read from every node that is meant to
answer, page by page, and hashed without what belongs to a node alone (counts of reads) or is a
stamp. A node's reading counts only when its clock was the same before and after; and
all are read again, until a deadline, while their clocks differ, because members also write for
themselves. After the deadline what was seen is written as it is: that is a finding, not a retry.
A value is written once in a cycle, and a node that holds what another one holds says only that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import trio

from chaos.check.gathering import content_hash
from chaos.finals import shortened
from chaos.history import Stage
from chaos.workloads.play import AGENT

PAGE: Final = 500
_OF_NODE: Final = frozenset(
    {
        "access_count",
        "last_accessed_at",
        "created_at",
        "updated_at",
        "expires_at",
        "confidence_decayed_at",
    }
)
_DOCUMENT: Final = "document"
_OF_DOCUMENT: Final = ("heads", "value", "types", "conflicts", "changes", "set_aside")
_CLOCK_ENTRIES_MAX: Final = 256
_LEVEL_S: Final = 30.0
_AGAIN_S: Final = 0.2
_TRIES: Final = 5
_ANSWER_S: Final = 15.0


class UnreadError(Exception):
    """A node did not answer, or not with what was asked for."""


@dataclass(kw_only=True)
class Reading:
    """What one node showed."""

    node: str
    clock: Mapping[str, int] = field(default_factory=dict)
    digest: str = ""
    standards: dict[str, Any] = field(default_factory=dict)
    records: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    error: str | None = None


async def write_final(
    stage: Stage, *, spaces: Iterable[str] = (), links_of: Iterable[str] = ()
) -> None:
    """Read all live nodes and write a `final` line for each.

    Args:
        stage: whose namespace is read.
        spaces: other namespaces of the cycle.
        links_of: ids whose links are read too, as records named `link:...`.
    """
    named = [stage.namespace, *spaces]
    readings = await _level(stage, named, sorted(links_of))
    shown: set[str] = set()
    first: dict[str, Any] | None = None
    for reading in readings:
        fields = as_fields(reading, shown, stage.acknowledged)
        stage.recorder.event("final", scope="cycle", **shortened(fields, first))
        if first is None and reading.error is None:
            first = fields


async def _level(stage: Stage, spaces: list[str], links_of: list[str]) -> list[Reading]:
    deadline = trio.current_time() + _LEVEL_S
    while True:
        readings = [await _read(stage, node, spaces, links_of) for node in sorted(stage.live)]
        equal = all(one.error is None and one.clock == readings[0].clock for one in readings)
        if equal or trio.current_time() > deadline:
            return readings
        await trio.sleep(_AGAIN_S)


async def _read(stage: Stage, node: int, spaces: list[str], links_of: list[str]) -> Reading:
    reading = Reading(node=stage.nodes[node])
    for _ in range(_TRIES):
        try:
            before, _ = await mesh_of(stage, node)
            reading.records, reading.standards = {}, {}
            for space in spaces:
                reading.records |= await records_of(stage, node, space)
                reading.standards[space] = await _standards(stage, node, space)
            for ident in links_of:
                reading.records |= await _links(stage, node, ident)
            reading.clock, reading.digest = await mesh_of(stage, node)
        except UnreadError as error:
            reading.error = str(error)
            await trio.sleep(_AGAIN_S)
            continue
        reading.error = None
        if before == reading.clock:
            break
    return reading


def as_fields(reading: Reading, shown: set[str], actors: Iterable[str]) -> dict[str, Any]:
    """The fields of a `final` line.

    Args:
        reading: of one node.
        shown: names values that are left out; new ones are added to it.
        actors: whose entries of the clock are needed whatever its length.
    """
    records: dict[str, Any] = {}
    for ident, held in reading.records.items():
        mark = content_hash(held)
        records[ident] = {"hash": mark, "present": True}
        if f"{ident} {mark}" not in shown:
            shown.add(f"{ident} {mark}")
            records[ident]["value"] = held
    return {
        "node": reading.node,
        "clock": short_clock(reading.clock, actors),
        "digest": reading.digest,
        "policies": {space: content_hash(held) for space, held in reading.standards.items()},
        "standards": {space: held for space, held in reading.standards.items() if held},
        "records": records,
        **({} if reading.error is None else {"error": reading.error}),
    }


async def mesh_of(stage: Stage, node: int) -> tuple[Mapping[str, int], str]:
    """Clock and digest of a node, of one moment.

    Raises:
        UnreadError: it did not tell.
    """
    body = await told(stage, node, "/mesh?clocks=own")
    return body.get("clock") or {}, str(body.get("digest"))


async def records_of(stage: Stage, node: int, space: str) -> dict[str, Mapping[str, Any]]:
    """The records of exactly one namespace, without what is a node's own.

    Raises:
        UnreadError: it did not tell.
    """
    found: dict[str, Mapping[str, Any]] = {}
    offset = 0
    while True:
        query = f"namespace={quote(space, safe='')}&limit={PAGE}&offset={offset}"
        page = (await told(stage, node, f"/memories?{query}")).get("memories") or []
        for memory in page:
            fields = {name: value for name, value in memory.items() if name not in _OF_NODE}
            if fields.get("conflicts"):
                fields["siblings"] = await _siblings(stage, node, str(memory["id"]))
            if fields.get("memory_kind") == _DOCUMENT:
                fields["document"] = await _document(stage, node, str(memory["id"]))
            found[str(memory["id"])] = fields
        if len(page) < PAGE:
            return found
        offset += len(page)


async def _siblings(stage: Stage, node: int, ident: str) -> list[str]:
    return siblings(await told(stage, node, f"/memories/{quote(ident, safe='')}/conflicts"))


async def _document(stage: Stage, node: int, ident: str) -> dict[str, Any]:
    """What a document is beside its text: alike on all nodes, however each one keeps it."""
    body = await told(stage, node, f"/memories/{quote(ident, safe='')}/document")
    return {name: body.get(name) for name in _OF_DOCUMENT}


def siblings(body: Mapping[str, Any]) -> list[str]:
    """The values of `content` that lost, from what `GET /memories/{id}/conflicts` tells."""
    return sorted(str(one.get("value")) for one in (body.get("fields") or {}).get("content") or [])


async def _links(stage: Stage, node: int, ident: str) -> dict[str, Mapping[str, Any]]:
    body = await told(stage, node, f"/links/{quote(ident, safe='')}")
    keys = ("source_id", "target_id", "relation", "observed_by")
    links = [{key: link.get(key) for key in keys} for link in body.get("links") or []]
    return {
        f"link:{one['source_id']}:{one['relation']}:{one['target_id']}": one
        for one in links
        if one["source_id"] == ident
    }


async def _standards(stage: Stage, node: int, space: str) -> list[Any]:
    body = await told(stage, node, f"/namespaces?namespace={quote(space, safe='')}")
    return sorted(body.get("standards") or [], key=content_hash)


async def told(stage: Stage, node: int, path: str) -> dict[str, Any]:
    """The object at a path.

    Raises:
        UnreadError: there was none.
    """
    reply = await stage.client.ask(
        node, "GET", path, headers={"X-Agent-Id": AGENT}, timeout_s=_ANSWER_S
    )
    if reply.outcome != "ok" or not isinstance(reply.body, dict):
        raise UnreadError(f"GET {path.partition('?')[0]}: {reply.status}")
    return reply.body


def short_clock(clock: Mapping[str, int], needed: Iterable[str]) -> dict[str, int]:
    """A clock as a `final` line has it: in full, until a mesh that lives long makes it too long.

    Then it is the entries that are needed and one that is named after the hash of all.
    """
    if len(clock) <= _CLOCK_ENTRIES_MAX:
        return dict(clock)
    short = {actor: clock[actor] for actor in needed if actor in clock}
    return {**short, f"sha256:{content_hash(clock)}": len(clock)}
