"""Every route of this node, one row each.

Law: the table is complete; the router, the checks and later the OpenAPI page read it.
"""

from typing import Final

from crdt.roles import SYSTEM_ADMIN, TEAM_ADMIN
from node.auth.keys import METRICS
from node.http import agent_routes as agents
from node.http import doctor_routes as doctor
from node.http import document_routes as document
from node.http import duplicate_routes as duplicate
from node.http import erase_routes as erase
from node.http import event_routes as event
from node.http import governance_routes as governance
from node.http import graph_routes as graph
from node.http import ingest_routes as ingest
from node.http import integrity_routes as integrity
from node.http import lifecycle_routes as lifecycle
from node.http import link_routes as link
from node.http import llm_routes as llm
from node.http import mcp_routes as mcp
from node.http import memory_routes as memory
from node.http import mesh_routes as mesh
from node.http import message_routes as message
from node.http import node_routes as node
from node.http import openapi_routes as openapi
from node.http import pending_routes as pending
from node.http import quota_routes as quota
from node.http import recall_routes as recall
from node.http import session_routes as session
from node.http import sync_routes as sync
from node.http import transfer_routes as transfer
from node.http import verify_routes as audit
from node.http.routes import API, Handler, Needs, Route, Touches, least_role

READS, WRITES, NOTHING = Touches.READS, Touches.WRITES, Touches.NOTHING
AGENT, OPEN, OPERATOR, PEER = Needs.AGENT, Needs.OPEN, Needs.OPERATOR, Needs.PEER

_Row = (
    tuple[str, str, Handler, Touches, Needs, str]
    | tuple[str, str, Handler, Touches, Needs, str, str]
)
"""The last text is the least role of an API key, where `least_role` does not say it."""

_STANDARD: Final = f"{API}/namespaces/{{ns}}/standard"
_PEERS: Final = f"{API}/federation/peers"
_DOCUMENT: Final = f"{API}/memories/{{id}}/document"

