"""Everything that can be done to the memory of a mesh, one deed per mutating route.

Law: a deed is told by a tag, so that the same one can be done again and again; `do` does it
through one node, and `look` tells what any node shows of it afterwards, as plain values that
must be equal on all of them and equal to `want`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.integration.rig import RealNode, until
from tests.integration.rig_documents import SPLICE, change_of, in_base64
from tests.integration.rig_ingest import ingested
from tests.integration.rig_push import Pusher

Do = Callable[[RealNode, str], None]
Look = Callable[[RealNode, str], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One way of changing something, and how its effect shows."""

    do: Do
    look: Look
    want: Any


def _memory(node: RealNode, ident: str, **fields: Any) -> str:
    agent = fields.pop("agent", "ann")
    body = {"id": ident, "title": f"title of {ident}", "content": f"words of {ident}", **fields}
    reply = node.ask("POST", "/memories", body, X_Agent_Id=agent)
    assert reply.status in (201, 202), reply.body
    return str(reply.body.get("pending_id") or reply.body["id"])


def _call(node: RealNode, method: str, path: str, body: Any = None, agent: str = "ann") -> Any:
    return node.tell(method, path, body, X_Agent_Id=agent)


def _field(name: str) -> Look:
    def look(node: RealNode, tag: str) -> Any:
        reply = node.ask("GET", f"/memories/{tag}-m", X_Agent_Id="ann")
        return reply.body.get(name) if reply.status == 200 else reply.status

    return look


def _status_for(agent: str) -> Look:
    return lambda node, tag: node.ask("GET", f"/memories/{tag}-m", X_Agent_Id=agent).status


def _on(method: str, path: str, body: Any = None, *, agent: str = "ann", **fields: Any) -> Do:
    """Make a memory `<tag>-m`, then ask for something about it."""

    def do(node: RealNode, tag: str) -> None:
        _memory(node, f"{tag}-m", **fields)
        _call(node, method, path.format(id=f"{tag}-m"), body, agent)

    return do


def _document(node: RealNode, tag: str) -> tuple[Any, ...]:
    """(text, what was put beside it, how many changes) of a document."""
    found = _call(node, "GET", f"/memories/{tag}-m/document")
    return found["value"]["text"], found["value"].get("deed"), found["changes"]


def _links(node: RealNode, tag: str) -> list[str]:
    reply = node.ask("GET", f"/links/{tag}-a", X_Agent_Id="ann")
    return sorted(link["relation"] for link in reply.body["links"])


def _linked(node: RealNode, tag: str) -> dict[str, str]:
    for end in ("a", "b"):
        _memory(node, f"{tag}-{end}")
    link = {"source_id": f"{tag}-a", "target_id": f"{tag}-b", "relation": "supersedes"}
    _call(node, "POST", "/links", link)
    return link


def _edges(node: RealNode, tag: str) -> int:
    found = _call(node, "POST", "/kg/query", {"source_id": f"{tag}-a", "max_depth": 1})
    return len(found["edges"])


def _rule(level: str) -> dict[str, Any]:
    return {"governance": {"write": level, "approver": "human"}}


def _levels(node: RealNode, tag: str) -> list[str]:
    found = _call(node, "GET", f"/namespaces/{tag}/standard")["standards"]
    return [one["governance"]["write"] for one in found if one["governance"]]


def _held(verb: str) -> Do:
    def do(node: RealNode, tag: str) -> None:
        _call(node, "POST", "/agents", {"agent_id": "bob", "agent_type": "human"}, "bob")
        _call(node, "POST", "/namespaces", {"namespace": tag, **_rule("approve")})
        held = _memory(node, f"{tag}-m", namespace=tag)
        _call(node, "POST", f"/pending/{held}/{verb}", {}, "bob")

    return do


def _pending(node: RealNode, tag: str) -> list[str]:
    found = _call(node, "GET", f"/pending?namespace={tag}&limit=100")["pending"]
    return [one["status"] for one in found]


def _archived(node: RealNode, tag: str) -> tuple[int, list[str]]:
    """(what a read of it answers, why it is archived)."""
    there = node.ask("GET", f"/memories/{tag}-m", X_Agent_Id="ann").status
    kept = _call(node, "GET", "/archive?limit=1000")["memories"]
    return there, [one["archive_reason"] or "" for one in kept if one["id"] == f"{tag}-m"]


