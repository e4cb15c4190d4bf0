"""`python -m tests.simulation`: run seeds, print what happened, fail on the first breach."""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.progress import track

from tests import planting
from tests.simulation.broken import Broken
from tests.simulation.controls import DOCUMENTS, NAMES, ROGUES, SLEEPERS, meaning, planted
from tests.simulation.documents import SOON
from tests.simulation.heal import final_members, heal
from tests.simulation.world import World

# Every way in which a world is broken, printed even when no seed drew it.
FAULTS = frozenset(
    {
        *("added_again", "clone", "crash", "cut", "duplicated", "lose", "lost", "removed"),
        *("reordered", "restore", "skewed", "torn_tail", "truncated"),
    }
)


def run(
    seed: int,
    steps: int = 400,
    bug: str = "",
    sleeper: str = "",
    rogue: str = "",
    *,
    documents: bool = False,
) -> World:
    """One world: break it for some steps, then heal it."""
    sleeper, rogue = sleeper or SLEEPERS.get(bug, ""), rogue or ROGUES.get(bug, "")
    documents = documents or bug in DOCUMENTS
    world = World(seed, bug, sleeper=sleeper, rogue=rogue, documents=documents)
    with planting.planted(*(SOON if documents else ())):
        for _ in range(steps):
            world.step()
            world.check()
        heal(world)
        if world.workload.documents is not None:
            world.workload.documents.judge(world, final_members(world))
    return world


def caught_by(bug: str, seeds: int, first: int = 0, steps: int = 400) -> tuple[int, str] | None:
    """The first seed that catches a planted bug, and the invariant that did."""
    for seed in range(first, first + seeds):
        try:
            with planted(bug):
                run(seed, steps, bug)
        except Broken as broken:
            return seed, str(broken.args[0])
        except (KeyError, IndexError, ValueError) as error:
            return seed, f"the core itself stopped: {type(error).__name__}"
    return None


def controls(seeds: int) -> int:
    """Plant every bug in turn; each must be caught."""
    asleep = 0
    for bug in NAMES:
        found = caught_by(bug, seeds)
        asleep += found is None
        verdict = f"caught by seed {found[0]}: {found[1]}" if found else "NOT CAUGHT"
        print(f"{bug:12} {meaning(bug):58} {verdict}")
    return 1 if asleep else 0


def main() -> int:
    """Run the seeds asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--steps", type=int, default=400, help="steps before the world heals")
    parser.add_argument("--bug", default="", help="plant a bug by name (see controls.py)")
    parser.add_argument("--sleeper", default="", help="a founder that is down for long: a, b, c")
    parser.add_argument("--rogue", default="", help="a founder that forges snapshots: a, b, c")
    parser.add_argument("--documents", action="store_true", help="agents edit documents alone")
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    parser.add_argument("--controls", action="store_true", help="plant every bug in turn")
    args = parser.parse_args()
    if args.controls:
        return controls(args.seeds)
    began, total = time.monotonic(), Counter[str]()
    for seed in _shown(range(args.first, args.first + args.seeds)):
        try:
            with planted(args.bug):
                world = run(
                    seed,
                    args.steps,
                    args.bug,
                    args.sleeper,
                    args.rogue,
                    documents=args.documents,
                )
        except Broken as broken:
            print(f"seed {seed}: BROKEN: {str(broken.args)[:1500]}")
            again = f"python -m tests.simulation --first {seed} --seeds 1 --steps {args.steps}"
            again += f" --sleeper {args.sleeper}" if args.sleeper else ""
            again += f" --rogue {args.rogue}" if args.rogue else ""
            again += " --documents" if args.documents else ""
            print(f"replay: {again}" + (f" --bug {args.bug}" if args.bug else ""))
            return 1
        total += world.stat
        total["steps"] += world.step_no
    took = time.monotonic() - began
    facts = dict(sorted(total.items()))
    if args.json:
        print(json.dumps({"seeds": args.seeds, "seconds": round(took, 1), **facts}))
        return 0
    _report(args.seeds, args.first, took, facts)
    return 0


def _shown(seeds: range) -> Iterable[int]:
    """The seeds, with a bar on the error stream when a person is watching it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return seeds
    return track(seeds, description="worlds", console=console, transient=True)


def _report(seeds: int, first: int, took: float, facts: dict[str, int]) -> None:
    print(f"{seeds} seeds from {first}: {facts['steps']} steps in {took:.0f} s, clean")
    for title, names in (("faults", FAULTS), ("what went on", sorted(facts.keys() - FAULTS))):
        print(f"{title}:")
        for name in sorted(names):
            if name != "steps":
                print(f"  {name:28} {facts.get(name, 0):9}")


if __name__ == "__main__":
    sys.exit(main())
