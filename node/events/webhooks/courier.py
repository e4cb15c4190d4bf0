"""Delivers events to subscriptions: at least once, and in order for each of them.

Law: one node delivers a subscription: the one that made it, and when that is no member any
more, the member that a hash of both names picks, alike on every node. A subscription goes on
when its event was confirmed; until then that event is tried again, ever more rarely, for a
fixed time; then it is given up, counted and logged. What the log no longer has is told as a
`reset`. A slow receiver holds up nobody but itself.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from node import failpoints
from node.contracts import Place, Reader
from node.events.feed import LOG_TRUNCATED, STORE_REPLACED, neighbours
from node.events.names import RESET
from node.events.subscriptions import COLLECTION, Roster, Subscription
from node.events.telling import Teller, Told
from node.events.webhooks.guard import Resolver
from node.events.webhooks.ledger import Ledger, Row
from node.events.webhooks.sending import (
    DELIVERED,
    REFUSED,
    SIGNATURE,
    UNRESOLVED,
    Outcome,
    Try,
    send,
    signature,
)
from node.events.webhooks.turns import QUICK_SECONDS, Turns
from node.logs import EventLog
from node.memory.times import format_ms
from node.metrics import Metrics
from node.settings.sections import Subscriptions as Rules

IN_FLIGHT_MAX: Final = 16
_LOOK_MAX: Final = 32
_UNSAVED_MAX: Final = 1024
_HISTORY_MAX: Final = 1000
_BACK_MS: Final = 24 * 3_600_000
_BACKOFF_MS: Final = 1000
_BACKOFF_MS_MAX: Final = 300_000
_BACKOFF_TRIES_MAX: Final = 12
_HOUR_MS: Final = 3_600_000
_START: Final = Place(0, -1)
_FAILURES_TOLD: Final = 3


def backoff_ms(tries: int, drawn: float) -> int:
    """How long to wait after so many failed tries; `drawn` in [0, 1) spreads it by half."""
    full = min(_BACKOFF_MS << min(tries - 1, _BACKOFF_TRIES_MAX), _BACKOFF_MS_MAX)
    return int(full * (0.5 + drawn / 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a courier needs of its node.

    Attributes:
        me: hex id of this node.
        members: hex ids of the members, asked anew each time.
        rules: settings, asked anew each time.
        now_ms: wall clock, milliseconds since the epoch.
        draw: a number in [0, 1).
        spawn: runs a coroutine in the node's task group.
        metrics: the table of metrics.
        log: writes events.
    """

    me: str
    members: Callable[[], frozenset[str]]
    rules: Callable[[], Rules]
    now_ms: Callable[[], int]
    draw: Callable[[], float]
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    metrics: Metrics
    log: EventLog


@dataclass(frozen=True, slots=True, kw_only=True)
class _Next:
    """What comes next for a subscription: an event, and where it leaves the log."""

    told: Told | None
    row: Row
    after: Row


