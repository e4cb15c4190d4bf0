"""A question that ends halfway, for want of memory, leaves no document that looks like one."""

from contextlib import suppress
from typing import Any

import pytest

from crdt.document.edits import EditError
from crdt.document.model import ChangeError, OpId
from crdt.document.opset import OpSet
from tests.unit.crdt.document.authors_rig import (
    ANN,
    BOB,
    EVE,
    all_of,
    document,
    edit,
    made,
    written,
)

PUT = {"op": "put", "path": ["text"], "value": "hello world"}
BANG = {"op": "splice", "path": ["text"], "index": 0, "insert": "!"}
FIRST = edit(document([]), ANN, [PUT])
LEFT = edit(document([FIRST]), ANN, [BANG])
RIGHT = edit(document([FIRST]), BOB, [BANG, {"op": "put", "path": ["n"], "value": 1}])
ALL = [FIRST, LEFT, RIGHT]
MORE = edit(document(ALL), EVE, [BANG, PUT])


@pytest.mark.parametrize("deed", ["attempt", "take_back"])
@pytest.mark.parametrize("heads", [None, [FIRST.hash]])
def test_what_memory_ran_out_in_is_whole_or_says_that_it_is_not(
    deed: str, heads: list[bytes] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, before = getattr(OpSet, deed), all_of(document(ALL))
    broken = 0
    for last in range(12):
        one, left = document(ALL), [last]

        def failing(opset: OpSet, *args: Any, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == -1:
                raise MemoryError
            plain(opset, *args)

        with monkeypatch.context() as patch:
            patch.setattr(OpSet, deed, failing)
            with suppress(MemoryError):
                edit(one, BOB if heads is None else EVE, [BANG, PUT, BANG], heads=heads)
            if one.whole:
                with suppress(MemoryError):
                    one.accepts([MORE])
        broken += not one.whole
        assert not one.whole or all_of(one) == before
    assert broken


def test_what_is_refused_in_words_leaves_it_whole() -> None:
    one = document(ALL)
    with pytest.raises(EditError):
        edit(one, EVE, [BANG, {"op": "delete", "path": ["nowhere"]}], heads=[FIRST.hash])
    assert one.whole
    wrong = made(EVE, [written(None, "n", 2, OpId(99, ANN))], start_op=5, deps=[FIRST])
    with pytest.raises(ChangeError):
        one.accepts([MORE, wrong])
    assert one.whole
    assert all_of(one) == all_of(document(ALL))
