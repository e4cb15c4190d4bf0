"""The beginning of a session: a name for it, and what is worth knowing.

Law: nothing is stored. A session is what memories say in `metadata.session_id`; the name is
drawn so that a retry gets the same one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from node.contracts import Held
from node.memory.memories import Ask, Memories
from node.memory.problems import InvalidField
from node.memory.query import Query
from node.memory.rules import namespace, whole

MEMORIES_DEFAULT: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session that begins.

    Attributes:
        id: its name.
        agent: whose it is.
        memories: the newest that the agent may see.
    """

    id: str
    agent: str
    memories: list[Held]


async def start(memories: Memories, ask: Ask) -> Session:
    """Begin a session.

    Raises:
        InvalidField: a field cannot be taken.
    """
    limits, body = memories.rules.limits, ask.body
    space = body.get("namespace")
    query = Query(
        namespace=namespace("namespace", space, limits) if space else None,
        limit=_limit(body, limits.page_items_max),
    )
    ident = memories.funnel.draw_id(ask.retry, 0)
    return Session(id=ident, agent=ask.agent, memories=await memories.page(query, ask.caller))


def _limit(body: Mapping[str, Any], most: int) -> int:
    given = body.get("limit")
    if given is None:
        return MEMORIES_DEFAULT
    if isinstance(given, str) and given.isascii() and given.isdigit():
        raise InvalidField("limit", "expected a whole number, not text")
    return min(whole("limit", given, 0, 2**53), most)
