"""Shapes of memories, links, bulk, import and export."""

from typing import Final

from node.http.openapi.components import LINK, MEMORY, MEMORY_FIELDS, NEW_MEMORY, PENDING, written
from node.http.openapi.schema import (
    all_there,
    anything,
    both,
    either,
    flag,
    many,
    maybe,
    moment,
    named,
    one_of,
    table,
    text,
    thing,
    whole,
)
from node.http.openapi.shapes import (
    AGENT_ID,
    LIMIT,
    LIST_FILTERS,
    NAMESPACE,
    RECORD_ID,
    Shape,
    Shapes,
)

_RELATION: Final = text(least=1, most=64, pattern="^[a-z][a-z0-9_]{0,63}$")
LINK_KEY: Final = {"source_id": RECORD_ID, "target_id": RECORD_ID, "relation": _RELATION}
_CHANGED: Final = written(id=text(), memory=maybe(MEMORY))
_LINKED: Final = both(LINK, named("Durable"))
_SHARING: Final = Shape(
    body=all_there(agent_id=AGENT_ID),
    answers={
        200: written(id=text(), agent_id=text(), granted=flag(), grants=many(text())),
        202: PENDING,
    },
)
_BULK_ANSWER: Final = written(
    created=whole(0),
    ids=many(text()),
    errors=many(thing(("error",), index=whole(0), error=text())),
    pending=many(all_there(index=whole(0), pending_id=text())),
)

MEMORY_SHAPES: Final[Shapes] = {
    "GET /memories": Shape(
        query=LIST_FILTERS, answers={200: all_there(memories=many(MEMORY), count=whole(0))}
    ),
    "POST /memories": Shape(
        body=NEW_MEMORY,
        answers={
            201: written(id=text(), tier=text(), namespace=text(), title=text(), agent_id=text()),
            202: PENDING,
        },
    ),
    "POST /memories/bulk": Shape(
        body=either(
            many(NEW_MEMORY, most=1000), thing(("memories",), memories=many(NEW_MEMORY, most=1000))
        ),
        answers={201: _BULK_ANSWER, 207: _BULK_ANSWER},
    ),
    "GET /ingest": Shape(answers={101: anything()}, errors=(426,)),
    "GET /memories/{id}": Shape(
        answers={200: both(MEMORY, all_there(memory=MEMORY, links=many(LINK)))}
    ),
    "PUT /memories/{id}": Shape(body=MEMORY_FIELDS, answers={200: _CHANGED, 202: PENDING}),
    "DELETE /memories/{id}": Shape(
        body=thing(agent_id=AGENT_ID),
        body_required=False,
        answers={200: written(deleted=flag(), id=text()), 202: PENDING},
    ),
    "POST /memories/{id}/promote": Shape(
        body=thing(to_namespace=NAMESPACE),
        body_required=False,
        answers={200: _CHANGED, 202: PENDING},
    ),
    "GET /memories/{id}/conflicts": Shape(
        answers={200: all_there(id=text(), fields=table(many(named("ConcurrentValue"))))}
    ),
    "GET /memories/{id}/history": Shape(
        query={"limit": LIMIT},
        answers={200: all_there(id=text(), history=many(table(anything())), count=whole(0))},
    ),
    "GET /memories/{id}/lineage": Shape(
        query={"direction": one_of("ancestors", "descendants"), "max_depth": whole(0)},
        answers={
            200: all_there(
                id=text(),
                cid=text(),
                direction=text(),
                nodes=many(all_there(id=text(), cid=text(), relation=text(), depth=whole(1))),
                count=whole(0),
                truncated=flag(),
            )
        },
    ),
    "POST /memories/{id}/grant": _SHARING,
    "POST /memories/{id}/revoke": _SHARING,
    "POST /links": Shape(
        body=thing(
            ("source_id", "target_id"),
            **LINK_KEY,
            valid_from=moment(),
            valid_until=moment(),
            agent_id=AGENT_ID,
        ),
        answers={201: _LINKED, 202: PENDING},
    ),
    "DELETE /links": Shape(
        query=LINK_KEY,
        body=thing(**LINK_KEY),
        body_required=False,
        answers={
            200: written(deleted=flag(), source_id=text(), target_id=text(), relation=text()),
            202: PENDING,
        },
    ),
    "GET /links/{id}": Shape(answers={200: all_there(links=many(LINK), count=whole(0))}),
    "GET /export": Shape(
        answers={
            200: all_there(
                memories=many(MEMORY), links=many(LINK), count=whole(0), exported_at=moment()
            )
        }
    ),
    "POST /import": Shape(
        query={"trust_source": one_of("true", "false", "1", "0")},
        body=thing(
            ("memories",),
            memories=many(NEW_MEMORY, most=1000),
            links=many(thing(("source_id", "target_id"), **LINK_KEY), most=1000),
        ),
        answers={
            200: written(
                imported=whole(0), skipped=whole(0), errors=many(thing(("error",), error=text()))
            )
        },
    ),
}
