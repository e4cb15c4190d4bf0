"""The routes of collaborative documents as calls, and what they answer.

Law: as `node.client.api`. Hashes are lowercase hex; changes are bytes here, base64 on the wire.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NotRequired, TypedDict, cast

from node.client.call import Call, make_call, segment
from node.client.errors import BadArgument, BrokenAnswer
from node.client.streams import Event
from node.client.values import Durability

_END: Final = "end"
Edit = Mapping[str, Any]
"""One edit, as `{"op": "splice", "path": ["text"], "index": 0, "insert": "words"}`."""


class Verified(TypedDict):
    """Whether a second program reads the same; None when it cannot be asked."""

    agrees: bool | None
    detail: str


class Aside(TypedDict):
    """A chunk of the memory that is no change of its document."""

    name: str
    reason: str


class DocumentView(TypedDict):
    """A document.

    Attributes:
        heads: the changes that no other one is made upon; they name this state.
        value: all of it in JSON.
        types: by JSON pointer, what JSON alone does not say: text, counter, timestamp ...
        conflicts: values that were put at the same time and do not show.
        changes: how many it consists of.
        etag: for `if_match`.
    """

    id: str
    title: str
    heads: list[str]
    value: dict[str, Any]
    types: dict[str, str]
    conflicts: Any
    changes: int
    set_aside: list[Aside]
    set_aside_count: int
    version: int
    verified: NotRequired[Verified]
    etag: NotRequired[str]


class DocumentWritten(TypedDict):
    """The answer to an edit; `status` is `pending` when it waits for approval.

    `change` is of an edit; `added` and `known` are of changes that were added. Heads and version
    are left out when the memory is no longer there.
    """

    id: str
    durability: Durability
    quorum_acks: int
    heads: NotRequired[list[str]]
    version: NotRequired[int]
    change: NotRequired[str | None]
    added: NotRequired[int]
    known: NotRequired[int]
    action: NotRequired[str]
    status: NotRequired[str]
    pending_id: NotRequired[str]


class DocumentChanges(TypedDict):
    """Changes in an order in which each comes after those it was made upon.

    Attributes:
        changes: whole ones, as any Automerge library takes them.
        heads: of the document with them.
    """

    id: str
    changes: list[bytes]
    heads: list[str]
    version: int


class DocumentNews(TypedDict):
    """What a watched document has that was not told before.

    Attributes:
        hashes: of the changes, in their order.
        agents: who wrote them, in their order.
        heads: what the watcher has with them; `watch` goes on from there.
    """

    changes: list[bytes]
    hashes: list[str]
    agents: list[str]
    heads: list[str]


class HistoryEntry(TypedDict):
    """One change; `time` is what its author says, `at` when it was written to the mesh."""

    hash: str
    actor: str
    seq: int
    time: str | None
    message: str | None
    deps: list[str]
    ops: int
    bytes: int
    agent_id: str
    at: str


def path_of(memory_id: str, what: str = "") -> str:
    """The address of a document, or of its changes or history."""
    return f"/memories/{segment(memory_id)}/document{what}"


def document(memory_id: str, heads: Sequence[str] | None, *, verify: bool) -> Call[DocumentView]:
    """GET /memories/{id}/document."""
    params = {"heads": _listed(heads), "verify": verify or None}
    return make_call("GET", path_of(memory_id), _view, params=params)


def edit_document(
    memory_id: str,
    edits: Sequence[Edit],
    *,
    heads: Sequence[str] | None,
    message: str | None,
    if_match: str | None,
    key: str | None,
) -> Call[DocumentWritten]:
    """PATCH /memories/{id}/document."""
    if not edits:
        raise BadArgument("there is nothing to edit; give at least one edit")
    body: dict[str, Any] = {"ops": [dict(one) for one in edits]}
    if heads is not None:
        body["heads"] = list(heads)
    if message is not None:
        body["message"] = message
    return make_call(
        "PATCH",
        path_of(memory_id),
        _written,
        body=body,
        idempotency_key=key,
        headers=_matching(if_match),
    )


def document_changes(memory_id: str, since: Sequence[str]) -> Call[DocumentChanges]:
    """GET /memories/{id}/document/changes."""
    params = {"since": _listed(since)}
    return make_call("GET", path_of(memory_id, "/changes"), _changes, params=params)


def add_changes(
    memory_id: str, changes: Iterable[bytes], if_match: str | None, key: str | None
) -> Call[DocumentWritten]:
    """POST /memories/{id}/document/changes."""
    if isinstance(changes, (bytes, bytearray, memoryview)):
        changes = [bytes(changes)]
    encoded = [base64.b64encode(one).decode() for one in changes]
    return make_call(
        "POST",
        path_of(memory_id, "/changes"),
        _written,
        body={"changes": encoded},
        idempotency_key=key,
        headers=_matching(if_match),
    )


def document_history(memory_id: str, limit: int) -> Call[list[HistoryEntry]]:
    """GET /memories/{id}/document/history."""
    return make_call("GET", path_of(memory_id, "/history"), _entries, params={"limit": limit})


def news_of(event: Event) -> DocumentNews | None:
    """What an event of a watched document tells; None when it was the last.

    Raises:
        BrokenAnswer: it is no such event.
    """
    if event.name == _END:
        return None
    said = event.data
    try:
        return DocumentNews(
            changes=_decoded(said["changes"]),
            hashes=said["hashes"],
            agents=said["agents"],
            heads=said["heads"],
        )
    except KeyError as error:
        raise BrokenAnswer(f"an event of the stream lacks {error}") from error


def cursor_of(since: Sequence[str]) -> str:
    """The place in the stream of a document at which a watcher with these heads begins."""
    return ",".join(since)


def _listed(heads: Sequence[str] | None) -> list[str] | None:
    """As a parameter; a text would be taken apart."""
    if isinstance(heads, str):
        return [heads]
    return list(heads) if heads else None


def _matching(if_match: str | None) -> dict[str, str]:
    return {} if if_match is None else {"if-match": if_match}


def _decoded(changes: list[str]) -> list[bytes]:
    try:
        return [base64.b64decode(one, validate=True) for one in changes]
    except (binascii.Error, TypeError, ValueError) as error:
        raise BrokenAnswer("a change of the answer is no base64 text") from error


def _view(answer: dict[str, Any], headers: Mapping[str, str]) -> DocumentView:
    if "etag" in headers:
        answer["etag"] = headers["etag"]
    return cast("DocumentView", answer)


def _written(answer: dict[str, Any], _headers: Mapping[str, str]) -> DocumentWritten:
    return cast("DocumentWritten", answer)


def _changes(answer: dict[str, Any], _headers: Mapping[str, str]) -> DocumentChanges:
    return cast("DocumentChanges", {**answer, "changes": _decoded(answer["changes"])})


def _entries(answer: dict[str, Any], _headers: Mapping[str, str]) -> list[HistoryEntry]:
    return cast("list[HistoryEntry]", answer["history"])
