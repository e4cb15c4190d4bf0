"""Shapes of erasing.

Law: values only; no shape names a memory.
"""

from typing import Final

from node.http.openapi.schema import all_there, flag, many, maybe, moment, text, thing, whole
from node.http.openapi.shapes import Shape, Shapes

_COUNT: Final = whole(0)
_FLAGS: Final = {"covered": flag(), "log_clear": flag(), "rewritten": flag()}

ERASE_SHAPES: Final[Shapes] = {
    "GET /erasure": Shape(
        answers={
            200: all_there(
                outstanding=_COUNT,
                **_FLAGS,
                gone=flag(),
                rewriting=flag(),
                rewritten_at=maybe(moment()),
                members=many(
                    all_there(
                        node_id=text(),
                        name=text(),
                        reached=flag(),
                        **_FLAGS,
                        rewritten_at=maybe(moment()),
                    )
                ),
            )
        },
        errors=(503,),
    ),
    "POST /compact": Shape(
        body=thing(mesh=flag()),
        body_required=False,
        answers={
            200: all_there(
                rewritten_at=maybe(moment()),
                before_bytes=_COUNT,
                after_bytes=_COUNT,
                rows=_COUNT,
                stall_ms={"type": "number"},
                erased=_COUNT,
                outstanding=_COUNT,
            )
        },
        errors=(503, 507),
    ),
}
