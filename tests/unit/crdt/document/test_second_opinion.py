"""The guard before the package: what reaches it, and what becomes of its failures."""

import math
import sys
import zlib
from types import SimpleNamespace
from typing import Any

import pytest

from crdt.document import second_opinion
from crdt.document.change import encode_change
from crdt.document.chunk import MAGIC
from crdt.document.leb import uleb
from crdt.document.model import Action, Change, ChangeOp, OpId, Scalar, ScalarKind
from crdt.document.opset import OpSet
from crdt.document.second_opinion import (
    OPS_MAX,
    PackageError,
    PackageMissingError,
    alike,
    package_value,
)
from crdt.document.showing import package_shape

ACTOR, OTHER = b"a" * 16, b"b" * 16
TEXT = OpId(1, ACTOR)


def change(*ops: ChangeOp, actor: bytes = ACTOR, **told: Any) -> Change:
    given = {"seq": 1, "start_op": 1, "time": 0, "message": None, "deps": ()} | told
    return encode_change(actor=actor, ops=ops, **given)


def put(key: str, kind: int, value: Any) -> ChangeOp:
    return ChangeOp(None, key, False, Action.SET, Scalar(kind, value))


def shape_of(*changes: Change) -> Any:
    opset = OpSet()
    for one in changes:
        opset.apply(one)
    return package_shape(opset)


def written() -> list[Change]:
    """A text, one of each scalar, and two who wrote at once."""
    scalars = {
        ScalarKind.NULL: None,
        ScalarKind.FALSE: False,
        ScalarKind.TRUE: True,
        ScalarKind.UINT: 2**64 - 1,
        ScalarKind.INT: -(2**63),
        ScalarKind.FLOAT: math.nan,
        ScalarKind.STRING: "e\u0301👩\u200d👩\u200d👧",
        ScalarKind.BYTES: b"\x00\xff",
        ScalarKind.COUNTER: 5,
        ScalarKind.TIMESTAMP: -1,
    }
    first = change(
        ChangeOp(None, "text", False, Action.MAKE_TEXT),
        ChangeOp(TEXT, None, True, Action.SET, Scalar(ScalarKind.STRING, "👍")),
        *(put(f"of type {kind}", kind, value) for kind, value in scalars.items()),
    )
    on = {"deps": (first.hash,), "start_op": 20}
    rivals = (
        change(put("both", 4, 1), put("both", 4, 2), seq=2, **on),
        change(put("both", 4, 3), actor=OTHER, **on),
    )
    return [first, *rivals]


def joined(*changes: Change) -> bytes:
    return b"".join(one.data for one in changes)


def test_it_reads_what_the_reference_reads() -> None:
    pytest.importorskip("automerge")
    changes = written()
    assert alike(package_value(joined(*changes)), shape_of(*changes))
    assert alike(package_value(joined(changes[0], changes[2], changes[1])), shape_of(*changes))
    assert alike(package_value(joined(*changes, *changes)), shape_of(*changes))
    assert package_value(b"") == {}


def test_values_are_compared_by_what_they_are() -> None:
    assert alike({"a": [math.nan, -3.0]}, {"a": [math.nan, -3]})
    assert not alike({"a": math.nan}, {"a": 1})
    assert not alike({"a": True}, {"a": 1})
    assert not alike({"a": 1}, {"b": 1})
    assert not alike([1], [1, 2])


def deflated(data: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-15)
    packed = squeezer.compress(data) + squeezer.flush()
    return MAGIC + bytes(4) + b"\x02" + uleb(len(packed)) + packed


def refused() -> dict[str, tuple[bytes, str]]:
    first, second, _ = written()
    mark = ChangeOp(TEXT, None, True, Action.MARK, Scalar(ScalarKind.TRUE, True), mark="bold")
    long = [ChangeOp(TEXT, None, True, Action.SET, Scalar(ScalarKind.STRING, "x"))] * OPS_MAX
    text = ChangeOp(None, "text", False, Action.MAKE_TEXT)
    stranger = ChangeOp(OpId(9, OTHER), "a", False, Action.SET, Scalar(ScalarKind.NULL, None))
    return {
        "no chunk": (b"85 6f 4a 83", "no chunk"),
        "cut off": (first.data[:-1], "cut off"),
        "a wrong checksum": (first.data[:-1] + b"\xff", "checksum"),
        "a bomb": (deflated(bytes(2**24)), "change_bytes_max"),
        "a saved document": (MAGIC + bytes(4) + b"\x00\x00", "saved document"),
        "what is not there": (joined(second), "not there"),
        "an unknown object": (change(stranger).data, "not there"),
        "marks": (change(text, mark).data, "no marks"),
        "a later type": (change(put("a", 12, b"x")).data, "type 12"),
        "too much": (change(text, *long).data, "ops_max"),
    }


@pytest.mark.parametrize("what", refused())
def test_nothing_else_reaches_it(
    what: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def ask(_: bytes) -> None:
        pytest.fail("the package was asked")

    monkeypatch.setitem(sys.modules, "automerge", SimpleNamespace(Doc=ask))
    data, words = refused()[what]
    with pytest.raises(PackageError, match=words):
        package_value(data)
    assert capfd.readouterr() == ("", "")


def test_a_panic_is_an_error_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("automerge")
    monkeypatch.setattr(second_opinion, "_refuse_what_it_dies_of", lambda *_: None)
    with pytest.raises(PackageError, match=r"the package failed: .*UnknownAction"):
        package_value(refused()["marks"][0])
    assert package_value(written()[0].data)["text"] == ["👍"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_a_process_is_not_held(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(_: bytes) -> None:
        raise kind

    monkeypatch.setitem(sys.modules, "automerge", SimpleNamespace(Doc=ask))
    with pytest.raises(kind):
        package_value(b"")


def test_without_the_package_the_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "automerge", None)
    with pytest.raises(PackageMissingError, match="Linux on x86-64"):
        package_value(b"")


def test_any_other_failure_of_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(_: bytes) -> None:
        raise ValueError("words")

    monkeypatch.setitem(sys.modules, "automerge", SimpleNamespace(Doc=ask))
    with pytest.raises(PackageError, match="words"):
        package_value(b"")
