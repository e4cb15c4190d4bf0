"""The layers that may notice a planted bug, and how each of them is asked.

Law: noticed is what fails as a test: a suite that cannot be collected, that finds no test or
runs out of time has noticed nothing. A failure of tests that start processes counts when the
very same test fails twice, so that a slow machine is not taken for a good test. A campaign
none of whose cycles could be judged is said to be not there. A command runs in a group of its
own, and what is left of that group ends with it.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from threading import Event
from typing import Final

from tests.planted.scratch import environment_of

_FAILED_TEST: Final = re.compile(r"^(?:FAILED|ERROR) (\S+?::.+?)(?: - |$)", re.MULTILINE)
_BROKEN: Final = re.compile(r"^seed (\d+): BROKEN: \(['\"](.*?)['\"]", re.MULTILINE)
_FAILED_CYCLE: Final = re.compile(r"^fail +(F\d+ [^:]*)", re.MULTILINE)
_PASSED_CYCLE: Final = re.compile(r"^pass +F\d+", re.MULTILINE)
_PYTEST_FAILED: Final = 1
_NOT_STEADY: Final = 3
"""How the harness ends when its mesh does not come back."""
_TIMED_OUT: Final = -1
_running: Final[set[subprocess.Popen[bytes]]] = set()
_stopping: Final = Event()


class Layer(StrEnum):
    """Kinds of tests, from the nearest to the code outwards."""

    PROPERTY = "property"
    SIMULATION = "simulation"
    INTEGRATION = "integration"
    CHAOS = "chaos"


class Verdict(StrEnum):
    """What one layer said of one tree."""

    CAUGHT = "caught"
    SILENT = "silent"
    NOT_THERE = "not there yet"
    NO_VERDICT = "no verdict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One short run of the chaos harness: fault classes, cycles of each, nodes."""

    faults: str
    cycles: int = 3
    nodes: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who ought to notice: per layer what is run; an empty layer is not asked.

    Attributes:
        property: pytest targets.
        seeds: worlds of the simulator, from the first on.
        simulation: pytest targets of the simulator's own folder.
        integration: pytest targets that start processes.
        chaos: campaigns.
        integration_s: longest run of those, seconds.
    """

    property: tuple[str, ...] = ()
    seeds: int = 0
    simulation: tuple[str, ...] = ()
    integration: tuple[str, ...] = ()
    chaos: tuple[Campaign, ...] = ()
    integration_s: float = 120.0

    def layers(self) -> list[Layer]:
        """Those that are asked, in order."""
        asked = {
            Layer.PROPERTY: self.property,
            Layer.SIMULATION: self.seeds or self.simulation,
            Layer.INTEGRATION: self.integration,
            Layer.CHAOS: self.chaos,
        }
        return [layer for layer, what in asked.items() if what]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a layer said, by which test or seed, and how long it took."""

    layer: Layer
    verdict: Verdict
    seconds: float
    by: str = ""
    tail: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class _Ended:
    code: int
    output: str


def ask(layer: Layer, watch: Watch, tree: Path, *, seed: int) -> Answer:
    """Run one layer of a watch in a tree.

    Args:
        layer: which.
        watch: what to run.
        tree: a copy of the project.
        seed: of hypothesis and of campaigns; the simulator counts its own from 0.
    """
    began = time.monotonic()
    match layer:
        case Layer.PROPERTY:
            verdict, by, tail = _pytest(watch.property, tree, 300.0, seed)
        case Layer.SIMULATION:
            verdict, by, tail = _simulation(watch, tree, seed)
        case Layer.INTEGRATION:
            verdict, by, tail = _integration(watch, tree, seed)
        case Layer.CHAOS:
            verdict, by, tail = _chaos(watch.chaos, tree, seed)
    took = round(time.monotonic() - began, 1)
    return Answer(layer=layer, verdict=verdict, seconds=took, by=by, tail=tail)


