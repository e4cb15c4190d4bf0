"""One node, composed: settings in, exit code out.

Law: this module decides nothing; it builds the parts, connects them, and takes them down in
the opposite order. Listeners are bound before the store is opened, so that a node that cannot
be reached has touched nothing; facts are written when everything serves.
"""

import asyncio
import errno
import functools
import gc
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import lmdb
import uvloop

from crdt.whole import HalfMadeError
from node import __version__, failpoints
from node.arenas import few_arenas
from node.clock import Clock
from node.errors import DiskError, IntegrityError, NodeError, OutOfMemory
from node.facts import LastExit
from node.founding import founding_of
from node.ground import Ground
from node.integrity.opening import hold_pages, note_faults, open_sound
from node.integrity.rejoining import Lives
from node.logs import EventLog, make_log
from node.metrics import Metrics
from node.parts import Parts, build_parts
from node.process.notify import Notifier
from node.process.reload import reload
from node.process.side import ProcessSide
from node.pulse import Pulse
from node.settings import (
    Settings,
    check_quorum_possible,
    find_material,
    plan_listeners,
    read_api_key,
)
from node.sockets import OpenDoors, open_doors
from node.store.folder import settle, sweep
from node.store.migrations import climb, drop_old_incoming
from node.ticking import Ticking
from transport.identity import NodeKey

_TICK_SECONDS = 0.05
_IDLE_TICK_SECONDS = 0.2
_BEAT_SECONDS = 1.0
_WATCH_SECONDS = 0.5
_MEASURE_SECONDS = 2.0
# A request makes some hundred objects, nearly all of which die with it.
_GARBAGE_YOUNG, _GARBAGE_MIDDLE, _GARBAGE_OLD = 20_000, 20, 50


@dataclass(slots=True)
class Ending:
    """Why the node stops.

    Attributes:
        asked: set when it shall stop.
        error: what went wrong; None for an orderly stop.
        again: whether to start over, as after joining a mesh.
    """

    asked: asyncio.Event
    error: BaseException | None = None
    again: bool = False

    def ask(self, error: BaseException | None = None, *, again: bool = False) -> None:
        """Stop; the first reason counts, and what goes wrong while stopping in good order."""
        if not self.asked.is_set():
            self.error, self.again = error, again
            self.asked.set()
        elif self.error is None and error is not None:
            self.error = error

    def why(self, group: BaseExceptionGroup[BaseException]) -> BaseException:
        """Why the tasks of the node ended: what asked it to stop, else what the group holds.

        Who finds that writing has ended says so too, and knows only that: a disk error.
        """
        if self.error is None:
            cause = _cause_of(group)
            return _as_node_error(cause) if _lacks_memory(cause) else cause
        return _as_node_error(self.error)


def run(settings: Settings) -> int:
    """Run a node until it is told to stop; the directory lock is held by the caller.

    Returns:
        The exit code: 0 after an orderly stop.

    Raises:
        NodeError: it could not start, or a part of it failed.
    """
    few_arenas()
    log = make_log(settings.logging)
    notifier = Notifier.take(os.environ)
    lives = Lives(settings, os.environ, log)
    try:
        with note_faults(settings.paths.data_dir):
            while _again(settings, log, notifier, lives):
                pass
        return 0
    finally:
        log.close()


