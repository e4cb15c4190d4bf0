"""What a model is told when a tool fails, and what it can do about it.

Law: a failure is an answer of the tool, never a broken connection. It says what happened, in
the node's own words, whether it is worth trying again, and what to change. A write that may
have taken effect says so before anything else.
"""

from collections.abc import Mapping
from typing import Any, Final

from node.client.errors import ApiError, ClientError
from node.mcp.arguments import BadArguments
from node.mcp.tool import Outcome

# What to do, for the model: it can call tools and change arguments, and nothing else.
_HINTS: Final[Mapping[str, str]] = {
    "not_found": "Find the id with memory_list or memory_recall; it may be archived, deleted, or "
    "not yours to see.",
    "ambiguous_id": "Give more characters of the id, or one of the candidates.",
    "conflict": "Use the existing memory (existing_id) with memory_update, or choose another id "
    "or title.",
    "invalid_field": "Change that argument and call again.",
    "quorum_not_met": "The write is kept on this node and spreads by itself. Do not store it "
    "again; go on with the id.",
    "idempotency_key_reused": "Call again without the old key.",
    "too_many_items": "Send fewer items in each call.",
    "body_too_large": "Send less in each call; split the content.",
    "quota_exceeded": "Nothing more can be added now; see memory_quota_status.",
    "llm_not_configured": "This node has no language model; do without this tool.",
    "role_forbids": "The API key does not allow it; use another tool, or tell the user.",
    "namespace_not_of_key": "The API key does not reach that namespace; choose another one.",
    "self_approval": "Another agent has to decide about it.",
    "agent_not_registered": "Call memory_agent_register first.",
    "agent_not_of_key": "Leave agent_id out: the API key speaks for one agent.",
    "agent_signature_missing": "The agent has bound a key: start the server beside that key, over "
    "stdio, or use another agent.",
    "missing or invalid API key": "Tell the user: the server was started without a valid API key.",
    "not_a_document": "Make it one with memory_update (memory_kind document), or change its "
    "content there.",
    "bad_edit": "Nothing was changed. Correct the edit that index names and call again.",
    "heads_unknown": "Read it with memory_document_get and use the heads of that answer.",
    "document_structured": "Use memory_document_edit: the document is more than one text.",
    "document_too_large": "Go on in a new document, or make it smaller.",
    "joining": "The node is still learning the state of its mesh; try again in a moment.",
    "draining": "The node is shutting down; try again in a moment.",
    "overloaded": "Try again in a moment.",
}
_BY_STATUS: Final[Mapping[int, str]] = {
    400: "Change the arguments and call again.",
    403: "The policy of the namespace does not allow it; choose another namespace, or tell the "
    "user.",
    404: "This node does not serve it.",
    409: "Read it again, then decide.",
    412: "It changed meanwhile; read it again.",
    429: "Wait, then call again.",
    503: "Try again in a moment.",
    507: "The disk of the node is full; tell the user.",
}
_AGAIN: Final = frozenset({429, 503})
_FIELDS: Final = (
    *("field", "candidates", "existing_id", "id", "got", "needed", "reason"),
    *("index", "missing", "bound", "most"),
)


def explained(error: ClientError | BadArguments, names: Mapping[str, str]) -> Outcome:
    """A failure as the answer of a tool.

    Args:
        error: what happened.
        names: API's name of a field -> the tool's name of the argument.
    """
    facts = _facts(error, names)
    words = [str(facts["error"])]
    if facts.get("detail"):
        words.append(f": {facts['detail']}")
    if facts.get("fix"):
        words.append(f"\n{facts['fix']}")
    return Outcome(text="".join(words), facts=facts)


def _facts(error: ClientError | BadArguments, names: Mapping[str, str]) -> dict[str, Any]:
    if isinstance(error, BadArguments):
        return {
            "error": error.code,
            "detail": str(error),
            "argument": error.argument,
            "retryable": False,
            "fix": error.fix,
        }
    if isinstance(error, ApiError):
        return _of_answer(error, names)
    code = "outcome_unknown" if error.indefinite else "unreachable"
    fix = (
        "It may have been done: look (memory_list, memory_get) before you repeat it."
        if error.indefinite
        else "Nothing was written. Tell the user that the node does not answer, or try again."
    )
    return {"error": code, "detail": str(error), "retryable": not error.indefinite, "fix": fix}


def _of_answer(error: ApiError, names: Mapping[str, str]) -> dict[str, Any]:
    fix = _HINTS.get(error.code) or _BY_STATUS.get(error.status, "Tell the user.")
    facts: dict[str, Any] = {
        "error": error.code,
        "status": error.status,
        "detail": error.detail,
        "retryable": error.status in _AGAIN and not error.indefinite,
        "fix": fix,
    }
    if error.retry_after is not None:
        facts["retry_after_seconds"] = error.retry_after
    for name in _FIELDS:
        if name in error.body:
            facts[name] = error.body[name]
    field = facts.get("field")
    if isinstance(field, str):
        facts["argument"] = names.get(field, field)
    return facts
