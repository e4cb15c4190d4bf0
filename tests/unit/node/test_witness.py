"""What a witness tells of its rows to whoever asks more, or about other things, than it should."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

from crdt.dot import DATA, PRIVATE
from node.replication.comparing import (
    SAY_TOPIC,
    ClockPart,
    Heard,
    Keys,
    Rows,
    decode_answer,
    encode,
)
from node.replication.confirming import Confirming
from node.replication.engine import Engine
from node.replication.witness import Witness
from node.store import Store
from node.store.roster import Horizon
from tests.property.test_compared_snapshots import ASKED, ASKER, End
from tests.unit.store.rig import Maker, open_store

WAITING_MAX = 64


def clock_question(number: int) -> bytes:
    return encode(ClockPart(number=number, place=0, part=0, parts=1, clock={}))


async def test_a_new_number_for_every_question_gives_no_more_turns(tmp_path: Path) -> None:
    store = open_store(tmp_path / "one")
    begun: list[Coroutine[Any, Any, None]] = []
    side = Witness(cast("Engine", End(ASKED, store)), begun.append)
    for number in range(1, 500):
        side.on_ask(ASKER, 1, clock_question(number))
    assert len(begun) == WAITING_MAX
    for work in begun:
        await work
    side.on_ask(ASKER, 1, clock_question(1000))
    assert len(begun) == WAITING_MAX + 1  # those that were answered make room
    await begun[-1]
    side.close()
    store.close()


def test_of_the_private_lane_nothing_is_told_not_even_that_it_is_there(tmp_path: Path) -> None:
    store, maker = open_store(tmp_path / "one"), Maker(1)
    shared, secret = maker.create("r"), maker.create("r", PRIVATE)
    store.commit(maker.take(genesis=b"mesh"))
    assert (shared[:1], secret[:1]) == (DATA, PRIVATE)
    said = asyncio.run(asked(store, shared, secret))
    assert [row.key for row in said.rows] == [shared]
    assert Horizon(store.environment, {}).asked([secret, b"%bmemory/none" % PRIVATE]) == []
    store.close()


async def asked(store: Store, *keys: bytes) -> Rows:
    """The answer to a member that names records."""
    asking, answering = End(ASKER), End(ASKED, store)
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    asking.asides[SAY_TOPIC] = lambda _node, _link, data: heard.put_nowait(data)
    answering.other = asking
    async with asyncio.TaskGroup() as group:
        side = Witness(cast("Engine", answering), group.create_task)
        side.on_ask(ASKER, 1, clock_question(1))
        for _ in range(2):
            await heard.get()  # heard, and opened
        side.on_ask(ASKER, 1, encode(Keys(number=1, place=1, keys=keys)))
        answer = decode_answer(await heard.get())
    side.close()
    assert isinstance(answer, Rows)
    return answer


async def test_that_somebody_else_heard_says_nothing_about_the_one_who_was_asked() -> None:
    asking = End(ASKER)
    ask = Confirming(cast("Engine", asking))
    ask._expect(1, 0)
    said = encode(Heard(number=ask._number, place=0))
    ask.on_say(b"c" * 32, 2, said)
    assert not ask._heard.is_set()
    ask.on_say(ASKED, 1, said)
    assert ask._heard.is_set()
