"""What a campaign is to play, written down before it begins.

Law: a plan and a seed decide every cycle: which class, which workload, which choices. Rounds go
over all classes before any class comes again, so a campaign that is cut short has tried all of
them. The first round of a class draws from the seed itself, so one cycle of a long campaign is
played again by its own seed: `chaos run --class F07 --cycles 1 --seed THAT`.
"""

import hashlib
import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from chaos.catalogue import CATALOGUE
from chaos.report.reading import ABORTED, Campaign
from chaos.workloads import WORKLOADS

_FOLDER: Final = Path(__file__).parents[1] / "plans"
_FIRST: Final = 8
"""Workloads that were there when the first campaigns were played."""


class BadPlanError(ValueError):
    """A plan that cannot be played; the message says which key, and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to play.

    Attributes:
        name: of the plan.
        classes: code -> cycles.
        seed: decides everything else.
        nodes: of the mesh.
        quorum_writes: members that must hold a write.
        quorum_timeout_ms: how long a write waits for them.
        hold_s: shortest and longest time a fault lasts, seconds, where its class does not say.
        workloads: are played in turn.
        played: numbers of the cycles that another part of the same campaign has judged.
    """

    name: str = "by hand"
    classes: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    nodes: int = 5
    quorum_writes: int = 3
    quorum_timeout_ms: int = 1000
    hold_s: tuple[float, float] = (0.2, 0.6)
    workloads: Sequence[str] = tuple(WORKLOADS)
    played: frozenset[int] = frozenset()

    def as_dict(self) -> dict[str, Any]:
        """For the history and for the file beside the stores."""
        return {
            "name": self.name,
            "seed": self.seed,
            "nodes": self.nodes,
            "quorum_writes": self.quorum_writes,
            "quorum_timeout_ms": self.quorum_timeout_ms,
            "hold_s": list(self.hold_s),
            "workloads": list(self.workloads),
            "classes": dict(self.classes),
            **({"played": sorted(self.played)} if self.played else {}),
        }

    def cycles(self) -> Iterator["Turn"]:
        """All turns in order; the same for the same plan, always."""
        number = 0
        for turn in range(max(self.classes.values(), default=0)):
            codes = [code for code, times in self.classes.items() if turn < times]
            random.Random(f"{self.seed} {turn}").shuffle(codes)
            for code in codes:
                number += 1
                seed = _seed(self.seed, code, turn)
                drawn = _drawn(self.workloads, f"{seed} {code}")
                yield Turn(number=number, code=code, workload=drawn, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One cycle to be played."""

    number: int
    code: str
    workload: str
    seed: int


def _drawn(workloads: Sequence[str], seed: str) -> str:
    """One of some workloads, each as likely as any other.

    Who came after the first eight takes its share of their draws and leaves the rest as they were,
    so that a cycle that is played again by its seed is mostly the cycle that it was. (Lamping and
    Veach, A fast, minimal memory, consistent hash algorithm, 2014.)
    """
    drawn = random.Random(seed).choice(workloads[:_FIRST])
    for place, name in enumerate(workloads[_FIRST:], start=_FIRST + 1):
        if random.Random(f"{seed} {name}").random() < 1 / place:
            drawn = name
    return drawn


def _seed(seed: int, code: str, turn: int) -> int:
    if turn == 0:
        return seed
    digest = hashlib.blake2b(f"{seed} {code} {turn}".encode(), digest_size=5).digest()
    # The turn in its lowest byte: a class that has a table to go through takes the next row.
    return int.from_bytes(digest) << 8 | turn & 0xFF


def plans() -> dict[str, Path]:
    """The plans that come with the program, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.toml"))}


def read_plan(named: str | None) -> Plan:
    """Read a plan by its name, or from a file; `smoke` without.

    Raises:
        BadPlanError: there is none, or it cannot be played.
    """
    named = named or "smoke"
    path = plans().get(named, Path(named))
    try:
        rows = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        known = ", ".join(plans())
        raise BadPlanError(f"no plan {named!r}: expected a file or one of {known}") from error
    except ValueError as error:  # not TOML, or not even UTF-8
        raise BadPlanError(f"{path}: {error}") from error
    return plan_of(rows, path.stem)


def rest_of(campaign: Campaign) -> Plan:
    """The plan of a campaign without the cycles that were judged.

    Raises:
        BadPlanError: it does not say what it was to play.
    """
    plan = plan_of(campaign.begin.get("plan"), "of the parts")
    judged = {cycle.number for cycle in campaign.cycles if cycle.verdict != ABORTED}
    return replace(plan, played=plan.played | {one for one in judged if one is not None})


def plan_of(rows: Any, name: str) -> Plan:
    """Make a plan of decoded TOML or JSON.

    Raises:
        BadPlanError: it cannot be played.
    """
    if not isinstance(rows, Mapping):
        raise BadPlanError(f"plan {name}: expected keys and values")
    known = {*Plan.__dataclass_fields__, "cycles", "except"}
    unknown = sorted(rows.keys() - known)
    if unknown:
        raise BadPlanError(f"plan {name}: unknown key {unknown[0]!r}; known are {sorted(known)}")
    try:
        return _plan_of(rows, name)
    except BadPlanError:
        raise
    except (TypeError, ValueError) as error:
        raise BadPlanError(f"plan {name}: {error}") from error


def _plan_of(rows: Mapping[str, Any], name: str) -> Plan:
    every = int(rows.get("cycles", 0))
    skipped = set(rows.get("except", ()))
    classes = {code: every for code in CATALOGUE if every and code not in skipped}
    classes |= {str(code): int(times) for code, times in dict(rows.get("classes", {})).items()}
    wrong = sorted((classes.keys() | skipped) - CATALOGUE.keys())
    if wrong:
        raise BadPlanError(f"plan {name}: no class {wrong[0]!r}; see `mnemesh chaos list`")
    odd = sorted(set(rows.get("workloads", ())) - set(WORKLOADS))
    if odd:
        raise BadPlanError(f"plan {name}: no workload {odd[0]!r}; known are {', '.join(WORKLOADS)}")
    plain = Plan()
    low, high = rows.get("hold_s", plain.hold_s)
    return Plan(
        name=str(rows.get("name", name)),
        classes=classes,
        seed=int(rows.get("seed", plain.seed)),
        nodes=int(rows.get("nodes", plain.nodes)),
        quorum_writes=int(rows.get("quorum_writes", plain.quorum_writes)),
        quorum_timeout_ms=int(rows.get("quorum_timeout_ms", plain.quorum_timeout_ms)),
        hold_s=(float(low), float(high)),
        workloads=tuple(rows.get("workloads", plain.workloads)),
        played=frozenset(int(number) for number in rows.get("played", ())),
    )