def _archive_then(method: str, path: str, body: Any = None) -> Do:
    def do(node: RealNode, tag: str) -> None:
        _memory(node, f"{tag}-m")
        _call(node, "POST", "/archive", {"ids": [f"{tag}-m"], "reason": "old"})
        _call(node, method, path.format(id=f"{tag}-m"), body)

    return do


def _consolidate(node: RealNode, tag: str) -> None:
    ends = [_memory(node, f"{tag}-{end}", namespace=tag) for end in ("a", "b")]
    _call(node, "POST", "/consolidate", {"ids": ends, "title": "both", "namespace": tag})


def _consolidated(node: RealNode, tag: str) -> Any:
    found = _call(node, "GET", f"/memories?namespace={tag}")["memories"]
    kept = _call(node, "GET", f"/archive?namespace={tag}")["memories"]
    return [one["title"] for one in found], sorted(one["id"][len(tag) :] for one in kept)


def _inbox(node: RealNode, tag: str) -> list[str]:
    found = _call(node, "GET", "/inbox?limit=50", agent=f"{tag}-bob")["messages"]
    return [one["title"] for one in found]


def _read_message(node: RealNode, tag: str) -> None:
    made = _call(node, "POST", "/notify", {"to": f"{tag}-bob", "subject": "s", "body": "read me"})
    _call(node, "POST", "/inbox/read", {"ids": [made["id"]]}, f"{tag}-bob")


def _unread(node: RealNode, tag: str) -> list[str]:
    found = _call(node, "GET", "/inbox?unread_only=true", agent=f"{tag}-bob")["messages"]
    return [one["title"] for one in found]


def _subscribe(node: RealNode, tag: str) -> str:
    made = _call(node, "POST", "/subscriptions", {"namespace": tag}, f"{tag}-sub")
    return str(made["id"])


def _unsubscribe(node: RealNode, tag: str) -> None:
    _call(node, "DELETE", f"/subscriptions/{_subscribe(node, tag)}", None, f"{tag}-sub")


def _unsubscribe_by_place(node: RealNode, tag: str) -> None:
    _subscribe(node, tag)
    _call(node, "DELETE", f"/subscriptions?agent_id={tag}-sub&namespace={tag}", None, f"{tag}-sub")


def _subscriptions(node: RealNode, tag: str) -> list[str]:
    found = _call(node, "GET", f"/subscriptions?agent_id={tag}-sub")["subscriptions"]
    return [one["namespace"] for one in found]


def _roles(node: RealNode, tag: str) -> list[str]:
    return [one["role"] for one in _call(node, "GET", "/agents")["roles"] if one["agent_id"] == tag]


def _registered(node: RealNode, tag: str) -> bool:
    return tag in {one["agent_id"] for one in _call(node, "GET", "/agents")["agents"]}


def _entity(node: RealNode, tag: str) -> Any:
    found = _call(node, "GET", f"/entities/by_alias?alias={tag}-nick")
    return found["found"], found.get("canonical_name")


def _standing(tag: str) -> dict[str, Any]:
    return {"namespace": tag, **_rule("owner")}


def _void(_made: object) -> None:
    """What was made is found by its tag."""


def _archive_many(node: RealNode, tag: str) -> None:
    _memory(node, f"{tag}-m")
    _call(node, "POST", "/archive", {"ids": [f"{tag}-m"], "reason": "old"})


def _collect(node: RealNode, tag: str) -> None:
    """Have something expire, and collect it."""
    _memory(node, f"{tag}-m", ttl_secs=1)
    until_gone(node, f"{tag}-m")
    _call(node, "POST", "/gc", {})


def _ingest(node: RealNode, tag: str) -> None:
    memory = {"id": f"{tag}-m", "title": "t", "content": "streamed"}
    assert ingested(node, [{"memory": memory}])[1]["status"] == 201


def until_gone(node: RealNode, ident: str) -> None:
    """Wait until a memory has expired."""
    until(lambda: node.ask("GET", f"/memories/{ident}").status == 404, f"{ident} expires")


_NEW, _GONE = _field("content"), _field("title")
_MADE = "words of {tag}-m"
Deeds = dict[tuple[str, str], Deed]