_ROWS: Final[tuple[_Row, ...]] = (
    ("GET", "/livez", node.livez, NOTHING, OPEN, "whether the process is alive"),
    ("GET", "/readyz", node.readyz, NOTHING, OPEN, "whether reads and writes are served"),
    ("GET", "/metrics", node.metrics, NOTHING, AGENT, "figures for Prometheus", METRICS),
    (
        "GET",
        f"{API}/metrics",
        node.metrics_of_node,
        NOTHING,
        AGENT,
        "the same without process_*",
        METRICS,
    ),
    ("POST", "/mcp", mcp.serve, NOTHING, AGENT, "tools of the Model Context Protocol"),
    ("DELETE", "/mcp", mcp.serve, NOTHING, AGENT, "end a session there"),
    ("GET", f"{API}/health", node.health, NOTHING, OPEN, "whether the store can be used"),
    ("GET", f"{API}/version", node.version, NOTHING, AGENT, "versions of program and protocols"),
    ("GET", f"{API}/openapi.json", openapi.document, NOTHING, AGENT, "this API, for programs"),
    ("GET", f"{API}/capabilities", node.capabilities, NOTHING, AGENT, "what this node can do"),
    ("GET", f"{API}/stats", node.stats, READS, AGENT, "figures about the memories held"),
    ("GET", f"{API}/memories", memory.page, READS, AGENT, "list memories, newest first"),
    ("POST", f"{API}/memories", memory.create, WRITES, AGENT, "make a memory"),
    ("POST", f"{API}/memories/bulk", transfer.bulk, WRITES, AGENT, "make many memories"),
    ("GET", f"{API}/ingest", ingest.ingest, WRITES, AGENT, "write over a WebSocket, confirmed"),
    ("GET", f"{API}/memories/{{id}}", memory.read, READS, AGENT, "read a memory"),
    ("PUT", f"{API}/memories/{{id}}", memory.update, WRITES, AGENT, "change a memory"),
    ("DELETE", f"{API}/memories/{{id}}", memory.delete, WRITES, AGENT, "delete a memory"),
    ("POST", f"{API}/memories/{{id}}/promote", memory.promote, WRITES, AGENT, "make it last"),
    ("GET", f"{API}/memories/{{id}}/conflicts", memory.conflicts, READS, AGENT, "open conflicts"),
    ("GET", f"{API}/memories/{{id}}/history", memory.history, READS, AGENT, "its operations"),
    ("GET", f"{API}/memories/{{id}}/lineage", link.of_lineage, READS, AGENT, "where it comes from"),
    ("POST", f"{API}/memories/{{id}}/grant", link.grant, WRITES, AGENT, "let an agent see it"),
    ("POST", f"{API}/memories/{{id}}/revoke", link.revoke, WRITES, AGENT, "take that back"),
    ("GET", _DOCUMENT, document.read, READS, AGENT, "what a document holds"),
    ("PATCH", _DOCUMENT, document.edit, WRITES, AGENT, "edit it; others may at the same time"),
    ("GET", f"{_DOCUMENT}/changes", document.changes, READS, AGENT, "its changes, as they come"),
    ("POST", f"{_DOCUMENT}/changes", document.add, WRITES, AGENT, "add changes of Automerge"),
    ("GET", f"{_DOCUMENT}/history", document.history, READS, AGENT, "who changed it, and when"),
    ("GET", f"{API}/recall", recall.recall_query, READS, AGENT, "what a context calls to mind"),
    ("POST", f"{API}/recall", recall.recall_body, READS, AGENT, "the same, asked in a body"),
    ("GET", f"{API}/search", recall.search, READS, AGENT, "memories in which words stand"),
    ("GET", f"{API}/index", recall.index_status, NOTHING, OPERATOR, "how far the index is"),
    (
        "POST",
        f"{API}/index/rebuild",
        recall.index_rebuild,
        NOTHING,
        OPERATOR,
        "make the index anew",
    ),
    ("POST", f"{API}/links", link.create, WRITES, AGENT, "say how two memories belong together"),
    ("DELETE", f"{API}/links", link.delete, WRITES, AGENT, "take that back"),
    ("GET", f"{API}/links/{{id}}", link.of_memory, READS, AGENT, "links of a memory, both ways"),
    ("GET", f"{API}/taxonomy", graph.tree, READS, AGENT, "how namespaces nest, with counts"),
    ("POST", f"{API}/entities", graph.register, WRITES, AGENT, "name an entity and its aliases"),
    ("GET", f"{API}/entities/by_alias", graph.by_alias, READS, AGENT, "what a name stands for"),
    ("GET", f"{API}/entities/by-alias", graph.by_alias, READS, AGENT, "the same, spelt otherwise"),
    ("POST", f"{API}/kg/query", graph.query, READS, AGENT, "walk along the links of a memory"),
    ("GET", f"{API}/kg/timeline", graph.events, READS, AGENT, "what its links said, and when"),
    ("POST", f"{API}/kg/invalidate", graph.invalidate, WRITES, AGENT, "say until when a link held"),
    ("POST", f"{API}/auto_tag", llm.auto_tag, READS, AGENT, "tags that a language model gives"),
    ("POST", f"{API}/expand_query", llm.expand_query, READS, AGENT, "further words for a query"),
    ("POST", f"{API}/memories/{{id}}/forget", lifecycle.forget_one, WRITES, AGENT, "forget it"),
    ("POST", f"{API}/forget", lifecycle.forget, WRITES, AGENT, "erase for good", TEAM_ADMIN),
    ("GET", f"{API}/archive", lifecycle.archive_page, READS, AGENT, "list the archive"),
    ("POST", f"{API}/archive", lifecycle.archive_many, WRITES, AGENT, "put memories there"),
    ("DELETE", f"{API}/archive", lifecycle.purge, WRITES, AGENT, "empty it", TEAM_ADMIN),
    ("GET", f"{API}/archive/stats", lifecycle.archive_stats, READS, AGENT, "figures about it"),
    ("POST", f"{API}/archive/{{id}}", lifecycle.archive_one, WRITES, AGENT, "put a memory there"),
    ("DELETE", f"{API}/archive/{{id}}", lifecycle.purge_one, WRITES, AGENT, "delete it there"),
    ("POST", f"{API}/archive/{{id}}/restore", lifecycle.restore, WRITES, AGENT, "take it out"),
    (
        "POST",
        f"{API}/consolidate",
        lifecycle.consolidate,
        WRITES,
        AGENT,
        "make one memory of several",
        TEAM_ADMIN,
    ),
    ("POST", f"{API}/gc", lifecycle.collect, WRITES, AGENT, "end what is over", TEAM_ADMIN),
    ("POST", f"{API}/check_duplicate", duplicate.check_duplicate, READS, AGENT, "is it known"),
    ("GET", f"{API}/contradictions", duplicate.contradicting, READS, AGENT, "what contradicts"),
    ("GET", f"{API}/quota", quota.quota, READS, AGENT, "limits and use of the caller"),
    ("GET", f"{API}/export", transfer.export, READS, AGENT, "all memories, as a stream"),
    (
        "POST",
        f"{API}/import",
        transfer.take_in,
        WRITES,
        AGENT,
        "take exported memories in",
        SYSTEM_ADMIN,
    ),
    ("GET", f"{API}/namespaces", governance.spaces, READS, AGENT, "namespaces, or one's standards"),
    ("POST", f"{API}/namespaces", governance.put, WRITES, AGENT, "set a standard", TEAM_ADMIN),
    (
        "DELETE",
        f"{API}/namespaces",
        governance.clear,
        WRITES,
        AGENT,
        "clear a standard",
        TEAM_ADMIN,
    ),
    ("GET", _STANDARD, governance.read, READS, AGENT, "the standards of a namespace"),
    ("POST", _STANDARD, governance.put_one, WRITES, AGENT, "set a standard", TEAM_ADMIN),
    ("DELETE", _STANDARD, governance.clear_one, WRITES, AGENT, "clear a standard", TEAM_ADMIN),
    ("GET", f"{API}/agents", agents.page, READS, AGENT, "registered agents, and roles"),
    ("POST", f"{API}/agents", agents.register, WRITES, AGENT, "register an agent"),
    (
        "POST",
        f"{API}/agents/{{id}}/role",
        agents.give_role,
        WRITES,
        AGENT,
        "give or take a role",
        SYSTEM_ADMIN,
    ),
    ("GET", f"{API}/pending", pending.page, READS, AGENT, "actions held for approval"),
    ("GET", f"{API}/pending/stream", pending.follow, READS, AGENT, "their changes, as they come"),
    ("POST", f"{API}/pending/{{id}}/approve", pending.approve, WRITES, AGENT, "vote for an action"),
    ("POST", f"{API}/pending/{{id}}/reject", pending.reject, WRITES, AGENT, "vote against it"),
    ("GET", f"{API}/events/stream", event.follow, READS, AGENT, "what happens, as it happens"),
    ("POST", f"{API}/subscriptions", event.subscribe, WRITES, AGENT, "have events delivered"),
    ("GET", f"{API}/subscriptions", event.subscribed, READS, AGENT, "who wants to hear of what"),
    ("DELETE", f"{API}/subscriptions", event.unsubscribe, WRITES, AGENT, "end subscriptions"),
    (
        "DELETE",
        f"{API}/subscriptions/{{id}}",
        event.unsubscribe_one,
        WRITES,
        AGENT,
        "end a subscription",
    ),
    ("POST", f"{API}/notify", message.notify, WRITES, AGENT, "write to an agent"),
    ("GET", f"{API}/inbox", message.inbox, READS, AGENT, "what was written to the caller"),
    ("POST", f"{API}/inbox/read", message.mark, WRITES, AGENT, "say that messages were read"),
    ("POST", f"{API}/session/start", session.begin, READS, AGENT, "begin a session"),
    ("GET", f"{API}/mesh", mesh.status, NOTHING, AGENT, "this node and the members"),
    ("POST", f"{API}/cluster", mesh.status, NOTHING, AGENT, "the same, for older clients"),
    ("GET", f"{API}/doctor", doctor.doctor, NOTHING, OPERATOR, "what is wrong with this node"),
    ("POST", f"{API}/mesh/introduce", mesh.introduce, NOTHING, OPEN, "show a certificate"),
    ("POST", f"{API}/mesh/join", mesh.join, NOTHING, PEER, "ask to become a member"),
    ("POST", f"{API}/mesh/remove", mesh.remove, NOTHING, OPERATOR, "take a member out"),
    ("GET", f"{API}/verify", audit.verify, NOTHING, OPERATOR, "hold the chains to their word"),
    ("GET", f"{API}/erasure", erase.erasure, READS, AGENT, "what is left of what was erased"),
    ("POST", f"{API}/compact", erase.compact, NOTHING, OPERATOR, "rewrite the file of the store"),
    ("GET", f"{API}/integrity", integrity.state, NOTHING, OPERATOR, "damage, and the last pass"),
    ("POST", f"{API}/integrity/scrub", integrity.scrub, NOTHING, OPERATOR, "read the whole store"),
    ("GET", f"{API}/peer", mesh.peer, NOTHING, PEER, "the mesh protocol"),
    ("POST", f"{API}/sync/push", sync.push, WRITES, PEER, "give memories to this node"),
    ("GET", f"{API}/sync/since", sync.since, READS, PEER, "fetch what arrived since"),
    ("GET", _PEERS, sync.peers, NOTHING, OPERATOR, "foreign peers this node exchanges with"),
    ("POST", _PEERS, sync.add_peers, NOTHING, OPERATOR, "exchange with more, as long as asked"),
    ("DELETE", _PEERS, sync.drop_peers, NOTHING, OPERATOR, "withdraw what was added"),
)

_DIRECT: Final = frozenset(
    (
        node.livez,
        node.readyz,
        node.health,
        memory.create,
        memory.read,
        memory.update,
        memory.delete,
        memory.promote,
        transfer.bulk,
    )
)
"""Handlers that wait for nothing but plain futures: no timeout, no task, no stream."""


def _route(row: _Row) -> Route:
    method, path, handler, touches, needs, summary, *named = row
    return Route(
        method=method,
        path=path,
        handler=handler,
        touches=touches,
        needs=needs,
        summary=summary,
        role=named[0] if named else least_role(touches, needs),
        direct=handler in _DIRECT,
    )


TABLE: Final[tuple[Route, ...]] = tuple(_route(row) for row in _ROWS)
