"""Handlers about the mesh: who is in it, and how somebody comes in or leaves.

Law: an introduction is taken from anybody and believed only as far as the allowlist goes; a
join needs the certificate of the connection; a removal needs the operator.
"""

from dataclasses import fields
from typing import Any

from aiohttp import web

from crdt.dot import dot_text
from node.contracts import Caller
from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.http.problems import Problem, told
from node.memory.problems import InvalidField
from node.memory.times import format_ms
from node.mesh_view import Clocks, MemberStatus, OutsiderStatus


def _row(status: MemberStatus | OutsiderStatus) -> dict[str, Any]:
    """Its fields as they are: a clock may name thousands of actors, and is not copied."""
    return {one.name: getattr(status, one.name) for one in fields(status)}


def _member(member: MemberStatus) -> dict[str, Any]:
    out = _row(member)
    if member.clock is None:
        del out["clock"]
    last = member.last_success_at
    out["last_success_at"] = None if last is None else format_ms(last)
    out["clock_skew_seconds"] = out.pop("skew_ms") / 1000
    return out


def _other(other: OutsiderStatus) -> dict[str, Any]:
    out = _row(other)
    at_ms = out.pop("at_ms")
    out["at"] = None if at_ms is None else format_ms(at_ms)
    return out


async def status(call: Call) -> Answer:
    """GET /mesh and POST /cluster; `clocks`, which grow with the years, says whose are told."""
    try:
        clocks = Clocks(call.query.get("clocks", Clocks.ALL))
    except ValueError as error:
        raise InvalidField("clocks", f"expected one of {', '.join(Clocks)}") from error
    mesh = call.services.mesh.status(clocks)
    body = {
        "node_id": mesh.node_id,
        "name": mesh.name,
        "cluster": mesh.cluster,
        "clock": mesh.clock,
        "digest": mesh.digest,
        "quorum": {"n": mesh.n, "w": mesh.w},
        "in_reach": mesh.reach,
        "members": [_member(member) for member in mesh.members],
        "others": [_other(other) for other in mesh.others],
    }
    if mesh.clock is None:
        del body["clock"]
    return json_answer(body)


async def introduce(call: Call) -> Answer:
    """POST /mesh/introduce: keep the certificate of a newcomer that is on the allowlist."""
    certificate = call.fields.get("certificate")
    if not isinstance(certificate, str) or not certificate:
        raise InvalidField("certificate", "expected a certificate in PEM")
    try:
        fingerprint = call.services.mesh.introduce(certificate)
    except ValueError as error:
        raise InvalidField("certificate", str(error)) from error
    return json_answer({"fingerprint": fingerprint})


async def join(call: Call) -> Answer:
    """POST /mesh/join: admit a newcomer that proves its key."""
    if call.peer is None:
        raise Problem(401, "certificate_required", "a join needs a client certificate")
    # The newcomer's certificate is what speaks for it; no agent does.
    caller = Caller(agent="")
    try:
        return json_answer(await call.services.mesh.admit(call.fields, call.peer, caller=caller))
    except ValueError as error:
        raise Problem(400, "invalid_join", str(error)) from error


async def remove(call: Call) -> Answer:
    """POST /mesh/remove: take a member out; `Idempotency-Key` makes it safe to ask again."""
    ask = call.ask()
    fields = ask.body
    node = fields.get("node_id", fields.get("name"))
    if not isinstance(node, str) or not node:
        raise InvalidField("node_id", "expected the id or the name of a member")
    force = fields.get("force", False)
    if not isinstance(force, bool):
        raise InvalidField("force", "expected true or false")
    try:
        gone = await call.services.mesh.remove(
            node, force=force, caller=ask.caller, retry=ask.retry
        )
    except LookupError as error:
        raise Problem(404, "not_found", f"no member is called {node[:80]!r}") from error
    dot = dot_text(gone.receipt.dots[-1])
    body = told(gone.receipt, removed=True, node_id=gone.node_id, name=gone.name, dot=dot)
    return json_answer(body)


async def peer(call: Call) -> web.StreamResponse:
    """GET /peer: hand the connection to the mesh protocol."""
    accept = call.door.accept_peer
    if accept is None or call.peer is None:
        raise Problem(
            401,
            "certificate_required",
            "peers come in through the mTLS listener, with a certificate",
        )
    if call.headers.get("Upgrade", "").lower() != "websocket":
        raise Problem(400, "upgrade_required", "this address speaks the mesh protocol (WebSocket)")
    return await accept(call.request, call.peer)
