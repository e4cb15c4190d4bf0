from pathlib import Path

import pytest

from crdt.op import Kind
from node.store import Store
from tests.unit.crdt.rig import Node, draft
from tests.unit.store.rig import open_store


def listed(store: Store) -> list[str]:
    return [key[1:].decode().partition("/")[2] for _, key in store.lists.recent(None)]


def counted(store: Store) -> int:
    return sum(store.lists.counts().values())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node("a", disk=open_store(tmp_path / "s"))  # type: ignore[arg-type]  # a state, on disk
    node.found()
    node.agent("bob")
    node.agent("cat")
    node.policy("n", "ann", write="approve", delete="approve", approver={"consensus": 1})
    node.commit()
    return node


def store_of(node: Node) -> Store:
    return node.disk  # type: ignore[return-value]  # the fixture opened one


def test_what_is_held_is_not_listed_until_it_is_approved(node: Node) -> None:
    store = store_of(node)
    held = node.create("r", "ann", tier="mid")
    node.commit()
    assert (listed(store), counted(store)) == ([], 0)
    node.vote(held, "bob")
    node.commit()
    assert (listed(store), counted(store)) == (["r"], 1)
    node.seal(held)
    node.commit()
    assert (listed(store), counted(store)) == (["r"], 1)


def test_a_rejection_takes_it_from_the_list_again(node: Node) -> None:
    store = store_of(node)
    held = node.create("r", "ann", tier="mid")
    yes = node.vote(held, "bob")
    node.commit()
    assert listed(store) == ["r"]
    no = node.vote(held, "cat", yes=False)
    assert no.supersedes == {yes.dot}
    node.commit()
    assert listed(store) == ["r"], "a no that saw the approval is void"


def test_a_concurrent_no_unlists_what_showed(node: Node, tmp_path: Path) -> None:
    store = store_of(node)
    held = node.create("r", "ann", tier="mid")
    node.commit()
    other = Node("a", disk=open_store(tmp_path / "t"))  # type: ignore[arg-type]  # a state
    other.births = 50
    other.now_ms = node.now_ms
    other.pull(node)
    node.vote(held, "bob")
    other.vote(held, "cat", yes=False)
    node.commit()
    other.commit()
    assert listed(store) == ["r"]
    node.pull(other)
    assert (listed(store), counted(store)) == ([], 0)


def test_an_approved_delete_leaves_the_list_with_its_vote(node: Node) -> None:
    store = store_of(node)
    held = node.create("r", "ann", tier="mid")
    node.vote(held, "bob")
    node.seal(held)
    gone = node.write(draft(Kind.DELETE, "r"), agent="ann")[0].dot
    node.commit()
    assert listed(store) == ["r"]
    node.vote(gone, "bob")
    node.commit()
    assert (listed(store), counted(store)) == ([], 0)