def _run(arguments: Sequence[str], tree: Path, seconds: float) -> _Ended:
    if _stopping.is_set():
        return _Ended(_TIMED_OUT, "")
    with TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=tree,
            env=dict(environment_of(tree)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _running.add(process)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = _TIMED_OUT
        finally:
            _end(process)
            _running.discard(process)
        output.seek(0)
        return _Ended(code, output.read().decode(errors="replace"))


def stop() -> None:
    """Ask whatever runs to end, and start nothing that lasts; from any thread."""
    _stopping.set()
    for process in tuple(_running):
        process.send_signal(signal.SIGINT)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        # Asked first: pytest and the harness end the nodes that they started on their way out.
        process.send_signal(signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


Said = tuple[Verdict, str, str]


def _pytest(targets: Sequence[str], tree: Path, seconds: float, seed: int) -> Said:
    options = ("-q", "-x", "--tb=line", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}")
    ended = _run(["-m", "pytest", *options, *targets], tree, seconds)
    tail = ended.output[-3000:]
    if ended.code == 0:
        return Verdict.SILENT, "", tail
    failed = _FAILED_TEST.search(ended.output)
    if ended.code != _PYTEST_FAILED or failed is None:
        why = "out of time" if ended.code == _TIMED_OUT else f"pytest ended with {ended.code}"
        return Verdict.NO_VERDICT, why, tail
    return Verdict.CAUGHT, failed[1], tail


def _simulation(watch: Watch, tree: Path, seed: int) -> Said:
    if watch.simulation:
        said = _pytest(watch.simulation, tree, 300.0, seed)
        if said[0] is not Verdict.SILENT or not watch.seeds:
            return said
    ended = _run(["-m", "tests.simulation", "--seeds", str(watch.seeds)], tree, 600.0)
    tail = ended.output[-3000:]
    if ended.code == 0:
        return Verdict.SILENT, "", tail
    broken = _BROKEN.search(ended.output)
    if broken is not None:
        return Verdict.CAUGHT, f"seed {broken[1]}: {broken[2]}", tail
    if ended.code == _TIMED_OUT:
        return Verdict.NO_VERDICT, "out of time", tail
    last = ended.output.strip().rpartition("\n")[2]
    return Verdict.CAUGHT, f"the core itself stopped: {last[:80]}", tail


def _integration(watch: Watch, tree: Path, seed: int) -> Said:
    said = _pytest(watch.integration, tree, watch.integration_s, seed)
    if said[0] is not Verdict.CAUGHT:
        return said
    again = _pytest([said[1]], tree, watch.integration_s, seed)
    if again[0] is Verdict.CAUGHT:
        return said
    return Verdict.NO_VERDICT, f"{said[1]} failed once and passed once", said[2]


def _chaos(campaigns: Sequence[Campaign], tree: Path, seed: int) -> Said:
    if not (tree / "chaos" / "__main__.py").is_file():
        return Verdict.NOT_THERE, "", ""
    judged, tail = 0, ""
    for number, one in enumerate(campaigns):
        nodes = ("--nodes", str(one.nodes), "--quorum-writes", str(one.nodes // 2 + 1))
        play = ("--class", one.faults, "--cycles", str(one.cycles), "--seed", str(seed))
        # No two campaigns share stores, nor one that is asked twice.
        folder = Path(mkdtemp(prefix=f"campaign-{number}-", dir=tree)) / "campaign"
        count = one.cycles * len(one.faults.split(","))
        command = ["-m", "chaos", "run", *play, *nodes, "--folder", str(folder)]
        ended = _run(command, tree, 90.0 + 40.0 * count)
        tail = ended.output[-3000:]
        if ended.code in {1, _NOT_STEADY}:
            failed = _FAILED_CYCLE.search(ended.output)
            what = " ".join(failed[1].split()) if failed else "the mesh did not come back"
            return Verdict.CAUGHT, f"{one.faults}, seed {seed}: {what}", tail
        if ended.code:
            why = "out of time" if ended.code == _TIMED_OUT else f"ended with {ended.code}"
            return Verdict.NO_VERDICT, f"{one.faults} {why}", tail
        judged += len(_PASSED_CYCLE.findall(ended.output))
    return (Verdict.SILENT if judged else Verdict.NOT_THERE), "", tail
