"""Shapes of entities, the graph of links, and the tree of namespaces."""

from typing import Final

from node.http.openapi.components import LINK, MEMORY, written
from node.http.openapi.memory_shapes import LINK_KEY
from node.http.openapi.schema import (
    all_there,
    anything,
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
from node.http.openapi.shapes import AGENT_ID, LIMIT, NAMESPACE, RECORD_ID, Shape, Shapes

_NAME: Final = text(least=1, most=512)
_BY_ALIAS: Final = Shape(
    query={"alias": _NAME, "namespace": NAMESPACE},
    needed=("alias",),
    answers={200: thing(("found",), found=flag(), entity_id=maybe(text()))},
)
_NO_MODEL: Final = "without a language model: 503 `llm_not_configured`"

GRAPH_SHAPES: Final[Shapes] = {
    "GET /taxonomy": Shape(
        query={"prefix": NAMESPACE, "root": NAMESPACE, "depth": whole(0), "limit": LIMIT},
        answers={
            200: thing(
                ("namespace", "count", "subtree_count", "children", "tree", "total_count"),
                namespace=text(),
                count=whole(0),
                subtree_count=whole(0),
                children=many(table(anything())),
                tree=many(table(anything())),
                total_count=whole(0),
                truncated=flag(),
            )
        },
    ),
    "POST /entities": Shape(
        body=thing(
            ("canonical_name",),
            canonical_name=_NAME,
            namespace=NAMESPACE,
            aliases=many(text(least=1, most=128), most=50),
            agent_id=AGENT_ID,
        ),
        answers={
            200: written(entity_id=text(), created=flag(), aliases=many(text())),
            201: written(entity_id=text(), created=flag(), aliases=many(text())),
            202: named("Pending"),
        },
    ),
    "GET /entities/by_alias": _BY_ALIAS,
    "GET /entities/by-alias": _BY_ALIAS,
    "POST /kg/query": Shape(
        body=thing(
            ("source_id",),
            source_id=RECORD_ID,
            max_depth=whole(1, 5),
            valid_at=moment(),
            as_of=moment(),
            allowed_agents=many(AGENT_ID, most=100),
            limit=LIMIT,
        ),
        answers={
            200: thing(
                ("memories", "paths", "edges", "count"),
                memories=many(MEMORY),
                paths=many(text()),
                edges=many(LINK),
                count=whole(0),
            )
        },
    ),
    "GET /kg/timeline": Shape(
        query={"source_id": RECORD_ID, "since": moment(), "until": moment(), "limit": LIMIT},
        needed=("source_id",),
        answers={
            200: all_there(
                events=many(
                    thing(
                        ("type", "timestamp", "source_id", "target_id", "relation"),
                        type=one_of("edge_added", "edge_invalidated"),
                        timestamp=moment(),
                    )
                ),
                count=whole(0),
            )
        },
    ),
    "POST /kg/invalidate": Shape(
        body=thing(("source_id", "target_id"), **LINK_KEY, valid_until=moment()),
        answers={
            200: thing(
                ("found",),
                found=flag(),
                valid_until=maybe(moment()),
                previous_valid_until=maybe(moment()),
            ),
            202: named("Pending"),
        },
    ),
    "POST /auto_tag": Shape(
        body=thing(id=RECORD_ID, title=text(most=512), content=text(least=1, about=_NO_MODEL)),
        body_required=False,
        answers={
            200: thing(
                ("tags", "new_tags", "all_tags"),
                id=text(),
                tags=many(text()),
                new_tags=many(text()),
                all_tags=many(text()),
            )
        },
        errors=(502, 503),
    ),
    "POST /expand_query": Shape(
        body=thing(("query",), query=text(least=1, about=_NO_MODEL)),
        answers={
            200: all_there(original=text(), expanded_terms=many(text()), count=whole(0)),
        },
        errors=(502, 503),
    ),
}
