"""Tools for rules and approvals, the archive, agents, messages and subscriptions.

Law: names and arguments are the published ones; what they add is optional.
"""

from typing import Final

from node.mcp import schema as a
from node.mcp.tool import Route, Tool

_PENDING_ID: Final = a.text("Id of the action, from memory_pending_list.")
_REASON: Final = a.text("Why, for others to read.")
_SPACE: Final = a.text("The namespace; * for all of them.")

GOVERNANCE: Final = (
    Tool(
        name="memory_pending_list",
        family="governance",
        says="Actions that wait for approval; with status, those that were decided.",
        takes={
            "status": a.choice(
                "Only these; pending when left out.", "pending", "approved", "rejected"
            ),
            "namespace": a.text("Only actions in this namespace."),
            "limit": a.limit(100, 1000),
        },
        reads=True,
        run=Route("GET", "/pending", fixed={"status": "pending"}),
    ),
    Tool(
        name="memory_pending_approve",
        family="governance",
        says="Vote for an action that waits. Nobody decides about their own.",
        takes={"id": _PENDING_ID, "reason": _REASON},
        needs=("id",),
        repeats=True,
        run=Route("POST", "/pending/{id}/approve"),
    ),
    Tool(
        name="memory_pending_reject",
        family="governance",
        says="Vote against an action that waits.",
        takes={"id": _PENDING_ID, "reason": _REASON},
        needs=("id",),
        destroys=True,
        repeats=True,
        run=Route("POST", "/pending/{id}/reject"),
    ),
    Tool(
        name="memory_namespace_set_standard",
        family="governance",
        says="Set the rules of a namespace, and the memory that states its standard.",
        takes={
            "namespace": _SPACE,
            "id": a.text("Id of the memory that states the standard."),
            "parent": a.text("Namespace whose standards come before."),
            "governance": a.anything(
                "Who may: write, promote, delete, each any, registered, owner or approve; "
                'approver "human", {"agent": id} or {"consensus": n}; inherit true or false.'
            ),
        },
        needs=("namespace", "id"),
        destroys=True,
        repeats=True,
        run=Route("POST", "/namespaces"),
    ),
    Tool(
        name="memory_namespace_get_standard",
        family="governance",
        says="The standard of a namespace; with inherit, those above it too.",
        takes={"namespace": _SPACE, "inherit": a.truth("Show the chain from the top.")},
        needs=("namespace",),
        reads=True,
        run=Route("GET", "/namespaces"),
    ),
    Tool(
        name="memory_namespace_clear_standard",
        family="governance",
        says="Clear the rules of a namespace; those above it hold again.",
        takes={"namespace": _SPACE},
        needs=("namespace",),
        destroys=True,
        repeats=True,
        run=Route("DELETE", "/namespaces"),
    ),
    Tool(
        name="memory_namespace_list",
        family="governance",
        says="All namespaces, with how many memories each holds.",
        reads=True,
        run=Route("GET", "/namespaces"),
    ),
)

ARCHIVE: Final = (
    Tool(
        name="memory_archive_list",
        family="archive",
        says="Archived memories, last archived first.",
        takes={"namespace": a.ONLY_NAMESPACE, "limit": a.limit(50, 1000), "offset": a.OFFSET},
        reads=True,
        run=Route("GET", "/archive"),
    ),
    Tool(
        name="memory_archive",
        family="archive",
        says="Put memories away without losing them.",
        takes={"ids": a.texts("Ids of the memories.", 1, 1000), "reason": _REASON},
        needs=("ids",),
        repeats=True,
        run=Route("POST", "/archive"),
    ),
    Tool(
        name="memory_archive_restore",
        family="archive",
        says="Bring an archived memory back.",
        takes={"id": a.ID},
        needs=("id",),
        repeats=True,
        run=Route("POST", "/archive/{id}/restore"),
    ),
    Tool(
        name="memory_archive_purge",
        family="archive",
        says="Delete archived memories for good.",
        takes={"older_than_days": a.whole("Only what was archived longer ago than this.", 0)},
        destroys=True,
        repeats=True,
        run=Route("DELETE", "/archive"),
    ),
    Tool(
        name="memory_archive_stats",
        family="archive",
        says="How many memories are archived, by namespace.",
        reads=True,
        run=Route("GET", "/archive/stats"),
    ),
)

