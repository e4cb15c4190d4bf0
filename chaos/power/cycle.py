"""One cycle of power loss: a node under load, its images, and what they lost.

Law: synchronous and self-contained: it starts what it needs, ends it, and leaves nothing but
what it returns. Whoever runs on an event loop gives it a thread. The same seed gives the same
load and the same draws; the interleaving of the node's own threads is that of the day, so the
log of a failed cycle is kept for a replay.
"""

import pickle
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from chaos.power.disk import Honours, Tree
from chaos.power.images import Image, images
from chaos.power.opener import Opener, Order, Told
from chaos.power.promises import Anomaly, Promises
from chaos.power.recording import DATA_DIR, SETTINGS, Progress, Recorded, record
from chaos.power.writelog import Names, Sync, WriteLog

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
_DEEP_EVERY: Final = 20
_SHOWN_MAX: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An image that does not keep what was promised."""

    number: int
    moment: int
    choice: str
    rule: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerResult:
    """What one cycle showed.

    Attributes:
        seed: of load and draws.
        images: built, each a distinct choice.
        distinct: of them, by their bytes.
        opened: that the node's own code opened.
        whole: that keep every promise.
        required: acknowledged records that the images had to hold, over all of them.
        acknowledged: writes that were promised while the log was written.
        attempted: writes that were sent.
        operations: in the log; of them `syncs` bring something to the disk.
        syncs: see there.
        renames: operations that set more than one name at once.
        compared_bytes: of the node's files that the replay of the log equals.
        recall: state of the derived index -> in how many images.
        deaths: of the process that opens images.
        broken: the first anomalies.
        anomalies: how many there were, by rule.
        record_s: seconds for the load and its log.
        judge_s: seconds for the images.
        log: file with the log, when something is broken and a folder to keep it was given.
    """

    seed: int
    images: int
    distinct: int
    opened: int
    whole: int
    required: int
    acknowledged: int
    attempted: int
    operations: int
    syncs: int
    renames: int
    compared_bytes: int
    recall: Mapping[str, int]
    deaths: int
    broken: Sequence[Broken]
    anomalies: Mapping[str, int]
    record_s: float
    judge_s: float
    log: str = ""

    @property
    def ok(self) -> bool:
        """Whether no image lost, invented or refused anything."""
        return not self.anomalies

    def data(self) -> dict[str, Any]:
        """The same as JSON."""
        return {**asdict(self), "ok": self.ok}


def power_cycle(
    *,
    seed: int,
    count: int,
    requests: int = 400,
    python: Sequence[str] = (sys.executable, "-P"),
    settings: Mapping[str, str] = SETTINGS,
    keep: Path | None = None,
    progress: Progress = lambda _phase, _done, _all: None,
) -> PowerResult:
    """Run a node under load, build images of its files, open and judge them.

    Args:
        seed: draws the load, the moments and the choices.
        count: how many images.
        requests: how many the clients send.
        python: the interpreter that has the node installed, with its options.
        settings: environment of the node.
        keep: where the log goes when something is broken.
        progress: told how far it is: phases `load` and `images`.

    Raises:
        chaos.power.recording.LoadFailed: the node could not be run.
        chaos.power.writelog.Incomplete: the log does not explain the node's files.
        chaos.power.syscalls.TraceError: the trace cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        recorded = record(
            Path(folder),
            requests=requests,
            seed=seed,
            python=python,
            settings=settings,
            progress=progress,
        )
    result = judge(recorded, seed=seed, count=count, python=python, progress=progress)
    if result.ok or keep is None:
        return result
    keep.mkdir(parents=True, exist_ok=True)
    file = keep_log(recorded, keep / f"power-{seed}.log")
    return PowerResult(**{**_fields(result), "log": str(file)})


def keep_log(recorded: Recorded, file: Path) -> Path:
    """Write a log and its promises to a file, for `replay`."""
    promises = recorded.promises
    file.write_bytes(pickle.dumps((recorded.log, promises.steps, promises.entries)))
    return file


def replay(
    file: Path,
    *,
    seed: int,
    count: int,
    python: Sequence[str] = (sys.executable, "-P"),
    progress: Progress = lambda _phase, _done, _all: None,
) -> PowerResult:
    """Judge a log that a broken cycle kept. Only for files of one's own: it is a pickle."""
    log, steps, entries = pickle.loads(file.read_bytes())  # noqa: S301 - see above
    recorded = Recorded(
        log=log,
        promises=Promises(steps=steps, entries=entries),
        compared_bytes=0,
        lines=0,
        seconds=0.0,
    )
    return judge(recorded, seed=seed, count=count, python=python, progress=progress)


def _fields(result: PowerResult) -> dict[str, Any]:
    return {name: getattr(result, name) for name in PowerResult.__slots__}


