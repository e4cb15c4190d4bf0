"""The document: routes and shapes put together.

Law: nothing about a route is said here; what holds for all of them (security, refusals,
headers) is said once. The format is the OpenAPI Specification 3.1.1.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from node.http.openapi.components import ERROR, components
from node.http.openapi.schema import Schema, text, whole
from node.http.openapi.shapes import AGENT_ID, JSON, RECORD_ID, Shape
from node.http.openapi.tables import SHAPES
from node.http.routes import API, Needs, Route, Touches
from node.limits import Limits

OPENAPI_VERSION: Final = "3.1.1"
_PARAMETER: Final = re.compile(r"{(\w+)}")
_ALWAYS: Final = (400, 403, 408, 413, 415, 417)
_KEPT_OUT: Final = (401, 429)
_OF_STATE: Final = (404, 409, 412, 503)
_OF_WRITES: Final = (507,)
_WORDS: Final = {
    101: "the connection is a WebSocket from here on",
    200: "done",
    201: "made",
    202: "held for approval, or not decided yet",
    207: "some of the items were taken",
    304: "what the client holds is what there is",
    400: "bad input; `field` names what",
    401: "missing or invalid credentials",
    403: "denied",
    404: "nothing that the caller may see",
    405: "another method is for this address",
    408: "the request came too slowly",
    409: "in conflict with what is there",
    412: "this node, or the memory, is at another state than asked for",
    413: "the body, or a list in it, is too large",
    415: "bodies are taken without Content-Encoding",
    417: "only 100-continue can be expected",
    426: "this address speaks WebSocket",
    429: "a quota is used up",
    500: "an error of the node",
    502: "the language model gave no answer that can be used",
    503: "not now: no quorum, joining, draining, overloaded; see `error` and Retry-After",
    507: "the disk is full",
}
_SECURITY: Final[dict[Needs, list[dict[str, list[str]]]]] = {
    Needs.OPEN: [],
    Needs.AGENT: [{"key": []}, {"bearer": []}],
    Needs.OPERATOR: [{"key": []}, {"bearer": []}],
    Needs.PEER: [{"certificate": []}],
}


def name_of(route: Route) -> str:
    """The name under which the shape of a route stands."""
    return f"{route.method} {route.path.removeprefix(API)}"


def build(table: Iterable[Route], limits: Limits, version: str) -> dict[str, Any]:
    """The document of a node.

    Args:
        table: its routes; each has its shape in `SHAPES`.
        limits: its bounds.
        version: of the program.
    """
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        shape = SHAPES[name_of(route)]
        if not shape.hidden:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, shape)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "mnemesh",
            "version": version,
            "summary": "one memory for many agents, on many nodes",
            "description": "Unknown fields and parameters are ignored. Every write tells its "
            "durability. Nothing is applied in part when a request fails.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components(limits),
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "certificate": {"type": "mutualTLS"},
            },
        },
    }


def _operation(route: Route, shape: Shape) -> dict[str, Any]:
    words = route.path.removeprefix(API).strip("/")
    # Some addresses stand under /api/v1 and beside it; some differ by a hyphen.
    method = route.method if route.path.startswith(API) else f"{route.method}_outside"
    out: dict[str, Any] = {
        "operationId": re.sub(r"[^a-z0-9-]+", "_", f"{method} {words}".lower()).strip("_"),
        "summary": route.summary,
        "tags": [words.split("/")[0]],
        "parameters": _parameters(route, shape),
        "security": _SECURITY[route.needs],
        "responses": _responses(route, shape),
        "x-least-role": route.role,
    }
    if shape.body is not None:
        out["requestBody"] = {
            "required": shape.body_required,
            "content": {
                media: {"schema": schema}
                for media, schema in {JSON: shape.body, **shape.body_also}.items()
            },
        }
    return out


def _parameters(route: Route, shape: Shape) -> list[dict[str, Any]]:
    out = [
        _parameter("path", name, shape.path.get(name, RECORD_ID), required=True)
        for name in _PARAMETER.findall(route.path)
    ]
    out += [
        _parameter("query", name, schema, required=name in shape.needed)
        for name, schema in shape.query.items()
    ]
    if route.needs is Needs.AGENT and route.touches is not Touches.NOTHING:
        out.append(_parameter("header", "X-Agent-Id", AGENT_ID))
    if route.touches is Touches.WRITES and route.needs is not Needs.PEER:
        out.append(_parameter("header", "Idempotency-Key", _KEY))
    if route.touches is Touches.READS:
        out.append(_parameter("header", "X-Causal-Wait-Ms", whole(0, 60_000)))
    return out


_KEY: Final = text(least=1, most=128, pattern="^[A-Za-z0-9_.:-]{1,128}$")


def _parameter(place: str, name: str, schema: Schema, *, required: bool = False) -> dict[str, Any]:
    return {"in": place, "name": name, "required": required, "schema": schema}


def _responses(route: Route, shape: Shape) -> dict[str, Any]:
    out: dict[str, Any] = {
        str(status): {
            "description": _WORDS[status],
            "content": {shape.media: {"schema": schema}},
        }
        for status, schema in shape.answers.items()
    }
    for media, schema in shape.also.items():
        out["200"]["content"][media] = {"schema": schema}
    out |= {str(status): {"description": _WORDS[status]} for status in shape.bare}
    for status in sorted({*_refusals(route), *shape.errors}):
        out.setdefault(
            str(status),
            {"description": _WORDS[status], "content": {JSON: {"schema": ERROR}}},
        )
    return out


def _refusals(route: Route) -> list[int]:
    statuses = [*_ALWAYS]
    if route.needs is not Needs.OPEN:
        statuses += _KEPT_OUT
    if route.touches is not Touches.NOTHING:
        statuses += _OF_STATE
    if route.touches is Touches.WRITES:
        statuses += _OF_WRITES
    return statuses
