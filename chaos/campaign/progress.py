"""What is told while a campaign runs.

Law: a person sees a bar and what went wrong; a log sees a line a cycle. What failed is told with
the command that plays it again.
"""

from collections import Counter
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from chaos.campaign.plan import Plan, Turn
from chaos.campaign.runner import Outcome
from chaos.catalogue import CATALOGUE

_COLOURS: Final = {"pass": "green", "fail": "bold red", "void": "yellow", "not_run": "dim"}


class CycleProgress:
    """A bar for people, a line a cycle for logs."""

    def __init__(self, err: Console, plan: Plan, total: int) -> None:
        self._err = err
        self._shape = f"--nodes {plan.nodes} --quorum-writes {plan.quorum_writes}"
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[verdicts]}"),
            TimeRemainingColumn(),
            console=err,
            disable=not err.is_terminal,
        )
        self._task = self._bar.add_task("the mesh comes up", total=total, verdicts="")

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Take it away."""
        self._bar.stop()

    def __call__(self, turn: Turn, outcome: Outcome, counts: Counter[str]) -> None:
        """Tell of a cycle that is over, and count its verdict."""
        counts[outcome.verdict] += 1
        name = f"{turn.code} {CATALOGUE[turn.code].name}"
        verdicts = " ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))
        self._bar.update(self._task, advance=1, description=name[:44], verdicts=verdicts)
        if outcome.verdict == "pass" and self._err.is_terminal:
            return
        colour = _COLOURS[outcome.verdict]
        level = f" level after {outcome.converged_s:.2f} s" if outcome.converged_s else ""
        writes = f"{outcome.acknowledged}/{outcome.attempted}"
        played = f"{name}, {outcome.workload or turn.workload}: {writes}{level}"
        self._err.print(f"[{colour}]{outcome.verdict:8}[/]{played}", soft_wrap=True)
        if outcome.verdict in ("fail", "void"):
            self._err.print(f"         {outcome.why}", markup=False)
            again = f"--class {turn.code} --cycles 1 --seed {turn.seed} {self._shape}"
            self._err.print(f"         mnemesh chaos run {again}", soft_wrap=True)
