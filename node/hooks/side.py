"""Hooks, composed into a running node.

Law: composition only. What a hook may refuse is asked by the gate; what it is told of comes from
the log of operations, from the lines of the log of the node, and from the few places that say so.
A reload puts other hooks in force at once; where one of them cannot run, the old ones stay.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from node.backup.notes import LAST_BACKUP
from node.contracts import Governing, Reader
from node.events.event_name import Road
from node.events.feed import Bell
from node.events.moments import BACKUP_DONE, CERTIFICATE_ROTATED, LIFE
from node.events.names import TABLE
from node.events.telling import Teller
from node.events.webhooks.guard import SystemResolver
from node.gate import Gate
from node.ground import Ground
from node.hooks.asking import Asking
from node.hooks.following import Following
from node.hooks.hooks import Hooks
from node.hooks.running import Runner, Surroundings
from node.hooks.seldom import Seldom
from node.hooks.telling import Telling
from node.live import Live, Tasks
from node.replication.engine import Engine
from node.replication.funnel import LocalFunnel
from node.settings import Settings
from node.settings.hook_tables import Hook

_LOGGED: Final = {row.logged: row.name for row in LIFE if row.logged}
_IN_LOG: Final = frozenset(row.name for row in TABLE if row.road is Road.EVERY)
_NOTE_BYTES_MAX: Final = 64 * 1024
_LAST_SECONDS: Final = 2.0


class HookSide:
    """What of hooks has to be kept going.

    Args:
        make: makes the runner of a hook.
        gate: asks before writes.
        tasks: where hooks run.
        reader: reads the newest state.
        note: the note of the last backup, as it stands.
        fingerprint: of the certificate that is served; empty when there is none.
        log: writes one event of `node.logs.EVENTS`.
    """

    def __init__(
        self,
        *,
        make: Callable[[Hook], Runner],
        gate: Gate,
        tasks: Tasks,
        reader: Callable[[], Reader],
        note: Callable[[], bytes],
        fingerprint: Callable[[], str],
        log: Callable[..., None],
    ) -> None:
        self._make = make
        self._gate = gate
        self._tasks = tasks
        self._reader = reader
        self._note = note
        self._backup = note()
        self._fingerprint = fingerprint
        self._served = fingerprint()
        self._log = log
        self._follows = False
        self.end: Callable[[], None] = _nothing
        self.following: Following | None = None
        self.hooks = Hooks(None, Telling((), tasks), ())
        gate.tell = self.hooks.tell

    def apply(self, settings: Settings) -> None:
        """Put the hooks of these settings in force.

        Raises:
            ConfigError: one of them cannot run; the old ones stay.
            node.errors.LooseModes: others can read the secret of one of them.
        """
        if settings.hooks == self.hooks.declared:
            return
        runners = [self._make(hook) for hook in settings.hooks]
        asking = Asking(runners, self._tasks, self._reader)
        self.hooks.declared = settings.hooks
        self.hooks.telling = Telling(runners, self._tasks)
        self.hooks.asking = asking if asking.about_reads else None
        self._gate.hooks = asking if asking.about_writes else None

    def watch(self) -> None:
        """Begin to follow the log when somebody wants to know; look for what tells nobody."""
        wanted = self.hooks.telling.wanted
        if self.following is not None and not self._follows and wanted & _IN_LOG:
            self._follows = self._tasks.group is not None
            self._tasks.spawn(self._follow(self.following))
        if BACKUP_DONE in wanted:
            self._look_for_backup()
        served = self._fingerprint()
        if served != self._served:
            self._served = served
            self.hooks.tell(CERTIFICATE_ROTATED, {"fingerprint": served})

    async def _follow(self, following: Following) -> None:
        """Follow the log; a defect there ends no node, and is tried anew."""
        try:
            await following.run()
        except Exception as error:  # noqa: BLE001 - see above
            self._log("hook_failed", hook="", error=type(error).__name__, passed=True)
        finally:
            self._follows = False

    def _look_for_backup(self) -> None:
        note = self._note()
        if note != self._backup:
            self._backup = note
            self.hooks.tell(BACKUP_DONE, _facts(note))

    def logged(self, event: str, facts: Mapping[str, object]) -> None:
        """A line of the log was written, here or on another thread."""
        name = _LOGGED.get(event)
        if name is not None and name in self.hooks.telling.wanted:
            self.hooks.tell(name, facts)

    async def last_words(self) -> None:
        """Give those who are told a moment before the node ends."""
        await asyncio.sleep(0)  # lines of the log are on their way through the loop
        await self.hooks.telling.settled(_LAST_SECONDS)

    def close(self) -> None:
        """Listen no more."""
        self.end()


def _nothing() -> None:
    """There is nothing to end."""


def _facts(note: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(note)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def open_hooks(
    ground: Ground,
    live: Live,
    tasks: Tasks,
    engine: Engine,
    funnel: LocalFunnel,
    governing: Governing,
    bell: Bell,
) -> HookSide:
    """The hooks of a node.

    Args:
        ground: where the note of the last backup is, and the log that is listened to.
        live: settings in force.
        tasks: where hooks run.
        engine: whose node this is.
        funnel: whose gate asks, and whose reads show the log.
        governing: what waits for approval.
        bell: rings after commits.

    Raises:
        ConfigError: one of them cannot run.
        node.errors.LooseModes: others can read the secret of one of them.
    """
    around = Surroundings(
        node_id=engine.me.node_id.hex(),
        name=engine.me.name,
        now_ms=engine.now_ms,
        environ=os.environ,
        resolver=SystemResolver(),
        metrics=engine.metrics,
        log=Seldom(ground.log, time.monotonic),
    )
    trust = ground.doors.trust
    note = ground.settings.paths.data_dir / LAST_BACKUP

    def read_note() -> bytes:
        try:
            with note.open("rb") as file:
                return file.read(_NOTE_BYTES_MAX)
        except OSError:
            return b""

    side = HookSide(
        make=lambda hook: Runner(hook, around),
        gate=funnel.gate,
        tasks=tasks,
        reader=funnel.reader,
        note=read_note,
        fingerprint=lambda: trust.fingerprint if trust is not None else "",
        log=ground.log,
    )
    side.following = Following(
        reader=funnel.reader,
        teller=Teller(funnel.reader, governing, everything=True),
        bell=bell,
        me=engine.me.node_id,
        telling=lambda: side.hooks.telling,
    )
    side.apply(live.settings)
    loop = asyncio.get_running_loop()

    def saw(event: str, facts: Mapping[str, object]) -> None:
        if event in _LOGGED:
            loop.call_soon_threadsafe(side.logged, event, dict(facts))

    ground.log.taps.append(saw)
    side.end = lambda: ground.log.taps.remove(saw)
    return side
