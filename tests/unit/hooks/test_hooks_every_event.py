"""Every event of the table comes about in a test, and goes to hooks.

An event that is told with a line of the log is fired here, by that line. All others are fired
by a real node in `tests/integration/test_hooks_every_event.py`, whose list is checked here.
"""

import asyncio
from typing import Any

import pytest

from crdt.dot import DATA, Dot, dot_text, new_actor
from crdt.op import Kind, Op
from node.contracts import Applied, Operations, Place
from node.events.event_name import Road
from node.events.feed import Bell
from node.events.moments import BACKUP_FAILED, CERTIFICATE_ROTATED, LIFE, RESTORED
from node.events.names import HOOK_NAMES, NAMES, TABLE, asked_names, hook_events
from node.events.telling import Teller
from node.gate import Gate, Unlimited
from node.hooks.following import Following
from node.hooks.side import HookSide
from node.http.services import NothingGoverned
from node.live import Tasks
from node.logs import EVENTS
from node.memory.problems import InvalidField
from node.settings.hook_tables import Hook
from tests.integration.test_hooks_every_event import FIRED
from tests.unit.hooks.hooked import Running, Told, declared

LOGGED = {row.logged: row.name for row in LIFE if row.logged}
HERE = {CERTIFICATE_ROTATED, "memory_link_updated"}
"""Fired below; no request of an agent says anything else of a link, an exchange with others may."""

BY_COMMANDS = {BACKUP_FAILED, RESTORED}
"""Told by commands that run without a node: `tests/unit/hooks/test_hooks_offline.py`."""


def test_every_event_is_fired_somewhere() -> None:
    rows = {row.name for row in TABLE}
    assert rows - set(LOGGED.values()) - BY_COMMANDS - FIRED == HERE
    assert rows >= FIRED
    assert len(rows) >= 25


def test_every_line_that_is_told_of_stands_in_the_log_table() -> None:
    assert set(LOGGED) <= set(EVENTS)


def test_names_are_unique_and_roads_are_kept_apart() -> None:
    names = [row.name for row in TABLE]
    assert len(names) == len(set(names))
    assert all(hook_events(name) for name in HOOK_NAMES)
    for row in TABLE:
        assert (row.name in NAMES) == (row.road is Road.EVERY)
        assert (row.fits is not None) <= (row.road is Road.EVERY)
        if row.road is Road.HOOKS:
            with pytest.raises(InvalidField):
                asked_names("events", row.name)


def test_what_may_come_of_a_question_has_a_name_of_its_own() -> None:
    assert set(hook_events("after_store")) == {
        "memory_store", "memory_consolidated", "entity_created",
    }  # fmt: skip
    assert hook_events("memory.created") == ("memory_store",)
    assert hook_events("after_nothing") == ()
    asks = {name for row in TABLE for name in row.asks}
    assert asks <= {row.name for row in TABLE}


class Side:
    """A side of hooks whose runners remember."""

    def __init__(self, tasks: Tasks, *hooks: Hook) -> None:
        self.told = {hook.name: Told(hook) for hook in hooks}
        self.note, self.served = b"", "aa"
        gate = Gate(
            state=lambda: None,  # type: ignore[arg-type, return-value]  # nothing is checked
            quotas=Unlimited(),
            fail_open=lambda: False,
            refused=lambda *_: None,
        )
        self.side = HookSide(
            make=lambda hook: self.told[hook.name],  # type: ignore[arg-type, return-value]  # runs as one
            gate=gate,
            tasks=tasks,
            reader=lambda: None,  # type: ignore[arg-type, return-value]  # nothing is read
            note=lambda: self.note,
            fingerprint=lambda: self.served,
            log=lambda *_args, **_facts: None,
        )
        self.side.apply(Declared(hooks))  # type: ignore[arg-type]  # only its hooks are looked at


class Declared:
    """Settings, as far as they say which hooks there are."""

    def __init__(self, hooks: tuple[Hook, ...]) -> None:
        self.hooks = hooks


@pytest.mark.parametrize(("line", "event"), LOGGED.items())
async def test_a_line_of_the_log_is_an_event(line: str, event: str) -> None:
    async with Running() as tasks:
        node = Side(tasks, declared("a", event), declared("b", "memory_store"))
        node.side.logged(line, {"peer": "x"})
        node.side.logged("request_slow", {})
        await node.side.last_words()
    (document,) = node.told["a"].got
    assert document["event"] == event
    assert document["items"][0]["peer"] == "x"
    assert node.told["b"].got == []


class Log:
    """A log of operations to be read, as far as hooks read it."""

    store_id = "s"

    def __init__(self, ops: list[Op]) -> None:
        self._rows = [
            Applied(place=Place(number, 0), op=op, effect="applied")
            for number, op in enumerate(ops, start=1)
        ]

    def latest_place(self) -> Place:
        return Place(0, -1)

    def operations(self, after: Place, limit: int) -> Operations:
        return Operations(rows=[row for row in self._rows if row.place > after][:limit])

    def get(self, *_: object) -> None:
        return None

    archived = own = get

    def history(self, *_: object) -> list[Op]:
        return []


async def test_a_change_in_the_log_is_an_event_where_it_was_made() -> None:
    mine = new_actor(DATA, 1_770_000_000, bytes(8), bytes(32))
    ops = [
        Op(
            dot=Dot(mine, at + 1), kind=Kind.EDIT, collection="link", id="l", namespace="team",
            set={"valid_from": 1},
        )
        for at in range(40)
    ]  # fmt: skip
    log: Any = Log(ops)
    async with Running() as tasks:
        node = Side(tasks, declared("a", "memory_link_updated"))
        for me, told in ((bytes(32), 40), (b"x" * 32, 40)):
            following = Following(
                reader=lambda: log,
                teller=Teller(lambda: log, NothingGoverned(), everything=True),
                bell=Bell(),
                me=me,
                telling=lambda: node.side.hooks.telling,
            )
            following.begin()
            while following.step():
                pass
            await node.side.last_words()
            items = [item for doc in node.told["a"].got for item in doc["items"]]
            assert len(items) == told, "what another node took is not told here"
    assert items[0]["dot"] == dot_text(ops[0].dot)
    assert items[0]["namespace"] == "team"


async def test_a_new_backup_and_a_new_certificate_are_seen() -> None:
    async with Running() as tasks:
        node = Side(tasks, declared("a", "backup_done", "certificate_rotated"))
        node.side.watch()
        node.note, node.served = b'{"id": "b-1", "at_ms": 5}', "bb"
        node.side.watch()
        node.side.watch()
        await node.side.last_words()
    items = [item for doc in node.told["a"].got for item in doc["items"]]
    assert [item["event"] for item in items] == ["backup_done", "certificate_rotated"]
    assert items[0]["id"] == "b-1"
    assert items[1]["fingerprint"] == "bb"


async def test_a_reload_puts_other_hooks_in_force_or_keeps_the_old() -> None:
    async with Running() as tasks:
        first, second = declared("a", "before_store"), declared("b", "node_started")
        node = Side(tasks, first, second)
        gate: Any = node.side._gate
        assert gate.hooks is not None
        with pytest.raises(KeyError):
            node.side.apply(Declared((declared("unknown", "before_store"),)))  # type: ignore[arg-type]  # as above
        assert node.side.hooks.declared == (first, second)
        node.side.apply(Declared((second,)))  # type: ignore[arg-type]  # as above
        assert gate.hooks is None, "no write asks when no hook waits for writes"
        await asyncio.sleep(0)