META: Final = (
    Tool(
        name="memory_agent_register",
        family="meta",
        says="Register an agent, so that it may vote and write where only registered ones may.",
        takes={
            "agent_id": a.text("Id of the agent, as ai:alice."),
            "agent_type": a.text("human, system, or ai:<name>."),
            "capabilities": a.texts("What it can do."),
        },
        needs=("agent_id", "agent_type"),
        repeats=True,
        run=Route("POST", "/agents"),
    ),
    Tool(
        name="memory_agent_list",
        family="meta",
        says="All registered agents.",
        reads=True,
        run=Route("GET", "/agents"),
    ),
    Tool(
        name="memory_session_start",
        family="meta",
        says="Begin a session: gives it an id and the memories to begin with.",
        takes={"namespace": a.ONLY_NAMESPACE, "agent_id": a.AGENT, "limit": a.limit(10, 50)},
        run=Route("POST", "/session/start"),
    ),
    Tool(
        name="memory_stats",
        family="meta",
        says="How much is stored, by tier and by namespace.",
        reads=True,
        run=Route("GET", "/stats"),
    ),
    Tool(
        name="memory_quota_status",
        family="meta",
        says="What the caller may still add today.",
        reads=True,
        run=Route("GET", "/quota"),
    ),
)

OTHER: Final = (
    Tool(
        name="memory_notify",
        family="other",
        says="Send a message to another agent; only it can read it.",
        takes={
            "target_agent_id": a.text("Who it is for."),
            "title": a.text("What it is about."),
            "payload": a.text("The message."),
            "priority": a.PRIORITY,
            "tier": a.TIER,
        },
        needs=("target_agent_id", "title", "payload"),
        run=Route("POST", "/notify", names={"payload": "content"}),
    ),
    Tool(
        name="memory_inbox",
        family="other",
        says="Messages for the caller.",
        takes={
            "agent_id": a.text("Whose messages; the caller's when left out."),
            "unread_only": a.truth("Only what was not read."),
            "limit": a.limit(50, 500),
        },
        reads=True,
        run=Route("GET", "/inbox"),
    ),
    Tool(
        name="memory_inbox_read",
        family="other",
        says="Mark messages of the caller as read; all of them when no ids are given.",
        takes={"ids": a.texts("Ids of the messages.", 1, 1000)},
        repeats=True,
        run=Route("POST", "/inbox/read"),
    ),
    Tool(
        name="memory_subscribe",
        family="other",
        says="Have events sent to an address, signed where a secret is given.",
        takes={
            "url": a.text("Where to send them, https."),
            "events": a.text("Names of events with commas, or * for all."),
            "secret": a.text("Key of the signature (HMAC-SHA256)."),
            "namespace_filter": a.text("Only events in this namespace."),
            "agent_filter": a.text("Only events about memories of this agent."),
        },
        needs=("url",),
        run=Route(
            "POST",
            "/subscriptions",
            names={"namespace_filter": "namespace", "agent_filter": "agent_id"},
        ),
    ),
    Tool(
        name="memory_unsubscribe",
        family="other",
        says="End a subscription.",
        takes={"id": a.text("Id of the subscription.")},
        needs=("id",),
        destroys=True,
        repeats=True,
        run=Route("DELETE", "/subscriptions/{id}"),
    ),
    Tool(
        name="memory_list_subscriptions",
        family="other",
        says="All subscriptions of the caller.",
        reads=True,
        run=Route("GET", "/subscriptions"),
    ),
)
