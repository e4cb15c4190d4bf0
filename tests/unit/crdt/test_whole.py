"""A change that fails in the middle is the last one of its process."""

from collections.abc import Callable
from typing import Any

import pytest

from crdt import bundle, messages, pending, record_codec
from crdt.op import Kind
from crdt.replica import Replica
from crdt.whole import HalfMadeError, Whole
from tests.unit.crdt.rig import Node, draft, mesh, signed


def spent(*_: Any, **__: Any) -> Any:
    raise MemoryError


def stands_still(replica: Replica, now_ms: int) -> None:
    """Whether neither the disk nor a reader of the next change gets anything of it."""
    with pytest.raises(HalfMadeError):
        replica.take_batch(now_ms)
    with pytest.raises(HalfMadeError):
        replica.mint([draft(Kind.CREATE, "later")], agent="ann", now_ms=now_ms)


def test_a_change_that_failed_is_never_ended() -> None:
    whole, heard = Whole(), list[BaseException]()
    whole.told = heard.append
    with whole:
        assert whole.broken
    assert not whole.broken
    with pytest.raises(MemoryError), whole:
        spent()
    with pytest.raises(HalfMadeError), whole:
        pass
    assert [type(error) for error in heard] == [MemoryError]


@pytest.mark.parametrize("drafts", [1, 2])
def test_operations_that_could_not_be_sealed_leave_no_effect(drafts: int) -> None:
    node = Node("a").found()
    short = {"memory": False}

    def sign(message: bytes) -> bytes:
        return spent() if short["memory"] else signed("a", message)

    replica = node.started(ops_max=3, sign=sign)
    node.create("r1")
    node.create("r2")
    short["memory"] = True
    with pytest.raises(MemoryError):  # what is open has to be sealed to make room
        node.write(*[draft(Kind.CREATE, f"n{number}") for number in range(drafts + 1)])
    short["memory"] = False
    stands_still(replica, node.now_ms)
    node.started()
    assert node.record("r1") is None
    assert node.create("r3").seq == 1


def test_a_batch_that_could_not_be_sealed_is_never_made() -> None:
    node = Node("a").found()
    replica = node.started(sign=spent)
    node.create("r1")
    with pytest.raises(MemoryError):
        replica.take_batch(node.now_ms)
    stands_still(replica, node.now_ms)


@pytest.mark.parametrize(
    ("where", "write"),
    [("begin", lambda node: node.create("r1")), ("take", lambda node: node.policy(write="any"))],
)
def test_a_minted_operation_has_its_effect_or_ends_all(
    where: str, write: Callable[[Node], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node("a").found()
    monkeypatch.setattr(node.replica.applying, where, spent)
    with pytest.raises(MemoryError):
        write(node)
    stands_still(node.replica, node.now_ms)


def test_a_verdict_for_which_memory_lacks_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused here and nowhere else: that is how two members become unequal."""
    one, other = mesh("a", "b")
    one.create("r1")
    (sealed,) = one.commit()
    with monkeypatch.context() as short:
        short.setattr(other.replica.governance, "state", spent)
        with pytest.raises(MemoryError):
            other.replica.take(sealed, other.now_ms)
    stands_still(other.replica, other.now_ms)


@pytest.mark.parametrize(
    "read",
    [
        lambda data: bundle.read_bundle(data, cluster=bytes(32), ops_max=9),
        lambda data: record_codec.decode(b"dmemory/r", data),
        messages.decode,
        pending.decode_pending,
    ],
)
def test_bytes_for_which_memory_lacks_are_not_called_bad(
    read: Callable[[bytes], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (bundle, messages, pending):
        monkeypatch.setattr(module.msgpack, "unpackb", spent)
    monkeypatch.setattr(record_codec, "_unpack", spent)
    with pytest.raises(MemoryError):
        read(b"\x97")
