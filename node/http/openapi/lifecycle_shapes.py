"""Shapes of the archive, forgetting, consolidation, duplicates and contradictions."""

from typing import Final

from node.http.openapi.components import MEMORY, PENDING, written
from node.http.openapi.schema import (
    all_there,
    anything,
    both,
    flag,
    many,
    maybe,
    moment,
    named,
    one_of,
    real,
    text,
    thing,
    whole,
)
from node.http.openapi.shapes import (
    AGENT_ID,
    LIMIT,
    NAMESPACE,
    OFFSET,
    RECORD_ID,
    Shape,
    Shapes,
)

_TIER: Final = one_of("short", "mid", "long")
_ARCHIVED: Final = both(
    MEMORY,
    thing(
        ("archived_at", "archive_reason", "original_tier"),
        archived_at=moment(),
        archive_reason=maybe(text()),
        original_tier=text(),
        original_expires_at=maybe(moment()),
    ),
)
_FORGET: Final = {
    "ids": many(RECORD_ID, most=1000),
    "namespace": NAMESPACE,
    "pattern": text(least=1, most=512),
    "tier": _TIER,
    "agent_id": AGENT_ID,
}
_IDS_TEXT: Final = text(pattern="^[A-Za-z0-9_:-]{1,128}$")

LIFECYCLE_SHAPES: Final[Shapes] = {
    "POST /memories/{id}/forget": Shape(
        body=thing(erase=flag()),
        body_required=False,
        answers={200: written(deleted=whole(0)), 202: PENDING},
    ),
    "POST /forget": Shape(
        query={**_FORGET, "ids": _IDS_TEXT},
        body=thing(**_FORGET),
        body_required=False,
        answers={200: written(deleted=whole(0)), 202: PENDING},
    ),
    "POST /consolidate": Shape(
        body=thing(
            ("ids",),
            ids=many(RECORD_ID, most=1000),
            title=text(least=1, most=512),
            summary=text(least=1),
            namespace=NAMESPACE,
            tier=_TIER,
            agent_id=AGENT_ID,
        ),
        answers={201: written(id=text(), consolidated=whole(0)), 202: PENDING},
    ),
    "POST /gc": Shape(answers={200: named("Durable")}),
    "POST /check_duplicate": Shape(
        body=thing(
            ("content",),
            title=text(),
            content=text(least=1),
            namespace=NAMESPACE,
            threshold=real(0, 1),
            limit=LIMIT,
        ),
        answers={
            200: all_there(
                is_duplicate=flag(),
                threshold=real(0, 1),
                nearest=anything(),
                candidates_scanned=whole(0),
                matches=many(all_there(id=text(), title=text(), similarity=real(0, 1))),
            )
        },
    ),
    "GET /contradictions": Shape(
        query={"topic": text(), "namespace": NAMESPACE},
        answers={
            200: thing(
                ("memories", "contradictions", "links"),
                memories=many(MEMORY),
                contradictions=many(anything()),
                links=many(anything()),
            )
        },
    ),
    "GET /archive": Shape(
        query={"namespace": NAMESPACE, "limit": LIMIT, "offset": OFFSET},
        answers={200: all_there(memories=many(_ARCHIVED), count=whole(0))},
    ),
    "POST /archive": Shape(
        body=thing(("ids",), ids=many(RECORD_ID, most=1000), reason=text(most=2048)),
        answers={200: written(archived=whole(0)), 202: PENDING},
    ),
    "GET /archive/stats": Shape(
        answers={
            200: all_there(
                total=whole(0),
                by_namespace=many(all_there(namespace=text(), count=whole(0))),
            )
        }
    ),
    "POST /archive/{id}": Shape(
        body=thing(reason=text(most=2048)),
        body_required=False,
        answers={200: named("Durable"), 202: PENDING},
    ),
    "POST /archive/{id}/restore": Shape(answers={200: written(restored=flag()), 202: PENDING}),
    "DELETE /archive": Shape(
        query={"older_than_days": whole(0)},
        answers={200: written(purged=whole(0)), 202: PENDING},
    ),
    "DELETE /archive/{id}": Shape(answers={200: written(purged=whole(0)), 202: PENDING}),
}
