"""Which members know no documents, across restarts."""

import dataclasses
from pathlib import Path

import pytest

from crdt.governance import Genesis
from crdt.governance_state import Member
from node.peers.greeting import DOCUMENTS, Greeting
from node.peers.knowing import Knowing

ONE, TWO = (
    Greeting(
        genesis=Genesis(cluster="c", founders=("a",)),
        key=bytes([number]) * 32,
        name=name,
        url="",
        claim="",
        process=b"12345678",
    )
    for number, name in ((1, "one"), (2, "two"))
)
OLD = dataclasses.replace(ONE, kinds=tuple(kind for kind in ONE.kinds if kind != DOCUMENTS))
MEMBERS = {
    told.node_id: Member(
        node_id=told.node_id, key=told.key, name=told.name, url="", adds=frozenset(), ready=True
    )
    for told in (ONE, TWO)
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "programs.json"


def test_a_new_mesh_waits_for_nobody(path: Path) -> None:
    knowing = Knowing(path, ())
    assert knowing.without(MEMBERS) == []
    assert Knowing(path, MEMBERS).without(MEMBERS) == [], "the note was there already"


def test_members_from_before_are_waited_for_until_they_were_seen(path: Path) -> None:
    knowing = Knowing(path, MEMBERS)
    assert knowing.without(MEMBERS) == ["one", "two"]
    knowing.greeted(ONE)
    assert knowing.without(MEMBERS) == ["two"]
    assert Knowing(path, MEMBERS).without(MEMBERS) == ["two"]
    assert knowing.without({ONE.node_id: MEMBERS[ONE.node_id]}) == [], "the other was removed"
    knowing.greeted(TWO)
    assert Knowing(path, MEMBERS).without(MEMBERS) == []


def test_the_last_word_of_a_member_counts_while_it_is_away(path: Path) -> None:
    knowing = Knowing(path, ())
    knowing.greeted(OLD)
    assert Knowing(path, ()).without(MEMBERS) == ["one"]
    knowing.greeted(ONE)
    assert Knowing(path, ()).without(MEMBERS) == []
