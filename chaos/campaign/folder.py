"""The folder of a campaign: plan, history, stores.

Law: seed and plan are on the disk before anything is started. A folder that holds a campaign is
gone on with only when that is asked for, by the plan it holds; what has a verdict is not played
again.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from chaos.campaign.plan import BadPlanError, Plan, Turn, plan_of
from chaos.history import Verdict, read_file


class FolderTakenError(RuntimeError):
    """The folder holds a campaign already, or none to go on with."""


@dataclass(frozen=True, slots=True)
class CampaignFolder:
    """Where a campaign lives."""

    path: Path

    @property
    def plan(self) -> Path:
        """What is to be played, as JSON."""
        return self.path / "plan.json"

    @property
    def history(self) -> Path:
        """All that happened."""
        return self.path / "history.jsonl"

    @property
    def mesh(self) -> Path:
        """Stores, keys and logs of the nodes."""
        return self.path / "mesh"

    def begin(self, plan: Plan) -> None:
        """Write the plan down.

        Raises:
            FolderTakenError: a campaign is there.
        """
        if self.plan.exists():
            raise FolderTakenError(
                f"{self.path} holds a campaign: go on with `--resume`, or name another `--folder`"
            )
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self.plan.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump(plan.as_dict(), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self.plan)

    def resume(self) -> Plan:
        """The plan it holds.

        Raises:
            FolderTakenError: there is none, or it cannot be read.
        """
        try:
            return plan_of(json.loads(self.plan.read_text()), "of the folder")
        except (OSError, ValueError, BadPlanError) as error:
            raise FolderTakenError(f"no campaign to go on with in {self.path}: {error}") from error

    def left(self, plan: Plan) -> list[Turn]:
        """Turns without a verdict, in order."""
        done: set[int] = set()
        if self.history.exists():
            done = {one.cycle for one in read_file(self.history) if isinstance(one, Verdict)}
        return [turn for turn in plan.cycles() if turn.number not in done]
