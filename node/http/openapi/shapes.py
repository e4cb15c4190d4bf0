"""What a route takes and gives.

Law: one shape per route, a value; the tables of shapes stand beside each other by subject.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from node.http.openapi.schema import Schema, moment, text, whole

JSON: Final = "application/json"
PLAIN: Final = "text/plain"
EVENTS: Final = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One operation.

    Attributes:
        answers: {status: schema} of what is no error.
        query: {name: schema} of optional parameters of the address.
        needed: names among them, or of the body, that must be there.
        body: of the request; None where nothing in it is read.
        body_required: whether an empty body cannot be right.
        media: of the answers.
        also: {media type: schema} of further forms of a 200, by `Accept`.
        bare: statuses of answers without a body.
        body_also: {media type: schema} of further forms of the body.
        path: {name: schema} of parameters in the path, where an id would be wrong.
        errors: further statuses of refusals than those that any route may give.
        hidden: not in the document: other programs' protocols on this port.
    """

    answers: Mapping[int, Schema]
    query: Mapping[str, Schema] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    body: Schema | None = None
    body_required: bool = True
    media: str = JSON
    also: Mapping[str, Schema] = field(default_factory=dict)
    bare: tuple[int, ...] = ()
    body_also: Mapping[str, Schema] = field(default_factory=dict)
    path: Mapping[str, Schema] = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    hidden: bool = False


Shapes = Mapping[str, Shape]
"""{"METHOD /path": shape}; the path without `/api/v1`."""

NAMESPACE: Final[Schema] = text(
    least=1,
    most=512,
    pattern="^[^/\\u0000]+(/[^/\\u0000]+){0,7}$",
    about="path of up to 8 segments",
)
AGENT_ID: Final[Schema] = {
    **text(least=1, most=128, pattern=r"^[A-Za-z0-9_\-:@./]{1,128}$"),
    "not": {"pattern": r"(^|/)\.\.(/|$)"},
}
RECORD_ID: Final[Schema] = {
    **text(least=1, most=128, pattern=r"^[A-Za-z0-9_\-:.]{1,128}$"),
    "not": {"enum": [".", ".."]},
    "description": "an id, or 6 and more of its first characters",
}
LIMIT: Final[Schema] = whole(0, about="above the largest page it is cut")
OFFSET: Final[Schema] = whole(0)

LIST_FILTERS: Final[Mapping[str, Schema]] = {
    "namespace": NAMESPACE,
    "tier": {"type": "string", "enum": ["short", "mid", "long"]},
    "limit": LIMIT,
    "offset": OFFSET,
    "min_priority": whole(0),
    "since": moment(about="created at or after"),
    "until": moment(about="created at or before"),
    "tags": text(about="with commas; all of them must be there"),
    "agent_id": AGENT_ID,
    "session_id": text(about="what `metadata.session_id` says"),
}
"""The filters of every list of memories."""
