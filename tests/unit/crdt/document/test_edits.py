import pytest

from crdt.document.edits import (
    BadEditError,
    Delete,
    Edit,
    Increment,
    Insert,
    Put,
    Splice,
    pointer,
    read_edit,
)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ({"op": "put", "path": ["a", 0], "value": None}, Put(("a", 0), None)),
        ({"op": "put", "path": ["a"], "value": 1, "type": "uint"}, Put(("a",), 1, "uint")),
        ({"op": "insert", "path": ["l", 1], "value": [2]}, Insert(("l", 1), [[2]])),
        ({"op": "insert", "path": ["l", 1], "values": [2, 3]}, Insert(("l", 1), [2, 3])),
        ({"op": "delete", "path": ["a"]}, Delete(("a",))),
        ({"op": "delete", "path": ["l", 1], "count": 2}, Delete(("l", 1), 2)),
        ({"op": "splice", "path": ["t"]}, Splice(("t",))),
        (
            {"op": "splice", "path": ["t"], "index": 1, "delete": 2, "insert": "x"},
            Splice(("t",), 1, 2, "x"),
        ),
        ({"op": "splice", "path": ["t"], "index": None, "insert": "x"}, Splice(("t",), insert="x")),
        ({"op": "increment", "path": ["n"]}, Increment(("n",))),
        ({"op": "increment", "path": ["n"], "by": -3}, Increment(("n",), -3)),
    ],
)
def test_json_is_read_as_what_it_means(sent: object, meant: Edit) -> None:
    assert read_edit(sent) == meant


def test_what_is_no_edit_is_refused() -> None:
    with pytest.raises(BadEditError, match=r"not 'x{20,}"):
        read_edit({"op": "x" * 1_000, "path": []})


def test_paths_are_told_as_pointers() -> None:
    assert pointer(()) == "the root"
    assert pointer(("a/b", 0, "c~d", "")) == "/a~1b/0/c~0d/"
