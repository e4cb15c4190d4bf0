"""Handlers that ask the language model of the node.

Law: only what the caller may see is sent to it, and nothing it says is written. Without a
model they answer 503 `llm_not_configured`, whatever was asked.
"""

from typing import Any

from node.http.answer import Answer, json_answer
from node.http.call import Call
from node.llm.model import LanguageModel
from node.llm.problems import NoModel
from node.llm.tasks import tags_for, terms_for
from node.memory.problems import InvalidField
from node.memory.rules import CHECKS


def _model(call: Call) -> LanguageModel:
    model = call.services.llm
    if model is None:
        raise NoModel
    return model


async def auto_tag(call: Call) -> Answer:
    """POST /auto_tag: tags for the memory with an `id`, or for a `title` and `content`."""
    model, services, body = _model(call), call.services, call.fields
    known: list[str] = []
    about: dict[str, Any] = {}
    ident = body.get("id", body.get("memory_id"))
    if ident is not None:
        if not isinstance(ident, str):
            raise InvalidField("id", "expected the id of a memory")
        held = services.memories.find(ident, call.reader)
        values = held.view.values
        title, content = values.get("title", ""), values.get("content", "")
        known, about = values.get("tags", []), {"id": held.id}
    else:
        limits = services.limits
        if body.get("content") is None:
            raise InvalidField("id", "is required: the id of a memory, or else a content")
        content = CHECKS["content"]("content", body["content"], limits)
        title = body.get("title")
        title = "" if title is None else CHECKS["title"]("title", title, limits)
    tags = await tags_for(model, title, content, services.limits)
    fresh = [tag for tag in tags if tag not in known]
    return json_answer({**about, "tags": tags, "new_tags": fresh, "all_tags": [*known, *fresh]})


async def expand_query(call: Call) -> Answer:
    """POST /expand_query: further words for a `query`."""
    model, body = _model(call), call.fields
    query = body.get("query", body.get("q"))
    if not isinstance(query, str) or not query:
        raise InvalidField("query", "is required: the words to search for")
    terms = await terms_for(model, query, call.services.limits)
    return json_answer({"original": query, "expanded_terms": terms, "count": len(terms)})
