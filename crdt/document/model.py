"""What a change of a document consists of.

Law: names and numbers are those of the Automerge binary format. An operation is named by its
counter and its actor; counters grow along every chain of dependencies, so the order of names is
an order of happening, and ties between concurrent operations are decided by the actor.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from crdt.dot import Dot

HASH_BYTES: Final = 32
ACTOR_BYTES: Final = 16
"""Of actors drawn here; others may bring any length up to `ACTOR_BYTES_MAX`."""

ACTOR_BYTES_MAX: Final = 64


class OpId(NamedTuple):
    """The name of an operation; later ones are greater."""

    counter: int
    actor: bytes


class Action(IntEnum):
    """What an operation does. Numbers of the format."""

    MAKE_MAP = 0
    SET = 1
    MAKE_LIST = 2
    DELETE = 3
    MAKE_TEXT = 4
    INCREMENT = 5
    MAKE_TABLE = 6
    MARK = 7


MAKES: Final = frozenset({Action.MAKE_MAP, Action.MAKE_LIST, Action.MAKE_TEXT, Action.MAKE_TABLE})


class ScalarKind(IntEnum):
    """The types of a value: the low four bits of its place in the value column."""

    NULL = 0
    FALSE = 1
    TRUE = 2
    UINT = 3
    INT = 4
    FLOAT = 5
    STRING = 6
    BYTES = 7
    COUNTER = 8
    TIMESTAMP = 9


class Scalar(NamedTuple):
    """A value with its type.

    `kind` is a plain number where the format has no name for it (10 to 15); `value` is its bytes
    then. A timestamp is in milliseconds since the epoch.
    """

    kind: int
    value: bool | int | float | str | bytes | None


NULL: Final = Scalar(ScalarKind.NULL, None)


class ChangeOp(NamedTuple):
    """One operation of a change; its name is the change's actor and `start_op` plus its place.

    Attributes:
        obj: the object it is about; None for the root.
        key: a map's key, or the name of the element of a sequence it is about (of the element
            after which it inserts); None for the beginning of a sequence.
        insert: whether it makes a new element after `key`.
        action: what it does.
        value: what it sets, or by how much it increments.
        pred: the names of the operations that it overwrites, smallest first.
        expand: of a mark, whether it grows with what is written at its edge.
        mark: the name of a mark.
    """

    obj: OpId | None
    key: str | OpId | None
    insert: bool
    action: Action
    value: Scalar = NULL
    pred: tuple[OpId, ...] = ()
    expand: bool = False
    mark: str | None = None


class Change(NamedTuple):
    """One change: what one author did at once.

    Attributes:
        hash: its name: SHA-256 over type, length and contents of the chunk.
        data: the chunk, of type 1, never deflated.
        actor: who; no two changes of one actor have the same `seq`.
        seq: 1, 2, 3 ... of its actor.
        start_op: counter of its first operation; greater than those of all it depends on.
        time: seconds since the epoch; 0 when it says none.
        message: what its author said of it.
        deps: the changes it was made upon, by hash, sorted.
        ops: what it does.
        extra: bytes at its end that the format leaves to later versions; kept.
    """

    hash: bytes
    data: bytes
    actor: bytes
    seq: int
    start_op: int
    time: int
    message: str | None
    deps: tuple[bytes, ...]
    ops: tuple[ChangeOp, ...]
    extra: bytes = b""

    @property
    def unfolded_bytes(self) -> int:
        """Of the chunk, and of each key as often as there is an operation with it.

        A chunk holds a key once that many operations in a row have; what is shown repeats it.
        """
        return len(self.data) + sum([len(op.key) for op in self.ops if op.key.__class__ is str])


class Stored(NamedTuple):
    """One stored version of a chunk, or of a pack of them, as a record holds it.

    Attributes:
        name: the field: `chunk/` and the hash, as lowercase hex, of the change or of the pack.
        data: the bytes.
        agent: who wrote it.
        hlc: the stamp it was written with.
        dot: the operation that wrote it.
    """

    name: str
    data: bytes
    agent: str
    hlc: int
    dot: Dot


class DocumentLimits(NamedTuple):
    """Bounds of one document.

    Attributes:
        change_bytes_max: of a chunk, after inflating one that came deflated.
        change_ops_max: operations of one change.
        changes_max: changes of one document.
        ops_max: operations of one document.
        stored_bytes_max: bytes that its chunks and packs take in the record.
    """

    change_bytes_max: int = 262_144
    change_ops_max: int = 65_536
    changes_max: int = 10_000
    ops_max: int = 262_144
    stored_bytes_max: int = 1_048_576


READ_MAX: Final = DocumentLimits(
    change_bytes_max=1_048_576,
    change_ops_max=262_144,
    changes_max=32_768,
    ops_max=524_288,
    stored_bytes_max=3_145_728,
)
"""What is read of a document, of each member that wrote into it: constants of the format, alike on
all nodes, whatever their settings. What a node may be set to take stays below: at most half of it
for a whole document, so nothing that a node took is ever beyond."""


class ChangeError(ValueError):
    """Bytes that are no change, or a change that cannot be taken; says what is wrong."""


class MissingChangesError(ChangeError):
    """A change depends on others that are not there.

    Attributes:
        missing: their hashes.
    """

    def __init__(self, missing: tuple[bytes, ...]) -> None:
        names = ", ".join(one.hex() for one in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""  # noqa: PLR2004
        super().__init__(f"depends on changes that are not there: {names}{more}")
        self.missing = missing


class DocumentTooLargeError(ChangeError):
    """A bound of `DocumentLimits` would be passed; `bound` names it."""

    def __init__(self, bound: str, most: int, got: int) -> None:
        super().__init__(f"{bound}: {got} is more than {most}")
        self.bound = bound
        self.most = most
        self.got = got
