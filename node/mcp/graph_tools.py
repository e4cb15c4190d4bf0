"""Tools for links, entities and the graph that they make; comparing and consolidating.

Law: names and arguments are the published ones; what they add is optional.
"""

from typing import Any, Final

from node.mcp import schema as a
from node.mcp.api import PREFIX, Api
from node.mcp.tool import Arguments, Facts, Outcome, Route, Tool, escaped, told, without

_SOURCE: Final = a.text("Id of the memory that the link starts from.")
_TARGET: Final = a.text("Id of the memory that the link points to.")
_RELATION: Final = a.text(
    "related_to, supersedes, contradicts, derived_from, derives_from, reflects_on, or a word of "
    "your own in lower case with underscores."
)
_LINK: Final = {"source_id": _SOURCE, "target_id": _TARGET, "relation": _RELATION}

GRAPH: Final = (
    Tool(
        name="memory_link",
        family="graph",
        says="Say how one memory belongs to another. Use contradicts where two cannot both be "
        "true, supersedes where one replaces the other.",
        takes={**_LINK, "valid_from": a.text("Since when it holds (RFC 3339).")},
        needs=("source_id", "target_id"),
        repeats=True,
        run=Route("POST", "/links"),
    ),
    Tool(
        name="memory_unlink",
        family="graph",
        says="Take a link back.",
        takes=_LINK,
        needs=("source_id", "target_id", "relation"),
        destroys=True,
        repeats=True,
        run=Route("DELETE", "/links", in_body=True),
    ),
    Tool(
        name="memory_get_links",
        family="graph",
        says="The links of a memory, both ways.",
        takes={"id": a.ID},
        needs=("id",),
        reads=True,
        run=Route("GET", "/links/{id}"),
    ),
    Tool(
        name="memory_lineage",
        family="graph",
        says="What a memory was derived from, or what was derived from it.",
        takes={
            "id": a.ID,
            "direction": a.choice("Which way to look.", "ancestors", "descendants"),
            "max_depth": a.whole("How many links away to look.", 1, 20, 5),
        },
        needs=("id",),
        reads=True,
        run=Route("GET", "/memories/{id}/lineage"),
    ),
    Tool(
        name="memory_kg_query",
        family="graph",
        says="Follow links from a memory, up to five steps, as they held at a time.",
        takes={
            "source_id": _SOURCE,
            "max_depth": a.whole("How many links away to look.", 1, 5, 1),
            "valid_at": a.WHEN,
            "allowed_agents": a.texts("Only links that one of these agents made."),
            "limit": a.limit(200, 1000),
        },
        needs=("source_id",),
        reads=True,
        run=Route("POST", "/kg/query"),
    ),
    Tool(
        name="memory_kg_timeline",
        family="graph",
        says="When links of a memory began and ended to hold, oldest first.",
        takes={
            "source_id": _SOURCE,
            "since": a.SINCE,
            "until": a.UNTIL,
            "limit": a.limit(200, 1000),
        },
        needs=("source_id",),
        reads=True,
        run=Route("GET", "/kg/timeline"),
    ),
    Tool(
        name="memory_kg_invalidate",
        family="graph",
        says="Say that a link does not hold any more; it stays in the timeline.",
        takes={**_LINK, "valid_until": a.WHEN},
        needs=("source_id", "target_id", "relation"),
        destroys=True,
        repeats=True,
        run=Route("POST", "/kg/invalidate"),
    ),
    Tool(
        name="memory_entity_register",
        family="graph",
        says="Register a person, thing or project under one name, with further names. Calling it "
        "again unites the names.",
        takes={
            "canonical_name": a.text("The name it goes by."),
            "namespace": a.NAMESPACE,
            "aliases": a.texts("Further names."),
            "metadata": a.METADATA,
            "agent_id": a.AGENT,
        },
        needs=("canonical_name", "namespace"),
        repeats=True,
        run=Route("POST", "/entities"),
    ),
    Tool(
        name="memory_entity_get_by_alias",
        family="graph",
        says="Which entity goes by a name.",
        takes={"alias": a.text("The name."), "namespace": a.ONLY_NAMESPACE},
        needs=("alias",),
        reads=True,
        run=Route("GET", "/entities/by_alias"),
    ),
    Tool(
        name="memory_get_taxonomy",
        family="graph",
        says="The tree of namespaces, with how many memories each holds.",
        takes={
            "namespace_prefix": a.text("Only this namespace and what is below it."),
            "depth": a.whole("How many levels to show.", 0, 8),
            "limit": a.limit(1000, 10_000),
        },
        reads=True,
        run=Route("GET", "/taxonomy", names={"namespace_prefix": "prefix"}, shape=without("tree")),
    ),
)


