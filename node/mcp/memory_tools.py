"""Tools for single memories: store, find, read, change, take away.

Law: names and arguments are the published ones; what they add is optional.
"""

from typing import Final

from node.mcp import schema as a
from node.mcp.api import PREFIX, Api
from node.mcp.families import load_family, smart_load
from node.mcp.tool import Arguments, Facts, Outcome, Route, Tool, only, told, without
from node.memory.rules import KINDS

_SCOPE: Final = a.choice(
    "Who may see it: private hides it from all but its author and those granted.",
    "private",
    "team",
    "unit",
    "org",
    "collective",
)
_KIND: Final = a.choice("What it is; observation when left out.", *KINDS)
_CONFLICTS: Final = {"merge": "update", "version": "none"}
_FIELDS: Final[dict[str, a.Piece]] = {
    "tier": a.TIER,
    "namespace": a.NAMESPACE,
    "tags": a.TAGS,
    "priority": a.PRIORITY,
    "confidence": a.CONFIDENCE,
    "metadata": a.METADATA,
    "memory_kind": _KIND,
    "source_uri": a.text("Where it comes from, as a URI."),
    "citations": {"type": "array", "description": "What it rests on."},
}
_FAMILY: Final = a.choice(
    "Group of memories, as said in their metadata.family.",
    "core",
    "lifecycle",
    "graph",
    "governance",
    "power",
    "meta",
    "archive",
    "other",
)
_ONLY_COUNT: Final = a.truth("Only say what would be touched; change nothing.")
_K: Final = a.whole("At most so many, up to 100.", 1, 100, 20)


async def _store(api: Api, given: Arguments) -> Outcome:
    body = {"source": "mcp"} | {name: value for name, value in given.items() if value is not None}
    rule = body.get("on_conflict")
    if rule is not None:
        body["on_conflict"] = _CONFLICTS.get(rule, rule)
    return told(await api.request("POST", f"{PREFIX}/memories", body=body))


def _got(facts: Facts) -> Facts:
    """The record once, not also flat beside itself."""
    return only("memory", "links")(facts) if "memory" in facts else facts


CORE: Final = (
    Tool(
        name="memory_store",
        family="core",
        says="Store a memory. Give it a title that will be recognised and all of the content that "
        "matters; it is kept on every node of the mesh.",
        takes={
            "title": a.text("Short title, 1 to 512 characters.", maxLength=512),
            "content": a.text("The whole text to remember."),
            **_FIELDS,
            "source": a.text("What it comes from; mcp when left out."),
            "agent_id": a.AGENT,
            "scope": _SCOPE,
            "on_conflict": a.choice(
                "What to do when the namespace has a memory with this title: error, update (or "
                "merge) it, or keep both (none, version), which is the default.",
                "none",
                "error",
                "update",
                "merge",
                "version",
            ),
            "ttl_secs": a.whole("Seconds to live, instead of those of the tier.", 1),
            "expires_at": a.text("When it expires (RFC 3339)."),
            "id": a.text("Id of your own choice; a repetition with it is not stored twice."),
        },
        needs=("title", "content"),
        run=_store,
    ),
    Tool(
        name="memory_recall",
        family="core",
        says="Recall what is relevant to a context, best first. Use it before answering from "
        "memory, with the question in plain words.",
        takes={
            "context": a.text("What you want to remember, in plain words."),
            "namespace": a.ONLY_NAMESPACE,
            "limit": a.limit(10, 50),
            "tags": a.ALL_TAGS,
            "since": a.SINCE,
            "until": a.UNTIL,
            "as_agent": a.text("Show what this agent may see, where you may ask that."),
            "budget_tokens": a.whole("Stop when the memories together have so many tokens.", 0),
            "min_score": {"type": "number", "description": "Leave out what scores below."},
        },
        needs=("context",),
        reads=True,
        run=Route("POST", "/recall"),
    ),
    Tool(
        name="memory_search",
        family="core",
        says="Find memories that literally contain every word of a query. For questions in plain "
        "words use memory_recall.",
        takes={
            "query": a.text("Words that all have to occur."),
            "namespace": a.ONLY_NAMESPACE,
            "tier": a.ONLY_TIER,
            "limit": a.limit(20, 200),
            "offset": a.OFFSET,
            "tags": a.ALL_TAGS,
            "agent_id": a.OF_AGENT,
            "since": a.SINCE,
            "until": a.UNTIL,
            "min_priority": a.MIN_PRIORITY,
        },
        needs=("query",),
        reads=True,
        run=Route("GET", "/search", names={"query": "q"}, shape=without("memories")),
    ),
    Tool(
        name="memory_list",
        family="core",
        says="List memories, newest first, with filters.",
        takes={
            "namespace": a.ONLY_NAMESPACE,
            "tier": a.ONLY_TIER,
            "limit": a.limit(20, 200),
            "offset": a.OFFSET,
            "agent_id": a.OF_AGENT,
            "tags": a.ALL_TAGS,
            "since": a.SINCE,
            "until": a.UNTIL,
            "min_priority": a.MIN_PRIORITY,
            "session_id": a.text("Only memories of this session (metadata.session_id)."),
        },
        reads=True,
        run=Route("GET", "/memories"),
    ),
    Tool(
        name="memory_get",
        family="core",
        says="Read one memory by its id, with its links.",
        takes={"id": a.ID},
        needs=("id",),
        reads=True,
        run=Route("GET", "/memories/{id}", shape=_got),
    ),
    Tool(
        name="memory_load_family",
        family="core",
        says="Load the most important and newest memories whose metadata.family is the given one.",
        takes={"family": _FAMILY, "namespace": a.ONLY_NAMESPACE, "k": _K},
        needs=("family",),
        reads=True,
        run=load_family,
    ),
    Tool(
        name="memory_smart_load",
        family="core",
        says="Say what you are about to do; loads the memories of the family that fits, and fills "
        "up with what is relevant to the intent.",
        takes={
            "intent": a.text("What you are about to do, in plain words."),
            "namespace": a.ONLY_NAMESPACE,
            "k": _K,
        },
        needs=("intent",),
        reads=True,
        run=smart_load,
    ),
)


