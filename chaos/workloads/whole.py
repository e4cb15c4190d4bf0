"""Everything that every node holds, at the end of a campaign.

Law: read namespace by namespace, so it needs no more memory than one namespace does, however long
the campaign was, and every namespace that any node names is read on all of them. A line for each
node and cycle, with hashes only: the values were written when the cycle ended. What no cycle made
is cycle 0.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from chaos.check.gathering import content_hash
from chaos.finals import shortened
from chaos.history import Stage
from chaos.workloads.final import UnreadError, mesh_of, records_of, short_clock, told
from chaos.workloads.governance import SPACES

_CYCLE: Final = re.compile(rf"^chaos/c(\d+)(?:/(?:{'|'.join(SPACES)}))?$")
"""The namespaces that the reads at the end of a cycle are about; probes write beside them."""


async def write_whole(stage: Stage) -> None:
    """Read the whole store of every live node and write `final` lines of scope `all`."""
    cycles: defaultdict[int, set[str]] = defaultdict(set)
    troubles: dict[int, str] = {}
    clocks: dict[int, tuple[Mapping[str, int], str]] = {}
    for node in sorted(stage.live):
        try:
            clocks[node] = await mesh_of(stage, node)
            for space in await _spaces(stage, node):
                found = _CYCLE.match(space)
                cycles[int(found.group(1)) if found else 0].add(space)
        except UnreadError as error:
            troubles[node] = str(error)
    for number in sorted(cycles):
        first: dict[str, Any] | None = None
        for node in sorted(stage.live):
            fields = await _one(stage, node, sorted(cycles[number]), clocks, troubles)
            stage.recorder.event("final", scope="all", cycle=number, **shortened(fields, first))
            if first is None and "error" not in fields:
                first = fields


async def _spaces(stage: Stage, node: int) -> list[str]:
    rows = (await told(stage, node, "/namespaces")).get("namespaces") or []
    return [str(row["namespace"]) for row in rows if row.get("count")]


async def _one(
    stage: Stage,
    node: int,
    spaces: list[str],
    clocks: Mapping[int, tuple[Mapping[str, int], str]],
    troubles: Mapping[int, str],
) -> dict[str, Any]:
    clock, digest = clocks.get(node, ({}, ""))
    records: dict[str, Mapping[str, Any]] = {}
    trouble = troubles.get(node)
    try:
        for space in spaces if trouble is None else ():
            records |= await records_of(stage, node, space)
    except UnreadError as error:
        trouble = str(error)
    return {
        "node": stage.nodes[node],
        "clock": short_clock(clock, ()),
        "digest": digest,
        "policies": {},
        "records": {
            ident: {"hash": content_hash(held), "present": True} for ident, held in records.items()
        },
        **({} if trouble is None else {"error": trouble}),
    }
