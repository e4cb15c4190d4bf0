"""What the clients' methods for documents do, one case for each.

Law: as the cases of `test_client_every_method`, which are given the same stand.
"""

from collections.abc import Callable
from typing import Any, Final

from node.client.documents import (
    DocumentChanges,
    DocumentNews,
    DocumentView,
    DocumentWritten,
    HistoryEntry,
)
from tests.integration.rig_documents import SPLICE, change_of
from tests.integration.rig_types import mismatches

ME: Final = "ai:every"


def of(value: Any, kind: Any) -> Any:
    """The value, which is of that type in every field."""
    assert mismatches(value, kind) == []
    return value


def document(s: Any) -> None:
    ident = s.stored("Plan", "words", memory_kind="document")
    here = of(s.do("document", ident, verify=True), DocumentView)
    assert (here["value"], here["types"]) == ({"text": "words"}, {"/text": "text"})
    assert here["verified"]["agrees"] is not False
    assert s.eye().document(ident)["heads"] == here["heads"]
    s.do("edit_document", ident, SPLICE)
    assert s.do("document", ident, heads=here["heads"])["value"] == here["value"]


def edit_document(s: Any) -> None:
    ident = s.stored("Plan", "words", memory_kind="document")
    heads = s.do("document", ident)["heads"]
    told = of(s.do("edit_document", ident, SPLICE, heads=heads, message="m"), DocumentWritten)
    assert told["heads"] == [told["change"]]
    assert s.eye().get(ident)["content"] == "spliced words"


def document_changes(s: Any) -> None:
    ident = s.stored("Plan", "words", memory_kind="document")
    first = of(s.do("document_changes", ident), DocumentChanges)
    told = s.do("edit_document", ident, SPLICE)
    (change,) = s.eye().document_changes(ident, since=first["heads"])["changes"]
    assert s.do("document_changes", ident)["changes"] == [*first["changes"], change]
    assert s.eye().document_changes(ident, since=told["heads"])["changes"] == []


def add_changes(s: Any) -> None:
    ident = s.stored("Plan", "words", memory_kind="document")
    change = change_of("brought", 5)
    told = of(s.do("add_changes", ident, [change.data]), DocumentWritten)
    assert (told["added"], told["known"]) == (1, 0)
    assert s.eye().document(ident)["value"] == {"brought": 5, "text": "words"}
    again = of(s.do("add_changes", ident, [change.data]), DocumentWritten)
    assert (again["added"], again["known"]) == (0, 1)


def document_history(s: Any) -> None:
    ident = s.stored("Plan", "words", memory_kind="document")
    told = s.do("edit_document", ident, SPLICE, message="why")
    found = of(s.do("document_history", ident, limit=1), list[HistoryEntry])
    assert [(one["hash"], one["message"], one["agent_id"]) for one in found] == [
        (told["change"], "why", ME)
    ]
    assert s.eye().document_history(ident, limit=1) == found


def watch(s: Any) -> None:
    ident = s.stored("Plan", "words", memory_kind="document")
    heads = s.do("document", ident)["heads"]
    told = s.do("edit_document", ident, SPLICE)
    (news,) = of(s.first("watch", 1, memory_id=ident, since=heads), list[DocumentNews])
    assert (news["hashes"], news["agents"], news["heads"]) == (
        [told["change"]], [ME], told["heads"]
    )  # fmt: skip


DOCUMENT_CASES: Final[dict[str, Callable[[Any], None]]] = {
    case.__name__: case
    for case in (document, edit_document, document_changes, add_changes, document_history, watch)
}
