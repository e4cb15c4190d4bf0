"""Handlers about the node itself: health, metrics, version, capabilities, figures.

Law: they say only what is true of this node now. Liveness looks at nothing but the loop;
readiness looks at peers only when it is asked to, or a partition would drain every node.
"""

import asyncio
from collections import Counter
from typing import Final

from crdt.roles import within
from node.events.names import HOOK_NAMES
from node.http.answer import TEXT, Answer, json_answer
from node.http.call import Call
from node.http.problems import Problem
from node.http.services import Services
from node.metrics import CONTENT_TYPE

API_VERSION: Final = "v1"
SERVICE: Final = "mnemesh"
_SOON_MS: Final = 3_600_000


async def health(call: Call) -> Answer:
    """GET /health."""
    services = call.services
    trouble = services.store_trouble()
    status = services.mesh.status()
    body = {
        "status": "ok" if trouble is None else "unusable",
        "service": SERVICE,
        "version": services.version,
        "node_id": status.node_id,
        "federation_enabled": status.n > 1,
    }
    if trouble is None:
        return json_answer(body)
    return json_answer({**body, "error": "store_unusable", "detail": trouble}, 503)


async def livez(_call: Call) -> Answer:
    """GET /livez."""
    return Answer(200, b"ok", TEXT)


async def readyz(call: Call) -> Answer:
    """GET /readyz."""
    services = call.services
    require = call.query.get("require", "")
    if require not in ("", "quorum"):
        raise Problem(400, "invalid_field", "require: only quorum can be required", field="require")
    reasons = [reason for reason in (services.store_trouble(), services.mesh.ready()) if reason]
    if require and not services.mesh.quorum_in_reach():
        reasons.append("quorum is out of reach")
    if reasons:
        return Answer(503, "\n".join(reasons).encode(), TEXT)
    return Answer(200, b"ok", TEXT)


async def metrics(call: Call) -> Answer:
    """GET /metrics, with `process_*`."""
    return await _metrics(call, process=True)


async def metrics_of_node(call: Call) -> Answer:
    """GET /api/v1/metrics, without `process_*`."""
    return await _metrics(call, process=False)


async def _metrics(call: Call, *, process: bool) -> Answer:
    # Off the loop: a page takes milliseconds, which writes should not wait for.
    page = await asyncio.to_thread(call.services.metrics.render, process=process)
    return Answer(200, page, CONTENT_TYPE)


async def version(call: Call) -> Answer:
    """GET /version."""
    services = call.services
    return json_answer(
        {
            "version": services.version,
            "api_version": API_VERSION,
            "protocol_version": services.protocol_version,
        }
    )


async def capabilities(call: Call) -> Answer:
    """GET /capabilities."""
    services = call.services
    status = services.mesh.status()
    body = {
        "schema_version": "2",
        "tier": _tier(services),
        "version": services.version,
        "features": {
            "memories": True,
            "bulk": True,
            "conflicts": True,
            "history": True,
            "causal_tokens": True,
            "idempotency": True,
            "export": True,
            "import": True,
            "namespaces": True,
            "agents": True,
            "lineage": True,
            "quota": True,
            "mcp": services.mcp is not None,
            "audit": True,
            "recall": services.recall is not None,
            "search": services.recall is not None,
            "links": True,
            "entities": True,
            "knowledge_graph": True,
            "taxonomy": True,
            "auto_tag": services.llm is not None,
            "expand_query": services.llm is not None,
            "archive": True,
            "consolidation": True,
            "contradictions": True,
            "duplicates": True,
            "forget": True,
            "subscriptions": True,
            "events": True,
            "messages": True,
            "sessions": True,
            "documents": services.documents is not None,
        },
        "models": {
            "embedding": services.recall.model if services.recall else None,
            "llm": services.llm.name if services.llm else None,
        },
        "permissions": {"mode": services.permissions_mode(), "governance": True},
        "hooks": {
            "enabled": bool(services.hooks and services.hooks.declared),
            "events": list(HOOK_NAMES),
            "declared": services.hooks.shown() if services.hooks else [],
        },
        "compaction": {"enabled": False},
        "approval": {"enabled": True},
        "transcripts": {"enabled": False},
        "federation": {
            "enabled": status.n > 1,
            "protocol_version": services.protocol_version,
            "members": status.n,
            "quorum": status.w,
            "push_from_foreign_peers": services.foreign is not None,
        },
    }
    return json_answer(body)


def _tier(services: Services) -> str:
    """What recall and its helpers know of meaning."""
    if services.llm:
        return "smart"
    return "semantic" if services.recall and services.recall.model else "keyword"


async def stats(call: Call) -> Answer:
    """GET /stats: without what the caller may not see, as far as counts can tell it apart."""
    services, viewer = call.services, call.reader
    soon = services.now_ms() + _SOON_MS
    hidden = await services.census.hidden(viewer, soon)
    reader = services.funnel.reader()
    tiers: Counter[str] = Counter()
    spaces: Counter[str] = Counter()
    for (space, tier), held in reader.counts().items():
        count = held - hidden.counts[space, tier]
        if count > 0 and (viewer.namespaces is None or within(space, viewer.namespaces)):
            tiers[tier] += count
            spaces[space] += count
    # No count of these by namespace is kept, so a key that is limited to some is told none.
    limited = viewer.namespaces is not None
    expiring = max(0, reader.expiring_before(soon) - hidden.expiring)
    body = {
        "total": tiers.total(),
        "by_tier": [{"tier": tier, "count": count} for tier, count in tiers.most_common()],
        "by_namespace": [
            {"namespace": space, "count": count} for space, count in spaces.most_common()
        ],
        "expiring_soon": None if limited else expiring,
        "links_count": None if limited else services.link_index.shared(),
        "db_size_bytes": reader.size_bytes(),
    }
    return json_answer(body)
