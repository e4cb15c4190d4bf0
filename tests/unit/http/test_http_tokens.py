from collections.abc import Iterator

import pytest

from node.contracts import Held
from tests.unit.http.conftest import API, World
from tests.unit.http.fake_node import FakeReader


async def test_a_token_covers_what_came_while_the_answer_was_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next read, on another node, could show an older version."""
    await world.store("Tea")
    actor = world.node.actors[False]
    recent = FakeReader.recent

    def arriving(reader: FakeReader, namespace: str | None = None) -> Iterator[Held]:
        world.node.seqs[actor] = 7
        return recent(reader, namespace)

    monkeypatch.setattr(FakeReader, "recent", arriving)
    reply = await world.ask("GET", f"{API}/memories", x_causal_token=world.node.token_of({}))
    assert reply.headers["X-Causal-Token"] == world.node.token_of({actor: 7})
