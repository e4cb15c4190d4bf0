"""Deliveries: in order, at least once, ever more rarely, and given up in the end."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import lmdb
import msgpack
import orjson
import pytest

from crdt.op import Draft, Kind
from node.contracts import Caller
from node.events.subscriptions import Roster, Subscription
from node.events.telling import Teller
from node.events.webhooks import courier as couriers
from node.events.webhooks.courier import Courier, Surroundings, backoff_ms
from node.events.webhooks.ledger import Ledger, Row
from node.events.webhooks.sending import DELIVERED, FAILED, REFUSED, UNRESOLVED, Outcome, Try
from node.http.services import NothingGoverned
from node.metrics import Metrics
from node.settings.sections import Subscriptions as Rules
from tests.unit.http.fake_node import NODE_ID, FakeNode

ME, OTHER, THIRD = NODE_ID.hex(), "bb" * 32, "cc" * 32


class Nobody:
    async def resolve(self, host: str, port: int) -> list[str]:
        raise OSError(host, port)


class Lab:
    """A courier over a node in memory; what it sends is answered by a script."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.node = FakeNode()
        self.folder = folder
        self.rules = Rules(retry_hours=1.0)
        self.members = frozenset({ME, OTHER})
        self.sent: list[Try] = []
        self.answers: list[Outcome] = []
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.metrics = Metrics()
        self.work: list[Coroutine[Any, Any, None]] = []
        monkeypatch.setattr(couriers, "send", self._send)
        self.restart()

    def restart(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
        self.ledger = Ledger(self.folder / "webhooks")
        reader = self.node.reader
        self.roster = Roster(reader)  # type: ignore[arg-type]  # as much of a reader as is asked
        self.courier = Courier(
            reader=reader,  # type: ignore[arg-type]  # as above
            teller=Teller(reader, NothingGoverned()),  # type: ignore[arg-type]  # as above
            roster=self.roster,
            ledger=self.ledger,
            resolver=Nobody(),
            around=Surroundings(
                me=ME,
                members=lambda: self.members,
                rules=lambda: self.rules,
                now_ms=self.node.clock.now_ms,
                draw=lambda: 0.999,
                spawn=self.work.append,
                metrics=self.metrics,
                log=lambda event, **facts: self.logged.append((event, facts)),  # type: ignore[arg-type]  # a log of the test's own
            ),
        )

    async def _send(self, wanted: Try, _resolver: object) -> Outcome:
        self.sent.append(wanted)
        return self.answers.pop(0) if self.answers else Outcome(kind=DELIVERED)

    async def write(self, collection: str, ident: str, **fields: Any) -> None:
        draft = Draft(kind=Kind.CREATE, collection=collection, id=ident, namespace="team",
                      owner="ai:a", set=fields)  # fmt: skip
        await self.node.write([draft], caller=Caller(agent="ai:a"), action="store")

    async def subscribe(self, ident: str = "s-1", **fields: Any) -> None:
        given = {"url": "https://h.example.org/", "events": "*", "namespace": "", "home": ME}
        await self.write("subscription", ident, **{**given, **fields})
        self.roster._store = None

    async def store(self, *names: str) -> None:
        for name in names:
            await self.write("memory", name, title=name, content="c", tier="long")

    async def round(self) -> None:
        self.courier.watch()
        work, self.work[:] = list(self.work), []
        async with asyncio.timeout(10):
            await asyncio.gather(*work)

    @property
    def told(self) -> list[str]:
        bodies = [orjson.loads(one.body) for one in self.sent]
        return [one.get("memory_id") or one["event"] for one in bodies]

    def count(self, outcome: str) -> float:
        line = f'mnemesh_webhook_deliveries_total{{outcome="{outcome}"}} '
        page = self.metrics.render(process=False).decode()
        return sum(float(row[len(line) :]) for row in page.splitlines() if row.startswith(line))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Lab(tmp_path, monkeypatch)
    yield made
    made.ledger.close()


async def test_only_what_comes_after_the_subscription_is_sent(lab: Lab) -> None:
    await lab.store("before")
    await lab.subscribe()
    await lab.store("a", "b")
    await lab.round()
    await lab.round()
    assert lab.told == ["a", "b"]
    assert lab.ledger.counts("s-1") == (2, 0)
    body = orjson.loads(lab.sent[0].body)
    assert (body["event"], body["subscription_id"]) == ("memory_store", "s-1")
    assert body["event_id"] == f"memory_store:{body['dot']}"
    assert "X-Mnemesh-Signature" not in lab.sent[0].headers


async def test_a_failure_holds_up_what_follows_until_it_is_time_again(lab: Lab) -> None:
    await lab.subscribe()
    await lab.store("a", "b")
    lab.answers = [Outcome(kind=FAILED, why="answered 500")] * 2
    await lab.round()
    await lab.round()
    assert lab.told == ["a"], "not before it is due"
    lab.node.clock.ms += 1000
    await lab.round()
    assert lab.told == ["a", "a"]
    lab.node.clock.ms += 1000
    await lab.round()
    assert lab.told == ["a", "a"], "the second wait is longer"
    lab.node.clock.ms += 1000
    await lab.round()
    assert lab.told == ["a", "a", "a", "b"]
    assert lab.ledger.counts("s-1") == (2, 2)
    ids = [orjson.loads(one.body)["event_id"] for one in lab.sent]
    assert len(set(ids)) == 2, "a repeated event has the same name"


async def test_one_that_fails_holds_up_no_other(lab: Lab) -> None:
    await lab.subscribe("s-1")
    await lab.subscribe("s-2")
    await lab.store("a")
    lab.answers = [Outcome(kind=FAILED)]
    await lab.round()
    assert lab.told == ["a", "a"]
    counts = sorted(lab.ledger.counts(one) for one in ("s-1", "s-2"))
    assert counts == [(0, 1), (1, 0)]


async def test_what_cannot_be_delivered_is_given_up_and_told(lab: Lab) -> None:
    await lab.subscribe()
    await lab.store("a", "b")
    lab.answers = [Outcome(kind=REFUSED, why="host is no public address")] * 2
    await lab.round()
    assert lab.logged[0][0] == "webhook_failed"
    lab.node.clock.ms += 3_600_001
    await lab.round()
    assert lab.told == ["a", "a", "b"]
    assert lab.logged[-1][0] == "webhook_given_up"
    assert (lab.count("given_up"), lab.count("refused"), lab.count("delivered")) == (1, 2, 1)
    assert "example" not in str(lab.logged)


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_host_without_an_address(lab: Lab, *, allowed: bool) -> None:
    lab.rules = Rules(allow_dns_failure=allowed)
    await lab.subscribe()
    await lab.store("a", "b")
    lab.answers = [Outcome(kind=UNRESOLVED)]
    await lab.round()
    assert lab.told == (["a", "b"] if allowed else ["a"])


async def test_places_survive_a_restart(lab: Lab) -> None:
    await lab.subscribe()
    await lab.store("a")
    await lab.round()
    lab.restart()
    await lab.store("b")
    await lab.round()
    assert lab.told == ["a", "b"]
    assert lab.ledger.counts("s-1") == (2, 0)


async def test_another_store_and_a_log_that_was_cut_are_told(lab: Lab) -> None:
    await lab.subscribe()
    await lab.store("a")
    await lab.round()
    lab.node.store_id = "another"
    await lab.round()
    await lab.store("b")
    await lab.round()
    assert lab.told == ["a", "reset", "b"]
    lab.answers = [Outcome(kind=FAILED)]
    await lab.store("c", "d")
    await lab.round()
    lab.node.truncated = lab.node.places[-2].arrival
    lab.node.clock.ms += 10_000
    await lab.round()
    assert lab.told[3:] == ["c", "reset", "d"]
    reasons = [orjson.loads(one.body).get("reason") for one in lab.sent]
    assert reasons == [None, "store_replaced", None, None, "log_truncated", None]


async def test_filters_and_the_sight_of_the_owner_hold(lab: Lab) -> None:
    await lab.subscribe("s-1", events=["memory_delete"])
    await lab.subscribe("s-2", namespace="elsewhere")
    await lab.subscribe("s-3", spaces=["elsewhere"])
    await lab.store("a")
    await lab.round()
    assert lab.told == []


async def test_without_a_url_nothing_is_sent(lab: Lab) -> None:
    await lab.subscribe(url="")
    await lab.store("a")
    await lab.round()
    assert lab.sent == []


async def test_the_rows_of_ended_subscriptions_go(lab: Lab) -> None:
    await lab.subscribe()
    await lab.round()
    assert lab.ledger.known() == ["s-1"]
    draft = Draft(kind=Kind.DELETE, collection="subscription", id="s-1")
    await lab.node.write([draft], caller=Caller(agent="ai:a"), action="delete")
    lab.roster._store = None
    await lab.courier.tidy()
    lab.restart()
    assert lab.ledger.known() == []


def a_subscription(ident: str, home: str) -> Subscription:
    return Subscription(id=ident, owner="a", url="u", events="*", namespace="", secret="hush",  # noqa: S106 - of a test
                        home=home, spaces=None, made_ms=0)  # fmt: skip


def test_exactly_one_member_delivers(lab: Lab) -> None:
    here = a_subscription("s", ME)
    assert lab.courier.delivers(here, frozenset({ME, OTHER}))
    assert not lab.courier.delivers(a_subscription("s", OTHER), frozenset({ME, OTHER}))
    assert not lab.courier.delivers(here, frozenset({OTHER})), "who was removed delivers nothing"
    left = [a_subscription(f"s{n}", "dd" * 32) for n in range(64)]
    mine = [one for one in left if lab.courier.delivers(one, frozenset({ME, OTHER, THIRD}))]
    assert 5 < len(mine) < 45
    assert "hush" not in repr(here)


def test_waits_grow_and_end_growing() -> None:
    waits = [backoff_ms(tries, 0.999999) for tries in range(1, 30)]
    assert waits[:3] == [999, 1999, 3999]
    assert waits == sorted(waits)
    assert waits[-1] <= 300_000
    assert backoff_ms(1, 0.0) == 500


def test_a_ledger_that_cannot_be_read_is_put_aside(tmp_path: Path) -> None:
    folder = tmp_path / "webhooks"
    ledger = Ledger(folder)
    ledger.save({"s": Row(store="a", arrival=1, index=0)})
    ledger.close()
    env = lmdb.open(str(folder))
    with env.begin(write=True) as txn:
        txn.put(b"odd", b"\xc1")
        txn.put(b"short", msgpack.packb(["a", 1]))
    env.close()
    ledger = Ledger(folder)
    assert ledger.known() == ["s"]
    ledger.close()
    (folder / "data.mdb").write_bytes(b"\x00" * 8192)
    Ledger(folder).close()
    assert (tmp_path / "webhooks.damaged").exists()
