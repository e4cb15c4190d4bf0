import random

import pytest

from crdt.document.model import NULL, Action, ChangeError, ChangeOp, OpId, Scalar, ScalarKind
from crdt.document.operations import COLUMNS, actors_of, check_ops, read_ops, write_ops
from tests.unit.crdt.document.changes_rig import ANN, BOB, LIMITS, random_ops

HOME, FIRST = OpId(1, ANN), OpId(2, BOB)
X = Scalar(ScalarKind.STRING, "x")
BOLD = ChangeOp(HOME, None, True, Action.MARK, Scalar(ScalarKind.TRUE, True), (), True, "bold")
END = ChangeOp(HOME, FIRST, True, Action.MARK, NULL, (), True)


def test_operations_come_back_from_their_columns() -> None:
    r = random.Random(41)
    for _ in range(100):
        ops = random_ops(r, [ANN, BOB, b"c"], 20)
        others = sorted(actors_of(ops) - {ANN})
        table = [ANN, *others]
        columns = dict(write_ops(ops, {actor: place for place, actor in enumerate(table)}))
        assert columns.keys() <= COLUMNS
        assert sorted(columns) == list(columns)
        assert read_ops(columns, table, LIMITS) == tuple(ops)


def test_what_says_nothing_takes_no_column() -> None:
    assert write_ops([], {ANN: 0}) == []
    op = ChangeOp(None, "k", False, Action.SET, X)
    names = [name for name, _ in write_ops([op], {ANN: 0})]
    assert names == [0x15, 0x34, 0x42, 0x56, 0x57, 0x70]


def test_all_who_are_mentioned_are_found() -> None:
    ops = [
        ChangeOp(OpId(1, b"a"), OpId(2, b"b"), False, Action.SET, X, (OpId(3, b"c"),)),
        ChangeOp(None, "k", False, Action.SET, X),
        ChangeOp(OpId(1, b"a"), None, True, Action.SET, X),
    ]
    assert actors_of(ops) == {b"a", b"b", b"c"}


def test_an_end_stands_beside_its_beginning() -> None:
    """The official library cannot open again what it saved with any other end."""
    check_ops([BOLD, END, BOLD, END])
    for ops in ([END], [END, BOLD], [BOLD, END, END], [BOLD, BOLD, END, END]):
        with pytest.raises(ChangeError, match="mark"):
            check_ops(ops)
    for other in (
        END._replace(obj=None),
        END._replace(key=None),
        END._replace(value=X),
        END._replace(insert=False),
    ):
        with pytest.raises(ChangeError):
            check_ops([BOLD, other])


def test_an_actor_that_no_operation_mentions_is_refused() -> None:
    with pytest.raises(ChangeError, match="mentions"):
        read_ops({}, [ANN, BOB], LIMITS)
