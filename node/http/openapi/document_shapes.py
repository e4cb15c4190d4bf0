"""Shapes of collaborative documents.

Law: values only; a change is bytes in a format of its own (base64 within JSON), described there.
"""

from typing import Final

from node.http.media import AUTOMERGE, BYTES, EVENTS
from node.http.openapi.components import PENDING, written
from node.http.openapi.schema import (
    Schema,
    all_there,
    anything,
    either,
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
from node.http.openapi.shapes import AGENT_ID, LIMIT, Shape, Shapes

_HASH: Final = text(least=64, most=64, pattern="^[0-9a-f]{64}$", about="SHA-256 of a change")
_HASHES: Final = many(_HASH)
_HEADS: Final = text(
    least=64, pattern="^[0-9a-f]{64}(,[0-9a-f]{64})*$", about="hashes, with commas between them"
)
_RAW: Final[Schema] = {"type": "string", "contentMediaType": AUTOMERGE}
_CHANGE: Final[Schema] = {"type": "string", "contentEncoding": "base64"}
_EDIT: Final = thing(
    ("op", "path"),
    op=one_of("put", "insert", "delete", "splice", "increment"),
    path=many(either(text(), whole()), about="keys and places, from the root"),
    value=anything(),
    values=many(anything()),
    type=one_of("text", "string", "counter", "timestamp", "bytes", "uint", "int", "float"),
    index=whole(0, about="in code points of a text, or elements of a list; left out: its end"),
    delete=whole(0),
    insert=either(text(), many(anything())),
    count=whole(1),
    by=whole(),
)
_EDITS: Final = many(_EDIT, least=1)
_ANSWERED: Final = {"id": text(), "heads": _HASHES, "version": whole(1)}

DOCUMENT_SHAPES: Final[Shapes] = {
    "GET /memories/{id}/document": Shape(
        query={"heads": _HEADS, "verify": one_of("true", "false", "1", "0")},
        answers={
            200: thing(
                (
                    *("id", "title", "heads", "value", "types", "conflicts", "changes"),
                    *("set_aside", "set_aside_count", "version"),
                ),
                **_ANSWERED,
                title=text(),
                value=table(anything(), about="the document in JSON"),
                types=table(text(), about="by JSON pointer, what JSON alone does not say"),
                conflicts=anything(about="values that were put at the same time and do not show"),
                changes=whole(0, about="how many it consists of"),
                set_aside=many(all_there(name=text(), reason=text())),
                set_aside_count=whole(0, about="chunks that are no changes of this document"),
                verified=all_there(agrees=maybe(flag()), detail=text()),
            )
        },
        also={AUTOMERGE: _RAW},
        bare=(304,),
    ),
    "PATCH /memories/{id}/document": Shape(
        body=either(
            _EDITS,
            thing(("ops",), ops=_EDITS, message=text(), heads=_HASHES, agent_id=AGENT_ID),
        ),
        answers={200: written(id=text(), change=maybe(_HASH)), 202: PENDING},
    ),
    "GET /memories/{id}/document/changes": Shape(
        query={"since": _HEADS},
        answers={200: all_there(changes=many(_CHANGE), **_ANSWERED)},
        also={AUTOMERGE: _RAW, EVENTS: text()},
    ),
    "POST /memories/{id}/document/changes": Shape(
        body=thing(("changes",), changes=many(_CHANGE), agent_id=AGENT_ID),
        body_also={AUTOMERGE: _RAW, BYTES: _RAW},
        answers={200: written(id=text(), added=whole(0), known=whole(0)), 202: PENDING},
    ),
    "GET /memories/{id}/document/history": Shape(
        query={"limit": LIMIT},
        answers={
            200: all_there(
                id=text(),
                history=many(
                    all_there(
                        hash=_HASH,
                        actor=text(),
                        seq=whole(1),
                        time=maybe(moment(about="as its author says")),
                        message=maybe(text()),
                        deps=_HASHES,
                        ops=whole(0),
                        bytes=whole(0),
                        agent_id=text(),
                        at=moment(about="when it was written to the mesh"),
                    )
                ),
                count=whole(0),
                heads=_HASHES,
            )
        },
    ),
}
