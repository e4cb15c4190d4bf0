"""Events, composed into a running node.

Law: composition only. What is derived here follows commits and begins anew with another store;
deliveries begin once tasks can run, and end with them.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node.contracts import Governing, Reader
from node.events.feed import Bell
from node.events.sight import Departed
from node.events.streaming import Events
from node.events.subscriptions import Roster
from node.events.telling import Teller
from node.events.webhooks.courier import Courier, Surroundings
from node.events.webhooks.guard import SystemResolver
from node.events.webhooks.ledger import FOLDER, Ledger
from node.live import Live, Tasks
from node.logs import EventLog
from node.replication.engine import Engine

_TIDY_EVERY = 120


@dataclass(slots=True, kw_only=True)
class EventSide:
    """What of events has to be kept going and closed."""

    events: Events
    courier: Courier
    ledger: Ledger
    tasks: Tasks
    _rounds: int = 0

    def watch(self) -> None:
        """Begin deliveries that are due."""
        self.courier.watch()
        self._rounds += 1
        if self._rounds % _TIDY_EVERY == 0:
            self.tasks.spawn(self.courier.tidy())

    def close(self) -> None:
        """Let go of the disk."""
        self.ledger.close()


def open_events(
    live: Live,
    tasks: Tasks,
    engine: Engine,
    *,
    reader: Callable[[], Reader],
    governing: Governing,
    data_dir: Path,
    log: EventLog,
) -> EventSide:
    """The events of a node.

    Args:
        live: settings in force.
        tasks: where deliveries run.
        engine: whose commits are followed.
        reader: reads the newest state.
        governing: members, and what waits for approval.
        data_dir: where the table of deliveries is kept.
        log: writes events.
    """
    ledger = Ledger(data_dir / FOLDER)
    bell, departed, roster = Bell(), Departed(), Roster(reader)
    engine.on_commit += [departed.saw, roster.saw, bell.saw]
    me = engine.me.node_id.hex()

    def members() -> frozenset[str]:
        return frozenset(node.hex() for node in governing.state().members)

    courier = Courier(
        reader=reader,
        teller=Teller(reader, governing, departed),
        roster=roster,
        ledger=ledger,
        resolver=SystemResolver(),
        around=Surroundings(
            me=me,
            members=members,
            rules=lambda: live.settings.subscriptions,
            now_ms=engine.now_ms,
            draw=random.random,
            spawn=tasks.spawn,
            metrics=engine.metrics,
            log=log,
        ),
    )
    events = Events(
        bell=bell,
        departed=departed,
        counts=ledger.counts,
        loopback=lambda: live.settings.subscriptions.allow_loopback_webhooks,
        node_id=me,
    )
    return EventSide(events=events, courier=courier, ledger=ledger, tasks=tasks)