async def _compare(api: Api, given: Arguments) -> Outcome:
    """Whether two memories contradict each other, or which ones about a topic do."""
    one, other = given.get("id_a"), given.get("id_b")
    if one is None or other is None:
        params = {key: given[key] for key in ("topic", "namespace") if given.get(key)}
        return told(await api.request("GET", f"{PREFIX}/contradictions", params=params))
    first, second = await _memory(api, one), await _memory(api, other)
    pair = {first["id"], second["id"]}
    links = (await api.request("GET", f"{PREFIX}/links/{escaped(first['id'])}"))["links"]
    basis = "link" if _says_so(links, pair) else ""
    if not basis:
        topic = (first.get("metadata") or {}).get("topic") or first["title"]
        params = {"topic": topic, "namespace": first["namespace"]}
        found = await api.request("GET", f"{PREFIX}/contradictions", params=params)
        basis = "topic" if _says_so(found.get("links", []), pair) else ""
    facts = {
        "contradicts": bool(basis),
        "basis": basis or None,
        "memory_a": _shown(first),
        "memory_b": _shown(second),
    }
    return told(facts)


async def _memory(api: Api, ident: str) -> Facts:
    answer = await api.request("GET", f"{PREFIX}/memories/{escaped(ident)}")
    memory: Facts = answer["memory"]
    return memory


def _shown(memory: Facts) -> Facts:
    return {"id": memory["id"], "title": memory["title"], "content": memory["content"]}


def _says_so(links: list[dict[str, Any]], pair: set[str]) -> bool:
    return any(
        link.get("relation") == "contradicts" and {link["source_id"], link["target_id"]} == pair
        for link in links
    )


POWER: Final = (
    Tool(
        name="memory_consolidate",
        family="power",
        says="Make one memory of several. Its sources are archived and stay linked to it. Write "
        "the summary yourself.",
        takes={
            "ids": a.texts("Ids of the memories to unite.", 2, 100),
            "title": a.text("Title of the new memory.", maxLength=512),
            "summary": a.text("What all of them say, in your words."),
            "namespace": a.NAMESPACE,
            "tier": a.TIER,
        },
        needs=("ids", "title"),
        destroys=True,
        run=Route("POST", "/consolidate"),
    ),
    Tool(
        name="memory_check_duplicate",
        family="power",
        says="Whether something like this is stored already. Ask before you store.",
        takes={
            "title": a.text("Title it would have."),
            "content": a.text("Content it would have."),
            "namespace": a.ONLY_NAMESPACE,
            "threshold": a.number("From which likeness on it counts as the same.", 0, 1),
            "limit": a.limit(5, 50),
        },
        needs=("content",),
        reads=True,
        run=Route("POST", "/check_duplicate"),
    ),
    Tool(
        name="memory_detect_contradiction",
        family="power",
        says="Whether two memories contradict each other: by a link that says so, or because they "
        "say different things about one topic. Without ids: what contradicts about a topic.",
        takes={
            "id_a": a.text("Id of one memory."),
            "id_b": a.text("Id of the other one."),
            "topic": a.text("Topic, when no ids are given."),
            "namespace": a.ONLY_NAMESPACE,
        },
        reads=True,
        run=_compare,
    ),
    Tool(
        name="memory_auto_tag",
        family="power",
        says="Let the node's language model choose tags for a memory.",
        takes={"id": a.ID},
        needs=("id",),
        run=Route("POST", "/auto_tag"),
    ),
    Tool(
        name="memory_expand_query",
        family="power",
        says="Let the node's language model find further words for a query.",
        takes={"query": a.text("The query.")},
        needs=("query",),
        reads=True,
        run=Route("POST", "/expand_query"),
    ),
)
