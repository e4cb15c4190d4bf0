"""Handler of GET /openapi.json: the description of this API, for programs.

Law: made once from the routes that answer here, and then given as it is.
"""

from functools import lru_cache

import orjson

from node.http.answer import JSON, Answer
from node.http.call import Call
from node.http.openapi.document import build
from node.http.routes import Route
from node.limits import Limits


async def document(call: Call) -> Answer:
    """GET /openapi.json."""
    services = call.services
    return Answer(200, _encoded(call.routes, services.limits, services.version), JSON)


@lru_cache(maxsize=4)
def _encoded(routes: tuple[Route, ...], limits: Limits, version: str) -> bytes:
    return orjson.dumps(build(routes, limits, version))