def _of_memories() -> Deeds:
    """Memories, links and entities."""
    return {
        ("POST", "/memories"): Deed(
            do=lambda n, t: _void(_memory(n, f"{t}-m")), look=_NEW, want=_MADE
        ),
        ("POST", "/memories/bulk"): Deed(
            do=lambda n, t: _call(
                n, "POST", "/memories/bulk", [{"id": f"{t}-m", "title": "t", "content": "bulk"}]
            ),
            look=_NEW,
            want="bulk",
        ),
        ("GET", "/ingest"): Deed(do=_ingest, look=_NEW, want="streamed"),
        ("PUT", "/memories/{id}"): Deed(
            do=_on("PUT", "/memories/{id}", {"content": "changed"}), look=_NEW, want="changed"
        ),
        ("DELETE", "/memories/{id}"): Deed(
            do=_on("DELETE", "/memories/{id}"), look=_GONE, want=404
        ),
        ("POST", "/memories/{id}/promote"): Deed(
            do=_on("POST", "/memories/{id}/promote", {}), look=_field("tier"), want="long"
        ),
        ("POST", "/memories/{id}/grant"): Deed(
            do=_on("POST", "/memories/{id}/grant", {"agent_id": "bob"}, scope="private"),
            look=_status_for("bob"),
            want=200,
        ),
        ("POST", "/memories/{id}/revoke"): Deed(
            do=lambda n, t: (
                _on("POST", "/memories/{id}/grant", {"agent_id": "bob"}, scope="private")(n, t),
                _call(n, "POST", f"/memories/{t}-m/revoke", {"agent_id": "bob"}),
            )[1],
            look=lambda n, t: (_status_for("ann")(n, t), _status_for("bob")(n, t)),
            want=(200, 404),
        ),
        ("POST", "/links"): Deed(
            do=lambda n, t: _void(_linked(n, t)), look=_links, want=["supersedes"]
        ),
        ("DELETE", "/links"): Deed(
            do=lambda n, t: _call(n, "DELETE", "/links", _linked(n, t)), look=_links, want=[]
        ),
        ("POST", "/entities"): Deed(
            do=lambda n, t: _call(
                n, "POST", "/entities", {"canonical_name": f"{t} X", "aliases": [f"{t}-nick"]}
            ),
            look=_entity,
            want=(True, "{tag} X"),
        ),
        ("POST", "/kg/invalidate"): Deed(
            do=lambda n, t: _call(n, "POST", "/kg/invalidate", _linked(n, t)),
            look=lambda n, t: (_edges(n, t), _links(n, t)),
            want=(0, ["supersedes"]),
        ),
        ("POST", "/import"): Deed(
            do=lambda n, t: _call(
                n,
                "POST",
                "/import",
                {"memories": [{"id": f"{t}-m", "title": "t", "content": "imported"}]},
            ),
            look=_NEW,
            want="imported",
        ),
    }


def _of_documents() -> Deeds:
    """Edits, and changes that were made elsewhere."""
    return {
        ("PATCH", "/memories/{id}/document"): Deed(
            do=_on("PATCH", "/memories/{id}/document", SPLICE, memory_kind="document"),
            look=_document,
            want=("spliced words of {tag}-m", None, 2),
        ),
        ("POST", "/memories/{id}/document/changes"): Deed(
            do=_on(
                "POST",
                "/memories/{id}/document/changes",
                {"changes": in_base64(change_of("deed", 5))},
                memory_kind="document",
            ),
            look=_document,
            want=("words of {tag}-m", 5, 2),
        ),
    }


def _of_governance() -> Deeds:
    """Policies, agents and votes."""
    return {
        ("POST", "/namespaces"): Deed(
            do=lambda n, t: _call(n, "POST", "/namespaces", _standing(t)),
            look=_levels,
            want=["owner"],
        ),
        ("DELETE", "/namespaces"): Deed(
            do=lambda n, t: (
                _call(n, "POST", "/namespaces", _standing(t)),
                _call(n, "DELETE", f"/namespaces?namespace={t}"),
            )[1],
            look=_levels,
            want=[],
        ),
        ("POST", "/namespaces/{ns}/standard"): Deed(
            do=lambda n, t: _call(n, "POST", f"/namespaces/{t}/standard", _rule("deny")),
            look=_levels,
            want=["deny"],
        ),
        ("DELETE", "/namespaces/{ns}/standard"): Deed(
            do=lambda n, t: (
                _call(n, "POST", "/namespaces", _standing(t)),
                _call(n, "DELETE", f"/namespaces/{t}/standard"),
            )[1],
            look=_levels,
            want=[],
        ),
        ("POST", "/agents"): Deed(
            do=lambda n, t: _call(n, "POST", "/agents", {"agent_id": t, "agent_type": "human"}),
            look=_registered,
            want=True,
        ),
        ("POST", "/agents/{id}/role"): Deed(
            do=lambda n, t: _call(n, "POST", f"/agents/{t}/role", {"role": "agent-reader"}),
            look=_roles,
            want=["agent-reader"],
        ),
        ("POST", "/pending/{id}/approve"): Deed(
            do=_held("approve"),
            look=lambda n, t: (_NEW(n, t), _pending(n, t)),
            want=(_MADE, ["approved"]),
        ),
        ("POST", "/pending/{id}/reject"): Deed(
            do=_held("reject"),
            look=lambda n, t: (_NEW(n, t), _pending(n, t)),
            want=(404, ["rejected"]),
        ),
    }


