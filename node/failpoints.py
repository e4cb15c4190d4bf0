"""Places where a test makes this node fail: crash, defect, failing disk, stall, wrong clock.

Law: without `MNEMESH_FAULTS` in the environment nothing of this is alive: a hit is one test of
one attribute, no folder is looked at, the clock is the system's. With it, `POINTS` is the one
table of what can be ordered; an order is a file in that folder, named after its point:

    crash | raise | eio | delay SECONDS   [after N]   [always]

`crash` is SIGKILL by the node's own hand, `raise` a defect (`InjectedFault`), `eio` an OSError
as a failing disk gives it, `delay` a pause. `after N` lets N hits pass first. An order is
carried out once: its file is renamed to `<point>.fired` BEFORE the effect, so whoever gave it
has the proof, also of a crash. With `always` it stays, and `<point>.fired` is made beside it.

`clock` in the same folder holds milliseconds that are added to the wall clock; `OFFSET jump
[SECONDS]` lets the clock go to and fro by that much, every second unless it says otherwise.
`clock.fired` holds the offset that is in force. It is looked at every 50 ms at most.

The idea is FreeBSD's fail(9) and the `failpoint` packages of Go and Rust.
"""

import asyncio
import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from node.errors import ConfigError

VARIABLE: Final = "MNEMESH_FAULTS"
"""The environment variable that makes all of this alive; doctor reports it as critical."""

CLOCK: Final = "clock"
FIRED: Final = ".fired"
_CLOCK_SECONDS: Final = 0.05
_JUMP_SECONDS: Final = 1.0
_DELAY_SECONDS_MAX: Final = 600.0
_EFFECTS: Final = ("crash", "raise", "eio", "delay")

# point -> (where it is hit, the moment it stands for). Where: `loop` stalls the whole node while
# a delay lasts, `task` only the request, link or delivery that is hit; the rest are threads.
POINTS: Final[Mapping[str, tuple[str, str]]] = {
    # starting and ending
    "identity.read": ("loop", "nothing is open; the node's key is about to be read"),
    "certificate.read": ("loop", "own certificate and key are about to be read, also anew"),
    "store.open": ("loop", "CURRENT says which store it is; it is about to be opened"),
    "store.schema": ("loop", "in the transaction that makes tables and schema"),
    "migration.snapshot": ("loop", "a store of an older schema is about to be copied, as it is"),
    "migration.copied": ("loop", "the copy is on the disk; it was not read and has no name"),
    "migration.saved": ("loop", "the copy is sound and has its name; the store is as it was"),
    "migration.step": ("loop", "inside the transaction of a step: all is put, nothing is synced"),
    "migration.stepped": ("loop", "a step is on the disk; the next, or the reading, is not begun"),
    "migration.proven": ("loop", "the migrated store was read; the mark that it was not is there"),
    "start.facts": ("loop", "everything serves; nobody was told where"),
    "shutdown.drain": ("task", "no new work is taken; what is in flight is not finished"),
    "shutdown.close": ("loop", "drained; the store is still open"),
    # one write
    "write.minted": ("loop", "an agent's operations have their dots and are nowhere else"),
    "push.before_send": ("loop", "the bundle is signed; neither peers nor disk have it"),
    "push.sent": ("loop", "peers may have the bundle; the own disk does not"),
    "store.commit.before": ("committer", "a transaction is about to begin"),
    "feed.append": ("committer", "inside it: the log has the bundles, the records are not moved"),
    "store.commit.written": ("committer", "inside it: all is put, nothing is synced"),
    "store.commit.synced": ("committer", "durable, and nobody was told: no peer, no agent"),
    "ack.before_send": ("loop", "durable; the claim is about to be made, to peers and quorum"),
    "answer.before": ("task", "the quorum is met, the agent's answer is not sent"),
    # between nodes
    "link.greeting": ("task", "TLS stands; who this is, is not said"),
    "push.received": ("loop", "a frame of a peer is here, unread"),
    "bundle.taken": ("loop", "bundles of a peer have had their effect, in memory only"),
    "catchup.page": ("loop", "a page for a peer that is behind is about to be read"),
    "snapshot.freeze": ("snapshots", "a copy for a peer is about to be frozen"),
    "snapshot.chunk": ("snapshots", "a chunk of it is about to be read"),
    "snapshot.staged": ("snapshots", "a received chunk is on the disk, the next not asked for"),
    "snapshot.join": ("snapshots", "all is received; the joined store is about to be built"),
    "snapshot.adopt.before": ("loop", "the joined store is built; CURRENT names the old one"),
    "snapshot.adopt.after": ("loop", "CURRENT names the joined store; it is not open"),
    "join.note": ("loop", "the note of the mesh this node belongs to is about to be written"),
    # upkeep
    "log.truncate": ("committer", "inside the transaction that cuts the log, before its sync"),
    "erase.copy": ("worker", "the store is about to be written anew"),
    "erase.copied": ("worker", "the new file has all rows but those touched meanwhile"),
    "erase.built": ("committer", "the new file has all rows and is not synced"),
    "erase.swap": ("committer", "the new file is on the disk beside the old one"),
    "erase.swapped": ("committer", "the new file is in place; who counts erasures is not told"),
    # beside the store
    "audit.append": ("audit", "entries are signed and not in the chain"),
    "audit.countersign": ("audit", "heads of others are about to be kept, then countersigned"),
    "allowlist.reload": ("loop", "the list has changed, the old one is in force"),
    "nonce.commit": ("nonces", "a nonce is fresh so far and not remembered"),
    "recall.commit": ("recall", "the index has documents that are not on the disk"),
    "webhook.deliver": ("task", "an event is about to be sent to a webhook"),
    "webhook.delivered": ("task", "the receiver has it, the ledger does not say so"),
}