def _again(settings: Settings, log: EventLog, notifier: Notifier, lives: Lives) -> bool:
    """One life of the node; whether another one follows."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_main(settings, log, notifier))
    except IntegrityError as error:
        if not lives.goes_on(error):
            raise
        return True


async def _main(settings: Settings, log: EventLog, notifier: Notifier) -> bool:
    """One life of the node; returns whether to start over."""
    environ = os.environ
    material = find_material(settings, environ)
    listeners = plan_listeners(settings, material)
    api_key = read_api_key(settings, material, environ)
    log("node_starting", version=__version__, name=settings.identity.name)
    ending = Ending(asyncio.Event())
    metrics = Metrics()
    last = LastExit.read(settings.paths.last_exit)
    metrics.gauge("last_exit_code").set(last.code if last is not None else 0)
    now_ms = Clock(failpoints.wall_clock())
    if failpoints.armed is not None:
        _tell_faults(failpoints.armed, metrics, log)
    failpoints.hit("identity.read")
    key = NodeKey.load(material.node_key)
    hold_pages(settings.paths.data_dir)
    _migrate(settings, log)
    doors = await open_doors(settings, material, listeners, metrics=metrics, log=log)
    try:
        settle(settings.paths.data_dir)
        settle(material.node_key.parent)
        sweep(settings.paths.data_dir, now_ms())
        founding = founding_of(settings, key.node_id, doors.url)
        store = open_sound(
            settings.paths.data_dir, entropy=os.urandom, map_bytes=settings.storage.map_bytes
        )
        log("store_opened", store=store.store_id, bytes=store.size_bytes())
    except BaseException:
        doors.close()
        raise
    parts = build_parts(
        Ground(
            settings=settings,
            key=key,
            founding=founding,
            doors=doors,
            store=store,
            api_key=api_key,
            metrics=metrics,
            log=log,
            now_ms=now_ms,
        ),
        failed=ending.ask,
        start_over=lambda: ending.ask(again=True),
    )
    try:
        _check_quorum(settings, parts)
        await _serve(settings, parts, doors, ending, log, notifier)
        failpoints.hit("shutdown.close")
    except BaseExceptionGroup as group:
        raise ending.why(group) from group
    finally:
        parts.close()
        doors.close()
    await asyncio.sleep(0)  # threads that ended just now may have left word of a failing disk
    if ending.error is not None:
        raise _as_node_error(ending.error)
    if not ending.again:
        log("node_stopped", exit_code=0)
    return ending.again


def _migrate(settings: Settings, log: EventLog) -> None:
    """Bring what an older program left up to today's schema, before anything listens."""
    data_dir = settings.paths.data_dir
    for folder in drop_old_incoming(data_dir):
        log("incoming_dropped", folder=folder.name)
    climb(data_dir, entropy=os.urandom, map_bytes=settings.storage.map_bytes, tell=log)


def _tell_faults(faults: failpoints.Faults, metrics: Metrics, log: EventLog) -> None:
    """Say that this node may fail by order, and each time that it does."""

    def fired(point: str, effect: str) -> None:
        metrics.counter("faults_fired_total", point).inc()
        log("fault_fired", point=point, effect=effect)

    faults.on_fired = fired
    metrics.gauge("faults_armed").set(1)
    log("faults_armed", variable=failpoints.VARIABLE, folder=str(faults.folder))
    for why in faults.wrong():
        log("fault_order_wrong", why=why)


def _check_quorum(settings: Settings, parts: Parts) -> None:
    replica = parts.engine.replica
    if replica.joined:
        check_quorum_possible(settings.quorum.writes, replica.governance.now.n)


def _as_node_error(error: BaseException) -> BaseException:
    if isinstance(error, NodeError):
        return error
    if isinstance(error, (OSError, lmdb.Error)):
        return DiskError("the disk reported an error", why=str(error), fix="Replace the disk")
    if _lacks_memory(error):
        return OutOfMemory(
            "this node ran out of memory",
            why="a change was left half made there; what was acknowledged is on the disk",
            fix="Start it again, with more memory or with less beside it",
        )
    return error


def _lacks_memory(error: BaseException) -> bool:
    """Whether memory ran out; a thread for which it lacks is refused by a text alone."""
    thread = type(error) is RuntimeError and str(error) == "can't start new thread"
    return thread or isinstance(error, (MemoryError, HalfMadeError))


