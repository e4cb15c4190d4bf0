"""Tools for documents that many write at once.

Law: as `node.mcp.memory_tools`. A model says what words it replaces, not where they stand: the
places are found in the document as it was read, and the edit stands on the heads of that.
"""

from itertools import pairwise
from typing import Any, Final

from node.mcp import schema as a
from node.mcp.api import PREFIX, Api
from node.mcp.arguments import BadArguments
from node.mcp.tool import Arguments, Facts, Outcome, Route, Tool, escaped, told

_EDIT: Final[a.Piece] = {
    "type": "object",
    "required": ["op", "path"],
    "properties": {
        "op": a.choice("What to do.", "put", "insert", "delete", "splice", "increment"),
        "path": {"type": "array", "description": 'Keys and places, as ["plan", "steps", 0].'},
        "value": {"description": "Of put and insert: any JSON."},
        "values": {"type": "array", "description": "Of insert: several."},
        "type": a.choice(
            "Of put, where JSON does not say it; a string is a text that many can edit.",
            *("text", "string", "counter", "timestamp", "bytes", "uint", "int", "float"),
        ),
        "index": a.whole("Of splice: where, in code points or elements; the end if left out.", 0),
        "delete": a.whole("Of splice: how many to take away.", 0),
        "insert": {"type": ["string", "array"], "description": "Of splice: what to put there."},
        "count": a.whole("Of delete in a text or list: how many.", 1),
        "by": {"type": "integer", "description": "Of increment: how much; 1 when left out."},
    },
}
_REPLACED: Final[a.Piece] = {
    "type": "object",
    "required": ["old", "new"],
    "properties": {
        "old": a.text("Words of the text, exactly; they must stand there once.", minLength=1),
        "new": a.text("What to put in their place."),
    },
}


async def _edit(api: Api, given: Arguments) -> Outcome:
    ident = escaped(given["id"])
    body = {name: given[name] for name in ("heads", "message") if given.get(name)}
    ops = list(given.get("ops") or ())
    replaced = given.get("replace") or ()
    if replaced:
        params = {"heads": ",".join(body["heads"])} if "heads" in body else None
        path = f"{PREFIX}/memories/{ident}/document"
        view = await api.request("GET", path, params=params)
        body["heads"] = view["heads"]
        # Places are those of the document that was read, so these come before all other edits.
        ops = [*_splices(view["value"].get("text"), replaced), *ops]
    if given.get("append"):
        ops.append({"op": "splice", "path": ["text"], "insert": given["append"]})
    if not ops:
        raise BadArguments("", "nothing is to be edited; give replace, append or ops")
    body["ops"] = ops
    return told(await api.request("PATCH", f"{PREFIX}/memories/{ident}/document", body=body))


def _splices(text: Any, replaced: list[dict[str, str]]) -> list[Facts]:
    """Replacements as edits of the root's text, the last place first.

    Raises:
        BadArguments: words do not stand there once, or two of them overlap.
    """
    if not isinstance(text, str):
        raise BadArguments("replace", "the document has no text; use ops")
    found: list[tuple[int, int, str]] = []
    for number, one in enumerate(replaced):
        times = text.count(one["old"])
        if times != 1:
            where = "does not stand in the text" if not times else f"stands there {times} times"
            raise BadArguments(
                "replace", f"item {number}: old {where}", fix="Read it again; give more words."
            )
        found.append((text.index(one["old"]), len(one["old"]), one["new"]))
    found.sort(reverse=True)
    for (later, _, _), (earlier, size, _) in pairwise(found):
        if earlier + size > later:
            raise BadArguments("replace", "two of the items overlap")
    return [
        {"op": "splice", "path": ["text"], "index": index, "delete": size, "insert": new}
        for index, size, new in found
    ]


DOCUMENTS: Final = (
    Tool(
        name="memory_document_get",
        family="lifecycle",
        says="Read a document that many may write at once: its value in JSON (a plain text is "
        "under text) and its heads, which name this state of it.",
        takes={
            "id": a.ID,
            "heads": a.texts("Show it as it was at these heads of an earlier answer."),
        },
        needs=("id",),
        reads=True,
        run=Route("GET", "/memories/{id}/document"),
    ),
    Tool(
        name="memory_document_edit",
        family="lifecycle",
        says="Edit a document that others may be writing too; what they write stays. Replace words "
        "of its text, append to it, or give ops for any other part. All is done or nothing. A "
        "memory becomes a document with memory_kind document.",
        takes={
            "id": a.ID,
            "replace": {
                "type": "array",
                "items": _REPLACED,
                "description": "Words of the text and what stands there instead.",
            },
            "append": a.text("Put this at the end of the text."),
            "ops": {
                "type": "array",
                "items": _EDIT,
                "description": "Edits of any part, in order; each sees those before it.",
            },
            "heads": a.texts("Heads of the answer that the edits are made for."),
            "message": a.text("Why, in a few words; kept with the change.", maxLength=512),
        },
        needs=("id",),
        destroys=True,
        run=_edit,
    ),
    Tool(
        name="memory_document_history",
        family="lifecycle",
        says="Who changed a document, when, how much and why, newest first.",
        takes={"id": a.ID, "limit": a.limit(100, 1000)},
        needs=("id",),
        reads=True,
        run=Route("GET", "/memories/{id}/document/history"),
    ),
)