class InjectedFault(RuntimeError):  # noqa: N818 - it stands for a defect, and names what it is
    """A defect, by order; nothing in the node expects it more than any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to happen at a point.

    Attributes:
        effect: crash, raise, eio or delay.
        seconds: of a delay.
        after: so many hits pass first.
        always: it is carried out at every hit from then on.
    """

    effect: str
    seconds: float = 0.0
    after: int = 0
    always: bool = False


def read_order(text: str) -> Order:
    """An order, as the file of a point holds it.

    Raises:
        ValueError: it is none.
    """
    words = text.split()
    if not words or words[0] not in _EFFECTS:
        raise ValueError(f"an order begins with one of {', '.join(_EFFECTS)}")
    effect, rest, seconds = words[0], words[1:], 0.0
    if effect == "delay":
        if not rest:
            raise ValueError("delay needs seconds")
        seconds, rest = float(rest[0]), rest[1:]
        if not 0 <= seconds <= _DELAY_SECONDS_MAX:
            raise ValueError(f"a delay is 0 to {_DELAY_SECONDS_MAX:g} seconds")
    always = "always" in rest
    rest = [word for word in rest if word != "always"]
    if rest and (len(rest) != 2 or rest[0] != "after" or not rest[1].isdecimal()):  # noqa: PLR2004 - two words
        raise ValueError("behind an effect there can be `after N` and `always`")
    return Order(effect=effect, seconds=seconds, after=int(rest[1]) if rest else 0, always=always)