class Courier:
    """Delivers on one node.

    Args:
        reader: reads the log.
        teller: says what the operations in it mean.
        roster: the subscriptions.
        ledger: how far each was delivered.
        resolver: finds addresses.
        around: the rest of the node.
    """

    def __init__(
        self,
        *,
        reader: Callable[[], Reader],
        teller: Teller,
        roster: Roster,
        ledger: Ledger,
        resolver: Resolver,
        around: Surroundings,
    ) -> None:
        self._reader = reader
        self._teller = teller
        self._roster = roster
        self._ledger = ledger
        self._resolver = resolver
        self._around = around
        self._busy: set[str] = set()
        self._turns = Turns(IN_FLIGHT_MAX)
        self._quick: set[str] = set()
        self._saved: dict[str, Place] = {}

    def watch(self) -> None:
        """Begin what is due; wanted often, costs nothing when nothing is."""
        now = self._around.now_ms()
        members = self._around.members()
        here = [one for one in self._roster.current() if self.delivers(one, members)]
        for one in here:
            row = self._ledger.row(one.id)
            due = row is None or row.due_ms <= now
            if due and one.id not in self._busy and self._behind(row):
                self._busy.add(one.id)
                self._around.spawn(self._serve(one))

    def _behind(self, row: Row | None) -> bool:
        reader = self._reader()
        if row is None or row.store != reader.store_id:
            return True
        return row.place.arrival < reader.latest_place().arrival or row.part > 0

    def delivers(self, one: Subscription, members: frozenset[str]) -> bool:
        """Whether this node is the one that delivers a subscription."""
        me = self._around.me
        if me not in members:
            return False
        if one.home in members:
            return one.home == me
        return me == max(members, key=lambda node: _rank(node, one.id))

    async def _serve(self, one: Subscription) -> None:
        try:
            async with self._turns.turn(one.owner, proven=one.id in self._quick):
                await self._catch_up(one)
        except Exception as error:  # noqa: BLE001 - derived: whatever ails it, the node goes on
            self._around.log("maintenance_failed", error=f"a delivery: {type(error).__name__}")
        finally:
            self._busy.discard(one.id)

    async def _catch_up(self, one: Subscription) -> None:
        while True:
            nearest = self._next(one)
            if nearest.told is None:
                await self._move(one, nearest.after)
                if not self._behind(nearest.after):
                    return
                await asyncio.sleep(0)
                continue
            began = asyncio.get_running_loop().time()
            outcome = await self._try(one, nearest.told)
            took = asyncio.get_running_loop().time() - began
            quick = outcome.kind == DELIVERED and took <= QUICK_SECONDS
            (self._quick.add if quick else self._quick.discard)(one.id)
            self._around.metrics.counter("webhook_deliveries_total", outcome.kind).inc()
            if not await self._settle(one, nearest, outcome):
                return
            if outcome.kind == DELIVERED and not quick:
                return  # who is slow waits for another turn

    # What comes next.

    def _next(self, one: Subscription) -> _Next:
        reader = self._reader()
        row = self._ledger.row(one.id) or self._begin(one)
        if row.store != reader.store_id:
            place = reader.latest_place()
            after = replace(row, store=reader.store_id, arrival=place.arrival, index=place.step)
            return _Next(told=_reset(STORE_REPLACED), row=row, after=replace(after, part=0))
        found = reader.operations(row.place, _LOOK_MAX)
        if found.missing:
            latest = reader.latest_place()
            start = found.rows[0].place.arrival - 1 if found.rows else latest.arrival
            after = replace(row, arrival=start, index=latest.step, part=0)
            return _Next(told=_reset(LOG_TRUNCATED), row=row, after=after)
        wanted, viewer, after = one.wanted, one.viewer, row
        for applied, before, behind in neighbours(found):
            told = [
                event
                for event in self._teller.told(applied, before, behind, viewer)
                if wanted.wants(event)
            ]
            place = applied.place
            passed = replace(after, arrival=place.arrival, index=place.step, part=0)
            if len(told) > after.part:
                last = after.part + 1 == len(told)
                then = passed if last else replace(after, part=after.part + 1)
                return _Next(told=told[after.part], row=after, after=then)
            after = passed
        return _Next(told=None, row=row, after=after)

    def _begin(self, one: Subscription) -> Row:
        """Where a subscription begins: behind its own birth.

        Who takes over from a node that is gone does not know how far that one came; it begins
        a day back, and so delivers some events again rather than none.
        """
        reader = self._reader()
        born = reader.history(COLLECTION, one.id, _HISTORY_MAX)
        place = (reader.place_of(born[-1].dot) if born else None) or _START
        if one.home != self._around.me:
            since = max(one.made_ms, self._around.now_ms() - _BACK_MS)
            place = max(place, reader.place_since(since))
        return Row(store=reader.store_id, arrival=place.arrival, index=place.step)

    # Delivering.

    async def _try(self, one: Subscription, told: Told) -> Outcome:
        rules = self._around.rules()
        ident = f"{told.name}:{told.about.get('dot', '')}"
        body = orjson.dumps(
            {
                "event": told.name,
                "event_id": ident,
                "subscription_id": one.id,
                **told.about,
                "delivered_at": format_ms(self._around.now_ms()),
            },
            default=repr,
        )
        headers = {"X-Mnemesh-Event": told.name, "X-Mnemesh-Delivery": ident}
        if one.secret:
            headers[SIGNATURE] = signature(one.secret, body)
        wanted = Try(
            url=one.url,
            body=body,
            headers=headers,
            loopback=rules.allow_loopback_webhooks,
            seconds=rules.delivery_timeout_ms / 1000,
        )
        if failpoints.armed is not None:
            await failpoints.armed.reached("webhook.deliver")
        return await send(wanted, self._resolver)

    async def _settle(self, one: Subscription, nearest: _Next, outcome: Outcome) -> bool:
        """Note what became of an event; whether to go on with the next."""
        rules, now, row = self._around.rules(), self._around.now_ms(), nearest.row
        after = replace(nearest.after, tries=0, due_ms=0, since_ms=0)
        if outcome.kind == DELIVERED:
            if failpoints.armed is not None:
                await failpoints.armed.reached("webhook.delivered")
            await self._keep(one, replace(after, dispatched=row.dispatched + 1))
            return True
        dropped = outcome.kind == UNRESOLVED and rules.allow_dns_failure
        since = row.since_ms or now
        failed, tries = row.failed + 1, row.tries + 1
        if dropped or now - since > rules.retry_hours * _HOUR_MS:
            if not dropped:
                self._around.metrics.counter("webhook_deliveries_total", "given_up").inc()
                self._around.log("webhook_given_up", subscription=one.id, error=outcome.why)
            await self._keep(one, replace(after, failed=failed))
            return True
        if tries % _FAILURES_TOLD == 0 or outcome.kind == REFUSED:
            self._around.log("webhook_failed", subscription=one.id, tries=tries, error=outcome.why)
        due = now + backoff_ms(tries, self._around.draw())
        kept = replace(row, failed=failed, tries=tries, since_ms=since, due_ms=due)
        await self._keep(one, kept)
        return False

    async def _keep(self, one: Subscription, row: Row) -> None:
        self._ledger.note(one.id, row)
        self._saved[one.id] = row.place
        await asyncio.to_thread(self._ledger.save, {one.id: row})

    async def _move(self, one: Subscription, row: Row) -> None:
        """Note that nothing was to be told up to here; on the disk only now and then."""
        self._ledger.note(one.id, row)
        saved = self._saved.get(one.id)
        if saved is None or row.arrival - saved.arrival > _UNSAVED_MAX:
            await self._keep(one, row)

    async def tidy(self) -> None:
        """Drop the rows of subscriptions that are gone."""
        here = {one.id for one in self._roster.current()}
        gone = [one for one in self._ledger.known() if one not in here and one not in self._busy]
        if gone:
            for ident in gone:
                self._ledger.forget(ident)
                self._quick.discard(ident)
                self._saved.pop(ident, None)
            await asyncio.to_thread(self._ledger.save, dict.fromkeys(gone))


def _rank(node: str, ident: str) -> bytes:
    """Highest random weight (Thaler and Ravishankar, 1998)."""
    return hashlib.sha256(f"{node}\0{ident}".encode()).digest()


def _reset(reason: str) -> Told:
    return Told(name=RESET, about={"reason": reason})