def _cause_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Why the tasks of the node ended: what has an exit code of its own, else the first."""
    waiting, leaves = [*group.exceptions], []
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        else:
            leaves.append(error)
    typed = [e for e in leaves if isinstance(e, NodeError) or getattr(e, "errno", 0) == errno.EIO]
    return (typed or leaves)[0]


async def _serve(
    settings: Settings,
    parts: Parts,
    doors: OpenDoors,
    ending: Ending,
    log: EventLog,
    notifier: Notifier,
) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, ending)
    loop.add_signal_handler(signal.SIGHUP, reload, settings, parts, log, notifier)
    side = ProcessSide(notifier, parts, log)
    interval = settings.federation.catchup_interval_secs
    every = functools.partial(_every, ending=ending, log=log)
    pulse = Pulse(parts.metrics, tick_seconds=_TICK_SECONDS, idle_seconds=_IDLE_TICK_SECONDS)
    async with asyncio.TaskGroup() as group:
        parts.tasks.open(group)
        running = [
            *(group.create_task(listener.run()) for listener in doors.everything),
            group.create_task(Ticking(parts.engine, pulse).run()),
            group.create_task(every(min(_BEAT_SECONDS, interval), parts.engine.beat)),
            group.create_task(every(_WATCH_SECONDS, parts.watch)),
            group.create_task(every(_MEASURE_SECONDS, parts.measure)),
            group.create_task(every(_MEASURE_SECONDS, side.look)),
            group.create_task(notifier.keep_alive()),
            group.create_task(every(1.0, parts.upkeep.flush_access)),
            group.create_task(every(1.0, parts.quotas.round)),
            group.create_task(parts.recall.run()),
            group.create_task(
                every(settings.storage.maintenance_interval_secs, parts.upkeep.round)
            ),
        ]
        if parts.dialler is not None:
            running.append(group.create_task(parts.dialler.run()))
        parts.watch()
        parts.engine.pump()
        failpoints.hit("start.facts")
        doors.facts(parts.engine).write(settings.paths.facts)
        _started(settings, parts, doors, log)
        side.look()
        notifier.ready()
        _settle_memory()
        await ending.asked.wait()
        if not ending.again:
            notifier.stopping()
        await _drain(settings, parts, doors, ending, log)
        parts.tasks.close()
        for task in running:
            task.cancel()
    loop.remove_signal_handler(signal.SIGHUP)


def _settle_memory() -> None:
    """What lives as long as the process is not worth looking at again and again.

    Nor once: of what starting makes, next to nothing is garbage, and it stays small.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(_GARBAGE_YOUNG, _GARBAGE_MIDDLE, _GARBAGE_OLD)


def _started(settings: Settings, parts: Parts, doors: OpenDoors, log: EventLog) -> None:
    state = parts.engine.replica.governance.now
    log(
        "node_started",
        version=__version__,
        node_id=parts.engine.me.node_id.hex(),
        name=settings.identity.name,
        listeners=[f"{host}:{port}" for host, port in doors.addresses],
        probe=[f"{host}:{port}" for host, port in doors.probe.addresses] if doors.probe else [],
        url=doors.url,
        n=state.n,
        w=state.quorum(parts.engine.exchange.wanted_w),
        store=str(settings.paths.data_dir),
        mode=parts.mesh.ready() or "ready",
        permissions=settings.permissions.mode,
        pid=os.getpid(),
    )


async def _drain(
    settings: Settings, parts: Parts, doors: OpenDoors, ending: Ending, log: EventLog
) -> None:
    """Refuse new work, finish what is in flight, put everything on the disk."""
    parts.readiness.draining = True
    if not ending.again:
        log("node_draining")
    for listener in doors.listeners:
        listener.stop_accepting()
    seconds = settings.limits.drain_timeout_ms / 1000
    if failpoints.armed is not None:
        await failpoints.armed.reached("shutdown.drain")
    try:
        async with asyncio.timeout(seconds):
            if ending.error is None:
                await parts.engine.waiting.none_left()
                await parts.engine.drain()
                await parts.hooks.last_words()
    except TimeoutError:
        pass
    parts.engine.waiting.give_up()
    with suppress(OSError):
        parts.mesh.note_faces()  # what was seen last, for the next process to compare with
    parts.links.close_all("draining")
    await doors.shutdown(1.0)


async def _every(seconds: float, action: Callable[[], None], ending: Ending, log: EventLog) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            action()
        except OSError as error:
            if error.errno == errno.EIO:
                ending.ask(error)  # a disk that fails outside the store fails the store too
            log("maintenance_failed", error=error.strerror or str(error))


def _stop(ending: Ending) -> None:
    if ending.asked.is_set():
        os._exit(1)  # asked twice: at once, as a kill would; nothing acknowledged is lost
    ending.ask()
