"""All operations of a document, taken one change after the other.

Law: the state is a function of the set of changes, not of the order in which they came, as long
as each comes after what it depends on. A change is taken whole or not at all, and the last ones
can be taken back. Between operations there is one relation: one names others as overwritten; what
nothing overwrites shows (Kleppmann and Beresford, A conflict-free replicated JSON datatype, 2017,
in the form that the Automerge format gives it):

    set, make    a value at a key or element; what it names no longer shows
    delete       what it names no longer shows; what was written meanwhile still does
    increment    adds to each counter it names, overwrites whatever else it names
    mark         one end of a marked range: an element without width

Stricter than the official library, which takes what it cannot save again, or stops: predecessors
must stand at the same place, what is referred to has a smaller counter, counters grow along
dependencies, an actor's changes are taken in their order, tables are refused (version 3 cannot
read what is in one). Whether a change can be taken never turns from yes to no as others come.
"""

from __future__ import annotations

from collections.abc import Sequence as Row
from typing import Final

from crdt.document.causality import Causality
from crdt.document.model import (
    MAKES,
    Action,
    Change,
    ChangeError,
    OpId,
    ScalarKind,
)
from crdt.document.register import Register, Value
from crdt.document.sequence import Sequence
from crdt.document.span import Mark
from crdt.document.steps import Step, steps_of

_WRITES: Final = MAKES | {Action.SET}
DEPTH_MAX: Final = 64
"""Objects inside objects. Whoever writes a view as JSON goes down as deep."""


class MapNode:
    """The keys of one map.

    Attributes:
        id: the operation that made it; None for the root.
        depth: of the object below the root, which has 0.
        keys: what was ever written there, by key.
    """

    __slots__ = ("depth", "id", "keys")

    def __init__(self, named: OpId | None, *, depth: int) -> None:
        self.id = named
        self.depth = depth
        self.keys: dict[str, Register] = {}


Node = MapNode | Sequence