LIFECYCLE: Final = (
    Tool(
        name="memory_update",
        family="lifecycle",
        says="Change fields of a memory; what is left out stays. A new namespace moves it.",
        takes={
            "id": a.ID,
            "title": a.text("New title.", maxLength=512),
            "content": a.text("New content, whole."),
            **_FIELDS,
            "expires_at": {
                "type": ["string", "null"],
                "description": "When it expires (RFC 3339); null for never.",
            },
        },
        needs=("id",),
        destroys=True,
        repeats=True,
        run=Route("PUT", "/memories/{id}", nulls=True),
    ),
    Tool(
        name="memory_delete",
        family="lifecycle",
        says="Delete one memory on every node.",
        takes={"id": a.ID},
        needs=("id",),
        destroys=True,
        repeats=True,
        run=Route("DELETE", "/memories/{id}"),
    ),
    Tool(
        name="memory_promote",
        family="lifecycle",
        says="Make a memory last for ever; restores an archived one.",
        takes={
            "id": a.ID,
            "to_namespace": a.text("Namespace to promote it to, where that is meant."),
        },
        needs=("id",),
        repeats=True,
        run=Route("POST", "/memories/{id}/promote"),
    ),
    Tool(
        name="memory_forget",
        family="lifecycle",
        says="Erase all memories that match every given filter, archived ones too. At least one "
        "filter is needed.",
        takes={
            "ids": a.texts("Ids of memories."),
            "namespace": a.ONLY_NAMESPACE,
            "pattern": a.text("Text within the title or the content."),
            "tier": a.ONLY_TIER,
            "agent_id": a.OF_AGENT,
            "dry_run": _ONLY_COUNT,
        },
        destroys=True,
        repeats=True,
        run=Route("POST", "/forget"),
    ),
    Tool(
        name="memory_gc",
        family="lifecycle",
        says="Clear away memories that have expired.",
        takes={"dry_run": _ONLY_COUNT},
        destroys=True,
        repeats=True,
        run=Route("POST", "/gc"),
    ),
    Tool(
        name="memory_history",
        family="lifecycle",
        says="What was done to a memory, newest first, as far as the log reaches back.",
        takes={"id": a.ID, "limit": a.limit(100, 1000)},
        needs=("id",),
        reads=True,
        run=Route("GET", "/memories/{id}/history"),
    ),
    Tool(
        name="memory_conflicts",
        family="lifecycle",
        says="Values that were written at the same time elsewhere and that the merge did not "
        "choose.",
        takes={"id": a.ID},
        needs=("id",),
        reads=True,
        run=Route("GET", "/memories/{id}/conflicts"),
    ),
    Tool(
        name="memory_grant",
        family="lifecycle",
        says="Let another agent see a private memory.",
        takes={"id": a.ID, "agent_id": a.text("Agent that shall see it.")},
        needs=("id", "agent_id"),
        repeats=True,
        run=Route("POST", "/memories/{id}/grant"),
    ),
    Tool(
        name="memory_revoke",
        family="lifecycle",
        says="Take back that an agent sees a private memory.",
        takes={"id": a.ID, "agent_id": a.text("Agent that shall not see it any more.")},
        needs=("id", "agent_id"),
        destroys=True,
        repeats=True,
        run=Route("POST", "/memories/{id}/revoke"),
    ),
)