def _of_lives() -> Deeds:
    """The archive, forgetting and what agents tell each other."""
    return {
        # First, because it ends whatever lies in the archive.
        ("DELETE", "/archive"): Deed(
            do=_archive_then("DELETE", "/archive?older_than_days=0"),
            look=_archived,
            want=(404, []),
        ),
        ("POST", "/archive"): Deed(
            do=_archive_many,
            look=_archived,
            want=(404, ["old"]),
        ),
        ("POST", "/archive/{id}"): Deed(
            do=_on("POST", "/archive/{id}", {"reason": "done"}),
            look=_archived,
            want=(404, ["done"]),
        ),
        ("POST", "/archive/{id}/restore"): Deed(
            do=_archive_then("POST", "/archive/{id}/restore", {}), look=_archived, want=(200, [])
        ),
        ("DELETE", "/archive/{id}"): Deed(
            do=_archive_then("DELETE", "/archive/{id}"), look=_archived, want=(404, [])
        ),
        ("POST", "/memories/{id}/forget"): Deed(
            do=_on("POST", "/memories/{id}/forget", {}), look=_archived, want=(404, ["forgotten"])
        ),
        ("POST", "/forget"): Deed(
            do=lambda n, t: (
                _memory(n, f"{t}-m", namespace=t),
                _call(n, "POST", "/forget", {"namespace": t}),
            )[1],
            look=_archived,
            want=(404, []),
        ),
        ("POST", "/consolidate"): Deed(
            do=_consolidate, look=_consolidated, want=(["both"], ["-a", "-b"])
        ),
        ("POST", "/gc"): Deed(do=_collect, look=_NEW, want=404),
        ("POST", "/notify"): Deed(
            do=lambda n, t: _call(
                n,
                "POST",
                "/notify",
                {"target_agent_id": f"{t}-bob", "title": f"for {t}", "content": "hello"},
            ),
            look=_inbox,
            want=["for {tag}"],
        ),
        ("POST", "/inbox/read"): Deed(do=_read_message, look=_unread, want=[]),
        ("POST", "/subscriptions"): Deed(
            do=lambda n, t: _void(_subscribe(n, t)), look=_subscriptions, want=["{tag}"]
        ),
        ("DELETE", "/subscriptions/{id}"): Deed(do=_unsubscribe, look=_subscriptions, want=[]),
        ("DELETE", "/subscriptions"): Deed(do=_unsubscribe_by_place, look=_subscriptions, want=[]),
    }


def deeds(pusher: Pusher) -> Deeds:
    """A deed for every mutating route, by (method, path without /api/v1).

    Args:
        pusher: a foreign peer of the node that deeds are done through.
    """
    return {
        **_of_memories(),
        **_of_documents(),
        **_of_governance(),
        **_of_lives(),
        ("POST", "/sync/push"): Deed(
            do=lambda _n, t: _void(
                pusher.push({"memories": [{"id": f"{t}-m", "title": "t", "content": "pushed"}]})
            ),
            look=_NEW,
            want="pushed",
        ),
    }


def wanted(deed: Deed, tag: str) -> Any:
    """What a deed wants, for one tag."""
    return _filled(deed.want, tag)


def _filled(want: Any, tag: str) -> Any:
    if isinstance(want, str):
        return want.replace("{tag}", tag)
    if isinstance(want, tuple | list):
        return type(want)(_filled(one, tag) for one in want)
    return want
