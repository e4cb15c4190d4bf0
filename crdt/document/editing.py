"""Edits as operations of a change.

Law: an edit means what its author sees: it goes by what shows, overwrites every rival of what it
replaces, and later edits of one request see the earlier ones. The document is the same before and
after: what the edits do to it is taken back.

Positions in texts are code points. An element that shows several of them (another program may
write such) and is cut by an edit is replaced by its parts, each code point an element of its own.
What is written at the edge of a mark belongs to it if the mark says so.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Row
from typing import Any

from crdt.document.edits import (
    BadEditError,
    Delete,
    Edit,
    EditError,
    Increment,
    Insert,
    Path,
    Put,
    Splice,
    pointer,
    read_edit,
)
from crdt.document.model import (
    Action,
    ChangeError,
    ChangeOp,
    DocumentLimits,
    DocumentTooLargeError,
    OpId,
    Scalar,
    ScalarKind,
)
from crdt.document.opset import MapNode, Node, OpSet
from crdt.document.planting import Plan
from crdt.document.register import Value
from crdt.document.sequence import Sequence
from crdt.document.showing import TEXT_KEY
from crdt.document.span import Mark, Span, first_of, shown_in_text
from crdt.document.steps import Step, steps_of
from crdt.document.text_difference import difference

NO_LIMITS = DocumentLimits()


def edit_ops(
    opset: OpSet,
    edits: Iterable[object],
    *,
    actor: bytes,
    start_op: int,
    limits: DocumentLimits = NO_LIMITS,
) -> tuple[ChangeOp, ...]:
    """The operations that edits come to.

    Args:
        opset: the document as the author sees it; unchanged afterwards.
        edits: as `edits` describes them.
        actor: who makes the change.
        start_op: counter of the first operation; above all that the author sees.
        limits: `change_ops_max` bounds what one request may come to.

    Returns:
        The operations; none when the edits change nothing.

    Raises:
        EditError: an edit cannot be made.
        DocumentTooLargeError: they come to too many operations.
    """
    plan = Plan(actor, start_op, limits.change_ops_max)
    taken: list[Step] = []
    try:
        for index, edit in enumerate(edits):
            begin = len(plan.ops)
            try:
                _plan(opset, plan, read_edit(edit))
                steps = steps_of(plan.ops[begin:], actor, start_op + begin)
                opset.attempt(steps)
            except (DocumentTooLargeError, EditError):
                raise
            except (BadEditError, ChangeError) as error:
                raise EditError(index, str(error)) from error
            taken += steps
    finally:
        opset.take_back(taken)
    return tuple(plan.ops)


def replace_text(opset: OpSet, new: str) -> list[dict[str, Any]]:
    """Edits that make the root's `text` this one, by as little as is found at a bounded cost.

    They are in order, last position first, so that each means what it says. A root without a
    text gets one.
    """
    register = opset.root.keys.get(TEXT_KEY)
    winner = register.winner() if register is not None else None
    node = winner.node if winner is not None else None
    if not isinstance(node, Sequence) or not node.is_text:
        return [{"op": "put", "path": [TEXT_KEY], "value": new, "type": "text"}]
    return [
        {"op": "splice", "path": [TEXT_KEY], "index": at, "delete": length, "insert": words}
        for at, length, words in reversed(difference(node.text(), new))
    ]


def _plan(opset: OpSet, plan: Plan, edit: Edit) -> None:
    if isinstance(edit, Splice):
        _splice(_sequence(opset, edit.path), plan, edit)
        return
    if not edit.path:
        raise BadEditError("the root itself cannot be replaced: name one of its keys")
    node = _node(opset, edit.path[:-1])
    last = edit.path[-1]
    if isinstance(node, Sequence) and isinstance(last, int):
        _plan_at(node, plan, edit, last)
    elif isinstance(node, MapNode) and isinstance(last, str):
        _plan_under(node, plan, edit, last)
    elif isinstance(node, MapNode):
        raise BadEditError(f"{pointer(edit.path[:-1])} is a map: its keys are strings, not {last}")
    else:
        raise BadEditError(
            f"{_called(node, edit.path[:-1])} has indexes, not keys such as {last!r}"
        )


def _plan_under(
    node: MapNode, plan: Plan, edit: Put | Insert | Delete | Increment, key: str
) -> None:
    """An edit of a key of a map."""
    register = node.keys.get(key)
    values = register.ranked() if register is not None else []
    place = ChangeOp(node.id, key, False, Action.SET, pred=_names(values))
    if isinstance(edit, Put):
        plan.value(place, edit.value, edit.type)
    elif isinstance(edit, Increment):
        _increment(plan, place, edit, values)
    elif isinstance(edit, Insert):
        raise BadEditError(f"{pointer(edit.path[:-1])} is a map: `put` writes a key of it")
    elif edit.count != 1:
        raise BadEditError("`count` is for lists and texts: a key is one")
    elif not values:
        raise BadEditError(f"there is nothing at {pointer(edit.path)} to delete")
    else:
        plan.add(place._replace(action=Action.DELETE))


def _plan_at(
    node: Sequence, plan: Plan, edit: Put | Insert | Delete | Increment, index: int
) -> None:
    """An edit of an element of a list, or at a position of a text."""
    if isinstance(edit, Delete):
        _splice(node, plan, Splice(edit.path[:-1], index, edit.count))
        return
    if isinstance(edit, Insert):
        if node.is_text and not all(isinstance(one, str) for one in edit.values):
            raise BadEditError(f"{pointer(edit.path[:-1])} is a text: insert strings")
        insert = "".join(edit.values) if node.is_text else edit.values
        _splice(node, plan, Splice(edit.path[:-1], index, 0, insert, edit.type))
        return
    found = node.place(index)
    if found.span is None:
        raise BadEditError(_beyond(node, edit.path[:-1], index) + "; `insert` adds elements")
    if node.is_text and isinstance(edit, Put):
        raise BadEditError(f"{pointer(edit.path[:-1])} is a text: `splice` replaces parts of it")
    held = node.values(found.span, found.element)
    element = first_of(found.span, found.element)
    place = ChangeOp(node.id, element, False, Action.SET, pred=_names(held))
    if isinstance(edit, Put):
        plan.value(place, edit.value, edit.type)
    else:
        _increment(plan, place, edit, held)


def _increment(plan: Plan, place: ChangeOp, edit: Increment, values: list[Value]) -> None:
    if not values or not values[0].is_counter:
        raise BadEditError(
            f"{pointer(edit.path)} is no counter: `put` one there with type `counter`"
        )
    counters = _names(one for one in values if one.is_counter)
    by = Scalar(ScalarKind.INT, edit.by)
    plan.add(place._replace(action=Action.INCREMENT, value=by, pred=counters))


# --- splices -------------------------------------------------------------------------------


def _splice(node: Sequence, plan: Plan, edit: Splice) -> None:
    width = node.width()
    index = width if edit.index is None else edit.index
    if index > width:
        raise BadEditError(_beyond(node, edit.path, index))
    if index + edit.delete > width:
        raise BadEditError(
            f"{_called(node, edit.path)} ends at {width}: {edit.delete} cannot be deleted at"
            f" {index}"
        )
    if node.is_text:
        _splice_text(node, plan, edit, index)
    else:
        _splice_list(node, plan, edit, index)


def _splice_text(node: Sequence, plan: Plan, edit: Splice, index: int) -> None:
    if isinstance(edit.insert, list):
        raise BadEditError(f"{pointer(edit.path)} is a text: `insert` is a string")
    if edit.type not in {None, "text", "string"}:
        raise BadEditError(f"{pointer(edit.path)} is a text: it holds no {edit.type}")
    begin = node.place(index)
    head, tail = "", ""
    start = index - begin.inside
    end = index + edit.delete
    if begin.inside and begin.span is not None:
        head = _shows(node, begin.span, begin.element)[: begin.inside]
    last = node.place(end)
    if last.inside and last.span is not None:
        tail = _shows(node, last.span, last.element)[last.inside :]
        end += len(tail)
    words = head + edit.insert + tail
    doomed = list(_elements(node, start, end))
    if words:
        plan.characters(node.id, _insertion_point(node, start), words)
    _delete(node, plan, doomed)


def _splice_list(node: Sequence, plan: Plan, edit: Splice, index: int) -> None:
    values = edit.insert or []
    if isinstance(values, str):
        raise BadEditError(f"{pointer(edit.path)} is a list: `insert` is a list of values")
    doomed = list(_elements(node, index, index + edit.delete))
    behind = _insertion_point(node, index)
    for value in values:
        behind = plan.value(ChangeOp(node.id, behind, True, Action.SET), value, edit.type)
    _delete(node, plan, doomed)


def _delete(node: Sequence, plan: Plan, doomed: list[tuple[Span, int]]) -> None:
    for span, element in doomed:
        named = first_of(span, element)
        held = (named,) if span.length > 1 else _names(node.values(span, element))
        plan.add(ChangeOp(node.id, named, False, Action.DELETE, pred=held))


def _elements(node: Sequence, start: int, end: int) -> Iterator[tuple[Span, int]]:
    """The visible elements that show from a position to another, both at edges of elements."""
    if start >= end:
        return
    at = node.place(start)
    element = at.element
    if at.span is None:
        return
    left = end - start
    for span in node.spans_from(at.span):
        while element < span.length and left > 0:
            wide = len(_shows(node, span, element)) if node.is_text else 1
            if not node.values(span, element):
                break
            if wide:
                yield span, element
            left -= wide
            element += 1
        element = 0
        if left <= 0:
            return


def _insertion_point(node: Sequence, position: int) -> OpId | None:
    """The element behind which to write so that it shows at a position; None at the beginning."""
    before = node.before(position)
    if before is None:
        spans, behind = node.spans(), None
    else:
        span, element = before
        behind = first_of(span, element)
        if element + 1 < span.length:
            return behind
        spans = node.spans_from(span)
        next(spans)
    for span in spans:
        if span.width(text=node.is_text):
            break
        mark = span.content
        if isinstance(mark, Mark) and mark.expand is (mark.name is not None):
            behind = first_of(span, 0)
    return behind


# --- paths ---------------------------------------------------------------------------------


def _node(opset: OpSet, path: Path) -> Node:
    """The object at a path."""
    node: Node = opset.root
    for depth, part in enumerate(path):
        here = path[: depth + 1]
        if isinstance(node, MapNode):
            if isinstance(part, int):
                raise BadEditError(
                    f"{pointer(path[:depth])} is a map: its keys are strings, not {part}"
                )
            register = node.keys.get(part)
            winner = register.winner() if register is not None else None
        else:
            if isinstance(part, str):
                raise BadEditError(
                    f"{_called(node, path[:depth])} has indexes, not keys such as {part!r}"
                )
            found = node.place(part)
            held = node.values(found.span, found.element) if found.span is not None else []
            winner = held[0] if held else None
        if winner is None:
            raise BadEditError(f"there is nothing at {pointer(here)}: `put` it first")
        if winner.node is None:
            raise BadEditError(f"{pointer(here)} is a single value: nothing lies inside it")
        node = winner.node
    return node


def _sequence(opset: OpSet, path: Path) -> Sequence:
    node = _node(opset, path)
    if isinstance(node, Sequence):
        return node
    raise BadEditError(f"{pointer(path)} is a map: `splice` is for texts and lists")


def _shows(node: Sequence, span: Span, element: int) -> str:
    held = node.values(span, element)
    return shown_in_text(held[0].scalar) if held else ""


def _names(values: Iterable[Value]) -> tuple[OpId, ...]:
    return tuple(sorted(one.id for one in values))


def _called(node: Node, path: Row[str | int]) -> str:
    if isinstance(node, MapNode):
        return f"{pointer(path)}, a map,"
    return f"{pointer(path)}, a {'text' if node.is_text else 'list'},"


def _beyond(node: Sequence, path: Row[str | int], index: int) -> str:
    what = "code points" if node.is_text else "elements"
    return f"index {index} is beyond {pointer(path)}, which has {node.width()} {what}"
