import pytest

from crdt.dot import DATA, PRIVATE
from crdt.op import (
    DECISION_KINDS,
    GOVERNANCE_KINDS,
    RECORD_KINDS,
    Kind,
    Op,
    record_key,
)
from tests.unit.crdt.rig import dot


def test_numbers_on_the_wire_never_change() -> None:
    assert {kind.name: int(kind) for kind in Kind} == {
        "CREATE": 1,
        "EDIT": 2,
        "DELETE": 3,
        "VOTE": 4,
        "SEAL": 5,
        "FOUND": 16,
        "ADD": 17,
        "REMOVE": 18,
        "READY": 19,
        "POLICY": 20,
        "AGENT": 21,
        "FORK": 22,
        "ROLE": 23,
        "MODE": 24,
    }


def test_every_kind_is_of_one_family() -> None:
    families = (RECORD_KINDS, DECISION_KINDS, GOVERNANCE_KINDS)
    assert sorted(kind for family in families for kind in family) == sorted(Kind)


def test_one_id_in_two_lanes_is_two_records() -> None:
    assert record_key(DATA, "memory", "é") == "dmemory/é".encode()
    assert record_key(PRIVATE, "memory", "é") != record_key(DATA, "memory", "é")


def test_an_operation_never_changes() -> None:
    op = Op(dot=dot(), kind=Kind.CREATE)
    with pytest.raises(AttributeError):
        op.hlc = 1  # type: ignore[misc]  # that is the point
