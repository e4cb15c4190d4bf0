"""Shapes of namespaces, agents, pending actions and quotas."""

from typing import Final

from crdt.roles import ROLES
from node.http.openapi.components import GOVERNANCE, STANDARD, written
from node.http.openapi.schema import (
    all_there,
    anything,
    flag,
    many,
    maybe,
    moment,
    one_of,
    table,
    text,
    thing,
    whole,
)
from node.http.openapi.shapes import AGENT_ID, EVENTS, LIMIT, NAMESPACE, RECORD_ID, Shape, Shapes

_SPACE: Final = {"anyOf": [one_of("*"), NAMESPACE]}
_INHERIT: Final = one_of("true", "false", "1", "0", "yes", "no")
_SET_FIELDS: Final = {
    "id": RECORD_ID,
    "parent": NAMESPACE,
    "standard": thing(governance=GOVERNANCE),
    "governance": GOVERNANCE,
    "agent_id": AGENT_ID,
}
_STANDARDS: Final = all_there(
    namespace=text(), standards=many(STANDARD), chain=many(text()), count=whole(0)
)
_SET: Final = thing(("namespace",), namespace=text(), governance=anything())
_CLEARED: Final = all_there(cleared=flag(), namespace=text())
_PENDING_ID: Final = text(least=1, most=128, pattern="^[0-9a-z:]{1,128}$")
_ACTION: Final = thing(
    ("id", "action_type", "memory_id", "namespace", "payload", "requested_by", "status"),
    id=text(),
    action_type=text(),
    memory_id=text(),
    namespace=text(),
    payload=table(anything()),
    requested_by=text(),
    requested_at=moment(),
    status=text(),
    decided_by=maybe(text()),
    decided_at=maybe(moment()),
    approvals=many(anything()),
)
_REASON: Final = thing(reason=text(most=512), agent_id=AGENT_ID)

GOVERNANCE_SHAPES: Final[Shapes] = {
    "GET /namespaces": Shape(
        query={"namespace": _SPACE, "inherit": _INHERIT},
        answers={
            200: {
                "anyOf": [
                    all_there(namespaces=many(all_there(namespace=text(), count=whole(0)))),
                    _STANDARDS,
                ]
            }
        },
    ),
    "POST /namespaces": Shape(
        body=thing(("namespace",), namespace=_SPACE, **_SET_FIELDS), answers={201: _SET}
    ),
    "DELETE /namespaces": Shape(
        query={"namespace": _SPACE},
        body=thing(namespace=_SPACE),
        body_required=False,
        answers={200: _CLEARED},
    ),
    "GET /namespaces/{ns}/standard": Shape(
        path={"ns": NAMESPACE}, query={"inherit": _INHERIT}, answers={200: _STANDARDS}
    ),
    "POST /namespaces/{ns}/standard": Shape(
        path={"ns": NAMESPACE}, body=thing(**_SET_FIELDS), answers={201: _SET}
    ),
    "DELETE /namespaces/{ns}/standard": Shape(path={"ns": NAMESPACE}, answers={200: _CLEARED}),
    "GET /agents": Shape(
        answers={
            200: all_there(
                agents=many(
                    all_there(
                        agent_id=text(),
                        agent_type=text(),
                        capabilities=many(text()),
                        registered_at=moment(),
                        last_seen_at=moment(),
                    )
                ),
                count=whole(0),
            )
        }
    ),
    "POST /agents": Shape(
        body=thing(
            ("agent_id", "agent_type"),
            agent_id=AGENT_ID,
            agent_type=text(least=1, most=128, pattern="^(human|system|ai:[a-z0-9._-]{1,64})$"),
            capabilities=many(text(least=1, most=64, pattern="^[A-Za-z0-9_.:-]{1,64}$"), most=32),
        ),
        answers={201: written(registered=flag(), agent_id=text())},
    ),
    "POST /agents/{id}/role": Shape(
        path={"id": AGENT_ID},
        body=thing(
            ("role",),
            role=one_of(*ROLES, "", about="empty takes it away"),
            namespaces=many(NAMESPACE, most=32),
        ),
        answers={200: written(role=text(), namespaces=many(text()))},
    ),
    "GET /pending": Shape(
        query={
            "status": one_of("pending", "approved", "rejected", "expired"),
            "namespace": NAMESPACE,
            "limit": LIMIT,
        },
        answers={200: all_there(pending=many(_ACTION), count=whole(0))},
    ),
    "GET /pending/stream": Shape(query={"cursor": text()}, media=EVENTS, answers={200: text()}),
    "POST /pending/{id}/approve": Shape(
        path={"id": _PENDING_ID},
        body=_REASON,
        body_required=False,
        answers={
            200: written(id=text(), approved=flag(), executed=flag()),
            202: written(id=text(), status=text()),
        },
    ),
    "POST /pending/{id}/reject": Shape(
        path={"id": _PENDING_ID},
        body=_REASON,
        body_required=False,
        answers={200: written(rejected=flag(), id=text(), decided_by=maybe(text()))},
    ),
    "GET /quota": Shape(
        answers={
            200: all_there(
                agent_id=maybe(text()),
                limits=table(whole(0)),
                use=table(maybe(whole(0))),
                reset_at=moment(),
            )
        }
    ),
}
