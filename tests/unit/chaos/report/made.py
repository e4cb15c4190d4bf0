"""Histories that nobody lived: the format of the harness, from a seed."""

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

NODES = ("n1", "n2", "n3", "n4", "n5")
NAMES = {f"F{n:02d}": f"fault of kind {n}" for n in range(1, 51)}
WHAT = "n1 and n2 are cut from n3, n4, n5"
EXPECTED = "the minority answers 503"


def begin(**more: Any) -> dict[str, Any]:
    return {
        "kind": "begin",
        "campaign": "made",
        "seed": 11,
        "nodes": list(NODES),
        "quorum_writes": 3,
        "plan": {"cycles": 3},
        "version": "0.1.0",
        **more,
    }


def verdict(cycle: int, name: str, at: float, said: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": "verdict",
        "cycle": cycle,
        "class": name,
        "at": at,
        "verdict": said,
        "why": "",
        "anomalies": [],
        "acknowledged": 0,
        "attempted": 0,
        "converged_s": None,
        **more,
    }


class Maker:
    """Cycles one after the other.

    Attributes:
        at: seconds since the campaign began.
    """

    def __init__(self, seed: int, *, writes: int = 40, samples: int = 24) -> None:
        print(f"seed {seed}")
        self.dice = random.Random(seed)
        self.at = 0.0
        self.writes = writes
        self.samples = samples
        self.cycle = 0
        self._op = 0

    def play(self, name: str, said: str = "pass", **more: Any) -> Iterator[dict[str, Any]]:
        """One cycle of six seconds: two quiet, two under the fault, two after it."""
        self.cycle += 1
        start, cycle = self.at, self.cycle
        lines: list[tuple[float, dict[str, Any]]] = []

        def say(at: float, kind: str, **fields: Any) -> None:
            lines.append((at, {"kind": kind, "at": round(start + at, 6), **fields}))

        seed = self.dice.randrange(2**32)
        say(0, "cycle", cycle=cycle, workload="set", seed=seed, **{"class": name})
        say(2.0, "fault", cycle=cycle, phase="inject", what=WHAT, ok=True)
        say(2.1, "fault", cycle=cycle, phase="proof", what=WHAT, ok=said != "void")
        say(4.0, "fault", cycle=cycle, phase="heal", what=WHAT, ok=True)
        say(4.1, "expect", cycle=cycle, what=EXPECTED, ok=said != "fail")
        acknowledged = self._writes(cycle, say)
        self._looks(cycle, say)
        self.at += 6.0
        yield from (line for _, line in sorted(lines, key=lambda pair: pair[0]))
        took = round(self.dice.lognormvariate(-1, 0.6), 3)
        figures = {"acknowledged": acknowledged, "attempted": self.writes, "converged_s": took}
        yield verdict(cycle, name, self.at, said, **{**figures, **more})

    def _writes(self, cycle: int, say: Any) -> int:
        acknowledged = 0
        for n in range(self.writes):
            self._op += 1
            at = 5.0 * n / self.writes
            say(at, "invoke", op=self._op, cycle=cycle, process="c1", node="n1", f="add", value=n)
            under = 2.0 <= at < 4.0
            took = self.dice.lognormvariate(-4.5 + 2 * under, 0.5)
            ended = "info" if under and self.dice.random() < 0.4 else "ok"
            acknowledged += ended == "ok"
            say(at + min(took, 0.9), ended, op=self._op, status=201 if ended == "ok" else 503)
        return acknowledged

    def _looks(self, cycle: int, say: Any) -> None:
        for n in range(self.samples):
            at = 6.0 * n / self.samples
            nodes = {}
            for place, node in enumerate(NODES):
                under = 2.0 <= at < 4.5 and place < 2
                nodes[node] = {
                    "digest": f"{'minor' if under else 'major'}{n}",
                    "lag": int(40 * (at - 2)) if under else self.dice.randrange(3),
                    "up": not (place == 4 and 2.5 <= at < 3.5),
                }
            say(at, "sample", cycle=cycle, nodes=nodes)


def campaign(
    seed: int, cycles: int, *, classes: Sequence[str] = tuple(NAMES), writes: int = 40
) -> Iterator[dict[str, Any]]:
    """So many cycles of each class in turn; F08 is not run, F22 fails once, F15 is void once."""
    maker = Maker(seed, writes=writes)
    yield begin()
    for turn in range(cycles):
        for name in classes:
            if name == "F08":
                if turn == 0:
                    why = "tc has no netem on this machine"
                    yield verdict(0, name, maker.at, "not_run", why=why)
            elif name == "F22" and turn == 1:
                lost = {"checker": "set", "rule": "lost", "detail": "id 17 is on no node"}
                yield from maker.play(name, "fail", why="1 write lost", anomalies=[lost])
            elif name == "F15" and turn == 2:
                yield from maker.play(name, "void", why="no proof of the fault")
            else:
                yield from maker.play(name)


def lines(rows: Iterator[dict[str, Any]] | Sequence[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row) + "\n"
