"""Messages end when their life is over, once, by one node."""

from crdt.dot import DATA, NodeId
from crdt.op import Draft, Kind, record_key
from crdt.record import Record
from crdt.view import NothingPending, View, view
from node.contracts import Caller
from node.events.sweeping import START, Sweep
from tests.unit.http.fake_node import NODE_ID, FakeNode


async def filled() -> FakeNode:
    node = FakeNode()
    for name, expires in (("a", 1000), ("b", 3000), ("c", None), ("d", 1500)):
        fields = {"to": "ai:b", "title": "t", "content": "c"}
        draft = Draft(
            kind=Kind.CREATE,
            collection="message",
            id=name,
            namespace="global",
            owner="ai:a",
            set=fields if expires is None else {**fields, "expires_at": expires},
        )
        await node.write([draft], caller=Caller(agent="ai:a"), action="store")
    return node


def sweep_of(node: FakeNode, ended: list[tuple[str, str]], *, mine: bool = True) -> Sweep:
    def read(key: bytes) -> tuple[Record | None, View | None]:
        record = node.records.get(key)
        return record, view(record, NothingPending())

    def is_mine(author: NodeId) -> bool:
        return mine and author == NODE_ID

    return Sweep(
        keys=lambda: [key for key in node.records if key.startswith(START)],
        read=read,
        is_mine=is_mine,
        end=lambda draft, agent: ended.append((draft.id, agent)),
    )


async def test_what_is_over_ends_in_the_name_of_its_sender() -> None:
    ended: list[tuple[str, str]] = []
    assert await sweep_of(await filled(), ended).round(2000) == 2
    assert ended == [("a", "ai:a"), ("d", "ai:a")]


async def test_what_another_node_wrote_is_its_own_to_end() -> None:
    ended: list[tuple[str, str]] = []
    assert await sweep_of(await filled(), ended, mine=False).round(2000) == 0
    assert ended == []


async def test_what_went_meanwhile_is_no_trouble() -> None:
    node = await filled()
    ended: list[tuple[str, str]] = []
    sweep = sweep_of(node, ended)
    del node.records[record_key(DATA, "message", "a")]
    assert await sweep.round(2000) == 1