class OpSet:
    """The state that a set of changes makes.

    Attributes:
        root: the map that everything is in.
        max_op: the largest counter of all operations; 0 without any.
        ops: how many operations were taken.
        marks: how many of them mark text.
    """

    def __init__(self) -> None:
        self.root = MapNode(None, depth=0)
        self.max_op = 0
        self.ops = 0
        self.marks = 0
        self._nodes: dict[OpId | None, Node] = {None: self.root}
        self._causality = Causality()
        self._past: int | None = None
        self._own = OpId(0, b"")

    # --- what there is -------------------------------------------------------------

    @property
    def heads(self) -> tuple[bytes, ...]:
        """The changes that no other one depends on, sorted."""
        return tuple(sorted(self._causality.heads))

    def seen(self, name: bytes) -> bool:
        """Whether the change of this hash was taken."""
        return name in self._causality

    def node(self, named: OpId | None) -> Node | None:
        """An object by its name; None names the root."""
        return self._nodes.get(named)

    def seq(self, actor: bytes) -> int:
        """The last change of an actor; 0 without any."""
        return self._causality.seq(actor)

    # --- changes ---------------------------------------------------------------------

    def apply(self, change: Change) -> None:
        """Take a change; one that was taken already changes nothing.

        Raises:
            MissingChangesError: it depends on what is not there.
            ChangeError: it refers to objects, elements or predecessors that are not there, or
                does what their kind does not allow. Nothing is changed then.
        """
        if change.hash in self._causality:
            return
        past = self._causality.past(change)
        self.attempt(steps_of(change.ops, change.actor, change.start_op), past)
        self._causality.enter(change, past)
        self.max_op = max(self.max_op, change.start_op + len(change.ops) - 1)
        self.ops += len(change.ops)

    def undo(self, change: Change) -> None:
        """Take a change back that no other one here depends on: the opposite of `apply`.

        Raises:
            ValueError: others depend on it, or it is not here.
        """
        self._causality.leave(change)
        self.take_back(steps_of(change.ops, change.actor, change.start_op))
        self.max_op = self._causality.max_op()
        self.ops -= len(change.ops)

    def attempt(self, steps: Row[Step], past: int | None = None) -> None:
        """Do what operations do; for those that belong to no change yet, `take_back` ends it.

        Args:
            steps: of one author, with names that no operation has.
            past: what they may refer to besides each other; None for all that is here.

        Raises:
            ChangeError: as `apply`; nothing is changed then.
        """
        if not steps:
            return
        self._past, self._own = past, steps[0].id
        for place, step in enumerate(steps):
            try:
                self._take(step)
            except ChangeError:
                self.take_back(steps[:place])
                raise

    def take_back(self, steps: Row[Step]) -> None:
        """Take operations back that nothing else here refers to."""
        for step in reversed(steps):
            self._untake(step)

    # --- one step ----------------------------------------------------------------------

    def _refers(self, step: Step, named: OpId) -> bool:
        """Whether a step may refer to an operation, if there is one of this name."""
        if named.counter >= step.id.counter:
            return False
        if self._past is None or (
            named.actor == self._own.actor and named.counter >= self._own.counter
        ):
            return True
        return self._causality.covers(self._past, named)

    def _take(self, step: Step) -> None:
        """Do what a group of operations does, or raise without any effect."""
        op = step.op
        node = self._nodes.get(op.obj)
        if node is None or (op.obj is not None and not self._refers(step, op.obj)):
            raise _wrong(step, f"object {_name(op.obj)} is not there")
        if isinstance(node, MapNode):
            self._take_in_map(step, node)
            return
        key = op.key
        if isinstance(key, str) or (key is None and not op.insert):
            raise _wrong(step, "a sequence has elements, not keys")
        if key is not None and not self._refers(step, key):
            raise _wrong(step, f"element {_name(key)} is not there")
        if op.insert:
            self._take_insertion(step, node, key)
        elif key is not None and op.action == Action.DELETE and op.pred == (key,):
            last = OpId(key.counter + step.length - 1, key.actor)
            if not self._refers(step, last) or not node.deletable(key, step.length):
                raise _wrong(step, "deletes elements that are not there")
            node.delete(key, step.length)
        elif key is not None:
            self._take_in_element(step, node, key)

    def _take_in_map(self, step: Step, node: MapNode) -> None:
        key = step.op.key
        if not isinstance(key, str) or step.op.insert:
            raise _wrong(step, "a map has keys, not elements")
        register = node.keys.get(key)
        if register is None:
            register = Register()
            self._write(step, register, node.depth)
            node.keys[key] = register
        else:
            self._write(step, register, node.depth)

    def _take_in_element(self, step: Step, node: Sequence, element: OpId) -> None:
        opened = node.opened(element)
        if opened is None:
            raise _wrong(step, f"element {_name(element)} is not there")
        span, register = opened
        before = span.width(text=node.is_text)
        self._write(step, register, node.depth)
        node.changed(span, before)

    def _take_insertion(self, step: Step, node: Sequence, behind: OpId | None) -> None:
        op = step.op
        if behind is not None and node.find(behind) is None:
            raise _wrong(step, f"element {_name(behind)} is not there")
        if step.run is not None:
            node.insert(behind, step.id, step.run, step.length)
            return
        if op.action == Action.MARK:
            if op.pred:
                raise _wrong(step, "a mark overwrites nothing")
            if op.mark is None and not _is_behind(node, OpId(step.id[0] - 1, step.id[1]), behind):
                raise _wrong(step, "a mark ends before it begins")
            node.insert(behind, step.id, Mark(op.mark, op.value, op.expand), 1)
            self.marks += 1
            return
        if op.action not in _WRITES or op.pred:
            raise _wrong(step, "what is inserted is a new value and overwrites nothing")
        register = Register()
        self._write(step, register, node.depth)
        node.insert(behind, step.id, register, 1)

    def _write(self, step: Step, register: Register, depth: int) -> None:
        """What one operation does to the values of its place."""
        op = step.op
        if len(op.pred) > 1 and len(set(op.pred)) < len(op.pred):
            raise _wrong(step, "names a predecessor twice")
        olds: list[Value] = []
        for pred in op.pred:
            old = register.find(pred)
            if old is None or not self._refers(step, pred):
                raise _wrong(step, f"predecessor {_name(pred)} is not there")
            olds.append(old)
        by: int | None = None
        if op.action in _WRITES:
            register.add(self._made(step, depth))
        elif op.action == Action.MARK:
            raise _wrong(step, "a mark is inserted into a sequence")
        elif not olds:
            raise _wrong(step, "deletes or increments, but does not say what")
        elif op.action == Action.INCREMENT:
            by = _amount(step)
        for old in olds:
            if by is not None and old.is_counter:
                old.added += by
            else:
                register.overwrite(old)

    def _made(self, step: Step, depth: int) -> Value:
        """The value that an operation writes; an object is entered by its name."""
        action = step.op.action
        if action == Action.SET:
            return Value(step.id, step.op.value, None)
        if action == Action.MAKE_TABLE:
            raise _wrong(step, "makes a table; version 3 of the library cannot read one: use a map")
        if depth >= DEPTH_MAX:
            raise _wrong(step, f"objects lie deeper in each other than {DEPTH_MAX}")
        node: Node
        if action == Action.MAKE_MAP:
            node = MapNode(step.id, depth=depth + 1)
        else:
            node = Sequence(step.id, is_text=action == Action.MAKE_TEXT, depth=depth + 1)
        self._nodes[step.id] = node
        return Value(step.id, None, node)

    # --- one step back -------------------------------------------------------------------

    def _untake(self, step: Step) -> None:
        op = step.op
        node = self._nodes[op.obj]
        if op.action in MAKES:
            del self._nodes[step.id]
        if isinstance(node, MapNode):
            key = str(op.key)
            register = node.keys[key]
            _unwrite(step, register)
            if register.is_empty():
                del node.keys[key]
            return
        if op.insert:
            node.remove(step.id, step.length)
            self.marks -= op.action == Action.MARK
            return
        if not isinstance(op.key, OpId):  # it was taken
            raise TypeError(op.key)
        if op.action == Action.DELETE and op.pred == (op.key,):
            node.undelete(op.key, step.length)
            return
        opened = node.opened(op.key)
        if opened is None:
            raise KeyError(op.key)
        span, register = opened
        before = span.width(text=node.is_text)
        _unwrite(step, register)
        node.changed(span, before)


def _unwrite(step: Step, register: Register) -> None:
    """The opposite of what one operation does to the values of its place."""
    op = step.op
    register.remove(step.id)
    by = _amount(step) if op.action == Action.INCREMENT else None
    for pred in op.pred:
        old = register.find(pred)
        if old is None:
            raise KeyError(pred)
        if by is not None and old.is_counter:
            old.added -= by
        else:
            register.uncover(old)


def _amount(step: Step) -> int:
    """By how much an operation increments."""
    scalar = step.op.value
    if scalar.kind not in {ScalarKind.INT, ScalarKind.UINT}:
        raise _wrong(step, "increments by something that is no whole number")
    return int(scalar.value or 0)


def _is_behind(node: Sequence, begin: OpId, element: OpId | None) -> bool:
    """Whether an element is the beginning of a mark, or stands behind it."""
    first = node.find(begin)
    found = None if element is None else node.find(element)
    if first is None or found is None:
        return False
    return node.rank(first[0]) <= node.rank(found[0])


def _wrong(step: Step, words: str) -> ChangeError:
    return ChangeError(f"operation {_name(step.id)}: {words}")


def _name(named: OpId | None) -> str:
    return "of the root" if named is None else f"{named.counter}@{named.actor.hex()}"
