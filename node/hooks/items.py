"""What a hook is told of the changes that it is asked about.

Law: pure but for what the record is now. A change is shown by names, ids and sizes; what is
written is shown only to the hook that asked for it. One request is one list of items, however
many they are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from crdt.dot import Dot, new_actor
from crdt.fields import CHUNK_MARK
from crdt.op import Kind, Op, Value
from crdt.roles import within
from node.contracts import GovernanceDraft, Reader
from node.documents.sheet import CONTENT
from node.events.event_name import Happening
from node.events.moments import BEFORE, BEFORE_DECISION, BEFORE_IMPORT, BEFORE_WRITE
from node.events.names import name_of
from node.events.telling import changed_fields, is_move
from node.memory.drafts import COLLECTION as MEMORY
from node.settings.hook_tables import Hook

IMPORT_ACTION: Final = "import"
_MANY: Final = 99
_WEIGHT: Final = {row.name: len(row.asks) or _MANY for row in BEFORE}
_UNBORN: Final = Dot(new_actor(b"d", 0, bytes(8), bytes(32)), 1)
_OF: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(row.name for row in BEFORE if name in row.asks)
    for name in {name for row in BEFORE for name in row.asks}
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One change.

    Attributes:
        events: every `before_*` event that it is.
        ident: of its record; empty where there is none.
        namespace: where; empty for what has no place.
        about: what every hook is told.
        content: what is about to be written.
        text: makes what a document will say, in any thread, when a hook wants it.
    """

    events: frozenset[str]
    ident: str = ""
    namespace: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    content: Mapping[str, Value] = field(default_factory=dict)
    text: Callable[[], str] | None = None

    def event_for(self, hook: Hook) -> str:
        """The most special event that a hook wants of it; empty when it wants none."""
        spaces = hook.table.namespaces
        if self.namespace and spaces and not within(self.namespace, spaces):
            return ""
        wanted = self.events & hook.events
        return min(wanted, key=lambda name: (_WEIGHT[name], name)) if wanted else ""

    def shown(self, index: int, event: str, *, content: bool) -> dict[str, Any]:
        """As it stands in a document."""
        out = {"index": index, "event": event, **self.about}
        if content and self.content:
            out["content"] = {
                name: value for name, value in self.content.items() if type(value) is not bytes
            }
            if self.text is not None:
                out["content"][CONTENT] = self.text()
        return out


def of_ops(ops: Sequence[Op], action: str, reader: Callable[[], Reader]) -> list[Item]:
    """The items of a request that would become these operations, in their order.

    The second half of a move is no item: it is told with the first.
    """
    items = []
    for at, op in enumerate(ops):
        before = ops[at - 1] if at else None
        after = ops[at + 1] if at + 1 < len(ops) else None
        if before is not None and is_move(before, op):
            continue
        happening = Happening(op=op, kind=_kind(op, reader), moves=is_move(op, after))
        item = _of_op(happening, action, reader)
        items.append(item)
    return items


def _kind(op: Op, reader: Callable[[], Reader]) -> str:
    if op.collection != MEMORY:
        return ""
    if op.kind is Kind.CREATE:
        return str(op.set.get("memory_kind", ""))
    held = reader().get(op.collection, op.id)
    return "" if held is None else str(held.view.values.get("memory_kind", ""))


def _of_op(happening: Happening, action: str, reader: Callable[[], Reader]) -> Item:
    op = happening.op
    about: dict[str, Any] = {
        "collection": op.collection,
        "id": op.id,
        "namespace": op.namespace,
        "owner": op.owner or op.agent,
        "change": op.kind.name.lower(),
        "fields": changed_fields(op),
        "bytes": sum(map(_bytes, op.set.values())),
    }
    if op.collection == MEMORY:
        about["memory_id"] = op.id
    return Item(
        events=_events(name_of(happening), importing=action == IMPORT_ACTION),
        ident=op.id,
        namespace=op.namespace,
        about=about,
        content=op.set,
        text=reader().text_after(op) if writes_chunks(op) else None,
    )


def writes_chunks(op: Op) -> bool:
    """Whether an operation changes what a document says."""
    return any(name.startswith(CHUNK_MARK) for name in op.set)


def _bytes(value: Value) -> int:
    if isinstance(value, bytes):
        return len(value)
    return len(value.encode()) if isinstance(value, str) else 0


def _events(name: str | None, *, importing: bool = False) -> frozenset[str]:
    further = {BEFORE_WRITE, BEFORE_IMPORT} if importing else {BEFORE_WRITE}
    return _OF.get(name or "", frozenset()) | further


def of_governance(drafts: Sequence[GovernanceDraft]) -> list[Item]:
    """The items of changes of governance; what a node says of itself is not asked about."""
    items = []
    for draft in drafts:
        if draft.kind is Kind.MODE:
            continue
        op = Op(dot=_UNBORN, kind=draft.kind, id=draft.id, set=draft.set)
        about = {
            "change": draft.kind.name.lower(),
            "id": draft.id,
            "namespace": draft.namespace,
            "fields": sorted(draft.set),
        }
        items.append(
            Item(
                events=_events(name_of(Happening(op=op))),
                ident=draft.id,
                namespace="" if draft.namespace == "*" else draft.namespace,
                about=about,
                content=draft.set,
            )
        )
    return items


def of_vote(pending_id: str, *, yes: bool, reason: str, namespace: str, requester: str) -> Item:
    """The item of a vote about a held action."""
    return Item(
        events=frozenset({BEFORE_WRITE, BEFORE_DECISION}),
        ident=pending_id,
        namespace=namespace,
        about={
            "change": "vote",
            "pending_id": pending_id,
            "yes": yes,
            "namespace": namespace,
            "requested_by": requester,
        },
        content={"reason": reason} if reason else {},
    )


def of_member(event: str, subject: str, node_id: str) -> Item:
    """The item of a change of membership."""
    about = {"change": event.removeprefix("before_"), "name": subject, "node_id": node_id}
    return Item(events=frozenset({BEFORE_WRITE, event}), ident=node_id, about=about)


def of_reading(event: str, about: Mapping[str, Any], asked: Mapping[str, Value]) -> Item:
    """The item of a recall or a search: nothing is written."""
    namespace = about.get("namespace") or ""
    return Item(events=frozenset({event}), namespace=namespace, about=about, content=asked)
