"""Shapes of events, subscriptions, messages and sessions."""

from typing import Final

from node.http.openapi.components import MEMORY, written
from node.http.openapi.schema import (
    all_there,
    anything,
    both,
    either,
    flag,
    many,
    moment,
    named,
    one_of,
    text,
    thing,
    whole,
)
from node.http.openapi.shapes import AGENT_ID, EVENTS, LIMIT, NAMESPACE, RECORD_ID, Shape, Shapes

_SUBSCRIPTION: Final = thing(
    ("id", "url", "events", "created_at", "dispatch_count", "failure_count"),
    id=text(),
    url=text(about="empty when none"),
    events=anything(),
    namespace=anything(),
    agent_id=anything(),
    created_at=moment(),
    dispatch_count=whole(0),
    failure_count=whole(0),
)
_MESSAGE: Final = thing(
    ("id", "from", "to", "title", "subject", "payload", "body", "priority", "created_at", "read"),
    id=text(),
    **{"from": text()},
    to=text(),
    title=text(),
    subject=text(),
    payload=anything(),
    body=text(),
    priority=whole(1, 10),
    created_at=moment(),
    read=flag(),
)

EVENT_SHAPES: Final[Shapes] = {
    "GET /events/stream": Shape(
        query={"cursor": text(), "events": text(), "namespace": NAMESPACE},
        media=EVENTS,
        answers={200: text()},
    ),
    "POST /subscriptions": Shape(
        body=thing(
            url=text(most=2048),
            events=either(many(text(), most=100), text()),
            secret=text(most=512),
            agent_id=AGENT_ID,
            namespace=NAMESPACE,
        ),
        body_required=False,
        answers={201: both(_SUBSCRIPTION, named("Durable")), 202: named("Pending")},
    ),
    "GET /subscriptions": Shape(
        answers={200: all_there(subscriptions=many(_SUBSCRIPTION), count=whole(0))}
    ),
    "DELETE /subscriptions": Shape(
        query={"id": RECORD_ID, "agent_id": AGENT_ID, "namespace": NAMESPACE},
        answers={200: written(deleted=flag())},
    ),
    "DELETE /subscriptions/{id}": Shape(answers={200: written(deleted=flag())}),
    "POST /notify": Shape(
        body=thing(
            target_agent_id=AGENT_ID,
            to=AGENT_ID,
            title=text(least=1, most=512),
            subject=text(least=1, most=512),
            content=text(least=1),
            body=text(least=1),
            priority=whole(1, 10),
            tier=one_of("short", "mid", "long"),
        ),
        answers={201: written(id=text()), 202: named("Pending")},
    ),
    "GET /inbox": Shape(
        query={
            "agent_id": AGENT_ID,
            "limit": LIMIT,
            "unread_only": one_of("true", "false", "1", "0"),
            "mark_read": one_of("true", "false", "1", "0"),
        },
        answers={200: all_there(messages=many(_MESSAGE), count=whole(0))},
    ),
    "POST /inbox/read": Shape(
        body=thing(agent_id=AGENT_ID, ids=many(text(), most=1000)),
        body_required=False,
        answers={200: written(marked=whole(0)), 202: named("Pending")},
    ),
    "POST /session/start": Shape(
        body=thing(agent_id=AGENT_ID, namespace=NAMESPACE),
        body_required=False,
        answers={201: thing(("session_id", "memories"), session_id=text(), memories=many(MEMORY))},
    ),
}
