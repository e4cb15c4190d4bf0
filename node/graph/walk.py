"""What a memory is connected with at a moment: a walk along the links that hold then.

Law: breadth first from the source along the links that leave it, each memory once, so cycles
end and the depth told is the smallest; a link holds from `valid_from` until just before
`valid_until`. What the caller may not see is left out, and nothing is reached through it. The
walk is bounded by depth, by memories told and by links followed; when it was cut it says so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from node.contracts import Caller, Held
from node.limits import Limits
from node.links.link import Link
from node.links.links import Links
from node.memory.problems import InvalidField
from node.memory.rules import agent_id, moment, whole

DEPTH_MAX: Final = 5
LIMIT_DEFAULT: Final = 200
EDGES_MAX: Final = 10_000
_COUNT_MAX: Final = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What a request wants to know.

    Attributes:
        max_depth: how many links away to look.
        at: milliseconds since the epoch; None is now.
        agents: whose links count; None is everybody's.
        limit: how many memories are told at most.
    """

    max_depth: int = 1
    at: int | None = None
    agents: frozenset[str] | None = None
    limit: int = LIMIT_DEFAULT

    def follows(self, link: Link, now_ms: int) -> bool:
        """Whether a link counts and holds at that moment."""
        if self.agents is not None and link.owner not in self.agents:
            return False
        # Now is never before the link was made, though its author's clock may be ahead of ours.
        at = max(now_ms, link.made) if self.at is None else self.at
        if self.at is None and link.valid_from == link.made:
            at = max(at, link.valid_from)
        return link.valid_from <= at and (link.valid_until is None or at < link.valid_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """One memory of the walk: the link over which it was reached, and all ids on the way."""

    held: Held
    link: Link
    path: tuple[str, ...]

    @property
    def depth(self) -> int:
        """How many links lie between it and the source."""
        return len(self.path) - 1

    @property
    def path_text(self) -> str:
        """The ids on the way, the source first."""
        return "->".join(self.path)

    def shown(self) -> dict[str, Any]:
        """What the API tells beside the memory itself."""
        link = self.link.shown()
        return {
            "target_id": self.held.id,
            "target_namespace": self.held.view.namespace,
            "relation": self.link.relation,
            "valid_from": link["valid_from"],
            "valid_until": link.get("valid_until"),
            "observed_by": self.link.owner,
            "depth": self.depth,
            "path": self.path_text,
        }


@dataclass(slots=True, kw_only=True)
class Found:
    """What a walk found; `truncated` when it was cut."""

    memories: list[Reached] = field(default_factory=list)
    edges: list[Link] = field(default_factory=list)
    truncated: bool = False


async def walk(links: Links, source: Held, viewer: Caller, wanted: Walk, now_ms: int) -> Found:
    """Walk from a memory.

    Args:
        links: what is linked.
        source: where to begin.
        viewer: who asks.
        wanted: what the request wants to know.
        now_ms: wall clock, milliseconds since the epoch.
    """
    found = Found()
    paths: dict[str, tuple[str, ...]] = {source.id: (source.id,)}
    level = [source.id]
    for _ in range(wanted.max_depth):
        following: list[str] = []
        for parent in level:
            async for link, held in links.neighbours(parent, viewer, outward=True):
                if not wanted.follows(link, now_ms):
                    continue
                if len(found.edges) >= EDGES_MAX:
                    found.truncated = True
                    return found
                if held.id not in paths:
                    if len(found.memories) >= wanted.limit:
                        found.truncated = True
                        continue
                    paths[held.id] = (*paths[parent], held.id)
                    following.append(held.id)
                    found.memories.append(Reached(held=held, link=link, path=paths[held.id]))
                found.edges.append(link)
        level = following
    return found


def read_walk(body: Mapping[str, Any], limits: Limits) -> Walk:
    """What a request wants to know.

    Raises:
        InvalidField: a field cannot be taken.
    """
    at = next((name for name in ("valid_at", "as_of") if body.get(name) is not None), None)
    depth, limit = body.get("max_depth"), body.get("limit")
    agents = body.get("allowed_agents")
    most = limits.page_items_max
    return Walk(
        max_depth=1 if depth is None else whole("max_depth", depth, 1, DEPTH_MAX),
        at=None if at is None else moment(at, body[at]),
        agents=None if agents is None else _agents(agents, limits),
        limit=min(LIMIT_DEFAULT if limit is None else whole("limit", limit, 0, _COUNT_MAX), most),
    )


def _agents(given: Any, limits: Limits) -> frozenset[str] | None:
    """Whose links count; a list that is empty names nobody, an empty text leaves it open."""
    if isinstance(given, str):
        names: Iterable[Any] = [name for part in given.split(",") if (name := part.strip())]
        if not names:
            return None
    elif isinstance(given, list):
        names = given
    else:
        raise InvalidField("allowed_agents", "expected a list of agent ids")
    return frozenset(agent_id("allowed_agents", name, limits) for name in names)
