"""Handler of GET /openapi.json: the description of this API, for programs.

Law: made once from the table of routes, and then given as it is.
"""

from functools import lru_cache

import orjson

from node.http.answer import JSON, Answer
from node.http.call import Call
from node.limits import Limits


async def document(call: Call) -> Answer:
    """GET /openapi.json."""
    services = call.services
    return Answer(200, _encoded(services.limits, services.version), JSON)


@lru_cache(maxsize=4)
def _encoded(limits: Limits, version: str) -> bytes:
    # The table names this handler, and the document is made of the table.
    from node.http.openapi.document import build  # noqa: PLC0415
    from node.http.table import TABLE  # noqa: PLC0415

    return orjson.dumps(build(TABLE, limits, version))
