"""Shapes of recall, search and the index behind them.

Law: as `node.recall` answers; the index is the operator's, what it finds everybody's.
"""

from typing import Final

from node.http.openapi.components import MEMORY
from node.http.openapi.schema import (
    all_there,
    anything,
    both,
    many,
    maybe,
    moment,
    real,
    table,
    text,
    thing,
    whole,
)
from node.http.openapi.shapes import AGENT_ID, LIMIT, LIST_FILTERS, NAMESPACE, Shape, Shapes

_ANSWER: Final = all_there(
    memories=many(both(MEMORY, thing(("score",), score=real()))),
    count=whole(0),
    tokens_used=whole(0),
    budget_tokens=maybe(whole(0)),
    meta=thing(
        ("recall_mode", "candidate_counts"),
        recall_mode=text(),
        candidate_counts=table(whole(0)),
    ),
)
_FILTERS: Final = {
    "namespace": NAMESPACE,
    "limit": LIMIT,
    "since": moment(),
    "until": moment(),
    "as_agent": AGENT_ID,
    "budget_tokens": whole(0),
    "min_score": real(0),
}

_INDEX: Final = table(anything(), about="how far the index of this node is")

RECALL_SHAPES: Final[Shapes] = {
    "GET /index": Shape(answers={200: _INDEX}, errors=(503,)),
    "POST /index/rebuild": Shape(answers={202: _INDEX}, errors=(503,)),
    "GET /recall": Shape(
        query={"context": text(least=1), **_FILTERS, "tags": text(about="with commas")},
        needed=("context",),
        answers={200: _ANSWER},
    ),
    "POST /recall": Shape(
        body=thing(("context",), context=text(least=1), **_FILTERS, tags=many(text(least=1))),
        answers={200: _ANSWER},
    ),
    "GET /search": Shape(
        query={"q": text(least=1), **LIST_FILTERS},
        needed=("q",),
        answers={
            200: all_there(
                results=many(MEMORY), memories=many(MEMORY), count=whole(0), query=anything()
            )
        },
    ),
}
