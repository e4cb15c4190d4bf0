"""Shapes of integrity.

Law: values only; no shape names a memory.
"""

from typing import Final

from node.http.openapi.schema import all_there, flag, many, maybe, moment, text, thing, whole
from node.http.openapi.shapes import Shape, Shapes

_COUNT: Final = whole(0)
_STATE: Final = all_there(
    whole=flag(),
    store=text(),
    scrub_interval_hours={"type": "number"},
    last_pass_at=maybe(moment()),
    last_pass_rows=_COUNT,
    passes=_COUNT,
    running=flag(),
    done_ratio={"type": "number"},
    corrupt=_COUNT,
    repaired=_COUNT,
    left={"type": "object", "additionalProperties": _COUNT},
    quarantined=_COUNT,
    no_peer=_COUNT,
    aside=many(text()),
    trouble=text(),
)

INTEGRITY_SHAPES: Final[Shapes] = {
    "GET /integrity": Shape(answers={200: _STATE}, errors=(503,)),
    "POST /integrity/scrub": Shape(
        body=thing(repair=flag()), body_required=False, answers={202: _STATE}, errors=(503,)
    ),
}
