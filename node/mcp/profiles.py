"""Which tools a server shows.

Law: one table of tools; a profile is a choice of families. `memory_capabilities` is in every
profile that has memory tools, and tells what the others would bring.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from node.mcp import schema as a
from node.mcp.api import PREFIX, Api
from node.mcp.document_tools import DOCUMENTS
from node.mcp.governing_tools import ARCHIVE, GOVERNANCE, META, OTHER
from node.mcp.graph_tools import GRAPH, POWER
from node.mcp.knowledge_tools import KNOWLEDGE
from node.mcp.memory_tools import CORE, LIFECYCLE
from node.mcp.tool import Arguments, Facts, Outcome, Tool, told

CORE_PROFILE: Final = "core"
FULL_PROFILE: Final = "full"
GRAPH_PROFILE: Final = "knowledge-graph"
PROFILES: Final = (CORE_PROFILE, FULL_PROFILE, GRAPH_PROFILE)

FAMILIES: Final[Mapping[str, tuple[Tool, ...]]] = {
    "core": CORE,
    "lifecycle": (*LIFECYCLE, *DOCUMENTS),
    "graph": GRAPH,
    "governance": GOVERNANCE,
    "power": POWER,
    "meta": META,
    "archive": ARCHIVE,
    "other": OTHER,
}


async def _capabilities(api: Api, given: Arguments) -> Outcome:
    """What the node can do, and which tools there are."""
    family = given.get("family")
    if family is not None:
        return told(_of_family(family, schemas=bool(given.get("include_schema"))))
    facts = await api.request("GET", f"{PREFIX}/capabilities")
    families = [
        {"name": name, "tool_count": len(tools), "tools": [tool.name for tool in tools]}
        for name, tools in FAMILIES.items()
    ]
    profiles = {name: [tool.name for tool in tools_of(name).values()] for name in PROFILES}
    return told({**facts, "families": families, "profiles": profiles})


def _of_family(family: str, *, schemas: bool) -> Facts:
    tools = FAMILIES[family]
    if not schemas:
        return {"family": family, "tools": [tool.name for tool in tools]}
    shown = [
        {"name": tool.name, "description": tool.says, "inputSchema": tool.schema} for tool in tools
    ]
    return {"family": family, "tools": shown}


CAPABILITIES: Final = Tool(
    name="memory_capabilities",
    family="meta",
    says="What this node can do and which further tools there are; with family, the tools of one "
    "family. Tools outside the profile of this server need it to be started with profile full.",
    takes={
        "family": a.choice("Show the tools of this family.", *FAMILIES),
        "include_schema": a.truth("With what each tool takes."),
    },
    reads=True,
    run=_capabilities,
)


def tools_of(profile: str) -> Mapping[str, Tool]:
    """The tools of a profile by name, in the order in which they are shown."""
    return _BY_PROFILE[profile]


def _named(*groups: tuple[Tool, ...]) -> Mapping[str, Tool]:
    return MappingProxyType({tool.name: tool for group in groups for tool in group})


_BY_PROFILE: Final[Mapping[str, Mapping[str, Tool]]] = {
    CORE_PROFILE: _named(CORE, (CAPABILITIES,)),
    FULL_PROFILE: _named(*FAMILIES.values(), (CAPABILITIES,)),
    GRAPH_PROFILE: _named(KNOWLEDGE),
}