class Faults:
    """The orders in a folder, and the clock of a node that obeys them.

    Args:
        folder: where orders are put; other files in it are left alone.

    Attributes:
        on_fired: told (point, effect) on the thread that is hit, before the effect.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.on_fired: Callable[[str, str], None] = lambda _point, _effect: None
        self._passed: dict[str, int] = {}
        self._lock = threading.Lock()
        self._clock_due = 0.0
        self._clock_stamp: tuple[int, int, int] | None = None
        self._offset_ms = 0
        self._jump_seconds = 0.0

    def hit(self, point: str) -> None:
        """Carry out what is ordered for a point; a delay stops the thread that hits it.

        Raises:
            InjectedFault, OSError: by order.
        """
        order = self._due(point)
        if order is not None and order.effect == "delay":
            time.sleep(order.seconds)
        elif order is not None:
            _fail(point, order)

    async def reached(self, point: str) -> None:
        """The same where only one task shall stand still while a delay lasts.

        Raises:
            InjectedFault, OSError: by order.
        """
        order = self._due(point)
        if order is not None and order.effect == "delay":
            await asyncio.sleep(order.seconds)
        elif order is not None:
            _fail(point, order)

    def _due(self, point: str) -> Order | None:
        if point not in POINTS:
            raise LookupError(f"{point} is not in the table of points")
        path = self.folder / point
        try:
            order = read_order(path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None  # no order, half written, or none that can be read: see `wrong`
        with self._lock:
            passed = self._passed.get(point, 0)
            if passed < order.after:
                self._passed[point] = passed + 1
                return None
            fired = path.with_name(point + FIRED)
            try:
                if not order.always:
                    path.rename(fired)
                    self._passed.pop(point, None)
                elif not fired.exists():
                    fired.write_text(path.read_text(encoding="ascii"), encoding="ascii")
            except OSError:
                return None  # another thread was faster, or it was taken back
        self.on_fired(point, order.effect)
        return order

    def wrong(self) -> list[str]:
        """What lies in the folder and can never be carried out, as sentences."""
        said = []
        for path in sorted(self.folder.iterdir()):
            name = path.name
            if name == CLOCK or name.startswith(".") or name.endswith(FIRED):
                continue
            if name not in POINTS:
                said.append(f"{name} is no point")
                continue
            with suppress(FileNotFoundError):
                try:
                    read_order(path.read_text(encoding="ascii"))
                except ValueError as error:
                    said.append(f"{name}: {error}")
        return said

    def wall_ms(self) -> int:
        """The wall clock of this node, off by what is ordered; ms since the epoch."""
        now = time.monotonic()
        if now >= self._clock_due:
            self._clock_due = now + _CLOCK_SECONDS
            self._look_at_clock()
        away = self._offset_ms
        if self._jump_seconds and int(now / self._jump_seconds) % 2:
            away = 0
        return _wall_ms() + away

    def _look_at_clock(self) -> None:
        path = self.folder / CLOCK
        try:
            held = path.stat()
            stamp = (held.st_mtime_ns, held.st_size, held.st_ino)
            if stamp == self._clock_stamp:
                return
            words = path.read_text(encoding="ascii").split()
            offset_ms = int(words[0]) if words else 0
            jump = 0.0
            if words[1:2] == ["jump"]:
                jump = max(float(words[2]), _CLOCK_SECONDS) if words[2:] else _JUMP_SECONDS
        except FileNotFoundError:
            stamp, offset_ms, jump = None, 0, 0.0
        except (OSError, ValueError):
            return  # half written: looked at again
        if stamp is None and self._clock_stamp is None:
            return
        self._clock_stamp, self._offset_ms, self._jump_seconds = stamp, offset_ms, jump
        with suppress(OSError):
            path.with_name(CLOCK + FIRED).write_text(f"{offset_ms}\n", encoding="ascii")
        self.on_fired(CLOCK, f"{offset_ms} ms")


def _fail(point: str, order: Order) -> NoReturn:
    if order.effect == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(_DELAY_SECONDS_MAX)  # the signal comes before this begins, or while it lasts
    if order.effect == "eio":
        raise OSError(errno.EIO, f"input/output error, by order at {point}")
    raise InjectedFault(f"a defect, by order at {point}")


armed: Faults | None = None
"""None in every real node."""


def hit(point: str) -> None:
    """A place where a test may order a fault; see `POINTS`.

    Raises:
        InjectedFault, OSError: by order.
    """
    if armed is not None:
        armed.hit(point)


def arm(environ: Mapping[str, str]) -> Faults | None:
    """Make the points alive if the environment asks for it; once a process.

    Raises:
        ConfigError: the variable names no folder.
    """
    global armed  # noqa: PLW0603 - one attribute to test is all that a hit may cost
    name = environ.get(VARIABLE)
    if not name:
        armed = None
        return None
    folder = Path(name)
    if not folder.is_dir():
        raise ConfigError(
            f"{VARIABLE} names {name}, which is no folder",
            fix="Make the folder, or unset the variable: it is for tests alone",
        )
    armed = Faults(folder.absolute())
    return armed


def wall_clock() -> Callable[[], int]:
    """The wall clock that this node goes by: ms since the epoch."""
    return _wall_ms if armed is None else armed.wall_ms


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
