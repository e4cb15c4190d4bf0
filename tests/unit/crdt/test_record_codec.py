import pytest

from crdt.digest import weight
from crdt.op import Kind
from crdt.record import Record, apply
from crdt.record_codec import RecordError, decode, encode
from tests.unit.crdt.rig import dot
from tests.unit.crdt.test_record import BORN, EDIT, GONE, OTHER, after, op

RECORDS = [
    after(BORN),
    after(BORN, EDIT, OTHER),
    after(BORN, EDIT, pending={EDIT.dot}),
    after(BORN, GONE, pending={GONE.dot}),
    after(BORN, op(Kind.CREATE, dot("z"), owner="bob", agent="cat", set={"x": {"deep": [None]}})),
    Record({}, {}),
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_reads_back_and_weighs_what_its_bytes_do(record: Record) -> None:
    data = encode(record)
    back = decode(b"dmemory/r", data)
    assert back == record
    assert back.weight == weight(b"dmemory/r", data)
    assert encode(back) == data


def test_the_order_of_arrival_is_not_in_the_bytes() -> None:
    left, right = after(BORN, EDIT, OTHER), after(BORN, OTHER, EDIT)
    assert left is not None
    assert right is not None
    turned = Record(
        dict(reversed(right.births.items())), dict(reversed(list(right.fields.items())))
    )
    assert encode(left) == encode(right) == encode(turned)


def test_a_record_written_once_names_its_dot_once() -> None:
    fields = {f"field{n}": n for n in range(50)}
    record = apply(None, op(Kind.CREATE, dot(), set=fields))
    assert record is not None
    assert encode(record).count(dot().actor) == 1


@pytest.mark.parametrize("data", [b"", b"\x90", b"\x94\x90\x90\x90\x91\x01", b"\xc1", b"\x01\x02"])
def test_damage_is_a_typed_error(data: bytes) -> None:
    with pytest.raises(RecordError, match="not a record"):
        decode(b"dmemory/r", data)