def judge(
    recorded: Recorded,
    *,
    seed: int,
    count: int,
    python: Sequence[str] = (sys.executable, "-P"),
    honours: Honours = lambda _op: True,
    data_dir: str = DATA_DIR,
    progress: Progress = lambda _phase, _done, _all: None,
) -> PowerResult:
    """Build images of a log, have them opened, and compare them with what was promised.

    Args:
        recorded: the log and the promises.
        seed: draws the images.
        count: how many.
        python: the interpreter that has the node installed.
        honours: for controls; see `chaos.power.disk.Disk`.
        data_dir: of the node, below the root of the log; empty for the root itself.
        progress: told how far it is.
    """
    began = time.monotonic()
    tally = _Tally(recorded.promises)
    built = images(recorded.log, seed, count, honours=honours)
    base = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="power-", dir=base) as folder, Opener(python) as opener:
        for image in built:
            place = Path(folder) / str(image.number)
            lay_out(image.tree, place, recorded.log, image.number)
            deep = image.number % _DEEP_EVERY == 0
            told = opener.open(Order(image.number, place / data_dir, deep))
            take_away(place)
            tally.take(image, told)
            progress("images", image.number + 1, count)
    log = recorded.log
    return PowerResult(
        seed=seed,
        images=tally.images,
        distinct=len(tally.distinct),
        opened=tally.opened,
        whole=tally.whole,
        required=tally.required,
        acknowledged=recorded.promises.acknowledged,
        attempted=recorded.promises.attempted,
        operations=len(log.ops),
        syncs=sum(isinstance(op.what, Sync) for op in log.ops),
        renames=sum(isinstance(op.what, Names) and len(op.what.sets) > 1 for op in log.ops),
        compared_bytes=recorded.compared_bytes,
        recall=dict(tally.recall),
        deaths=opener.deaths,
        broken=tally.broken[:_SHOWN_MAX],
        anomalies=dict(tally.rules),
        record_s=round(recorded.seconds, 2),
        judge_s=round(time.monotonic() - began, 2),
    )


def lay_out(tree: Tree, place: Path, log: WriteLog, number: int) -> None:
    """Write an image into a new folder.

    What is shared memory and no storage (`WriteLog.scratch`) holds by turns nothing, zeros and
    what it held in the end: whatever a page cache may have brought to the disk by itself.
    """
    place.mkdir(parents=True)
    last = {len(data): data for data in log.scratch.values()}
    for name, data in tree.items():
        path = place / name
        if data is None:
            path.mkdir(mode=0o700)
            continue
        if path.name == "lock.mdb" and number % 3:
            data = last.get(len(data), data) if number % 3 == 1 else b""  # noqa: PLW2901 - see above
        path.write_bytes(data)
        path.chmod(0o600)


def take_away(place: Path) -> None:
    """Remove an image that was looked at.

    What opened it may have a thread that still makes a lock file in it by its path: tantivy
    reads an index once more beside whoever opened it. So the path goes first, at once, and no
    folder is found filled again by whoever has just emptied it.
    """
    gone = place.with_name(f"{place.name}-gone")
    place.rename(gone)
    shutil.rmtree(gone)


class _Tally:
    """What has been seen so far."""

    def __init__(self, promises: Promises) -> None:
        self._promises = promises
        self.images = self.opened = self.whole = self.required = 0
        self.distinct: set[int] = set()
        self.recall: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.broken: list[Broken] = []

    def take(self, image: Image, told: Told) -> None:
        self.images += 1
        self.distinct.add(hash(tuple(image.tree.items())))
        self.required += self._promises.promised(image.at_ns)
        self.opened += "error" not in told
        if "recall" in told:
            self.recall[told["recall"]] += 1
        wrong = list(anomalies(self._promises, image.at_ns, told))
        self.whole += not wrong
        for one in wrong:
            self.rules[one.rule] += 1
            self.broken.append(
                Broken(
                    number=image.number,
                    moment=image.moment,
                    choice=f"{image.choice} of {image.coming}",
                    rule=one.rule,
                    detail=one.detail,
                )
            )


def anomalies(promises: Promises, at_ns: int, told: Told) -> Iterable[Anomaly]:
    """Everything that is wrong with what was found in an image of a moment.

    An image from before the node had promised anything may refuse to open: there was nothing
    to lose, and nobody was told that there was.
    """
    if "error" in told:
        if promises.promised(at_ns) or promises.entry(at_ns):
            yield Anomaly("refused", told["error"])
        return
    yield from promises.judge(told["records"], at_ns)
    for trouble in told["trouble"]:
        yield Anomaly("damaged", trouble)
    if told["audit"] < promises.entry(at_ns):
        yield Anomaly("lost", f"audit entries after {told['audit']}")
