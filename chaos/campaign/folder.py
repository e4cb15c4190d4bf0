"""The folder of a campaign: plan, history, stores.

Law: seed and plan are on the disk before anything is started. A folder that holds a campaign is
gone on with only when that is asked for, by the plan it holds; what has a verdict is not played
again. One harness at a time plays in it: the kernel keeps the lock, and frees it with its process.
"""

import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from chaos.campaign.plan import BadPlanError, Plan, Turn, plan_of
from chaos.history import MalformedHistoryError, Verdict, read_file


class FolderTakenError(RuntimeError):
    """The folder holds a campaign already, none to go on with, or one that is being played."""


@dataclass(slots=True)
class CampaignFolder:
    """Where a campaign lives."""

    path: Path
    _lock: int = field(default=-1, repr=False)

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
            FolderTakenError: a campaign is there, or the folder cannot hold one.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._claim()
            if self.plan.exists():
                raise FolderTakenError(
                    f"{self.path} holds a campaign: go on with `--resume`, "
                    "or name another `--folder`"
                )
            fresh = self.plan.with_suffix(".new")
            with fresh.open("w") as file:
                json.dump(plan.as_dict(), file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(self.plan)
        except OSError as error:
            raise FolderTakenError(f"{self.path} cannot hold a campaign: {error}") from error

    def resume(self) -> Plan:
        """The plan it holds.

        Raises:
            FolderTakenError: there is none, it cannot be read, or it is being played.
        """
        try:
            plan = plan_of(json.loads(self.plan.read_text()), "of the folder")
        except (OSError, ValueError, BadPlanError) as error:
            raise FolderTakenError(f"no campaign to go on with in {self.path}: {error}") from error
        self._claim()
        return plan

    def _claim(self) -> None:
        lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise FolderTakenError(f"another harness plays in {self.path}") from error
        self._lock = lock

    def leave(self) -> None:
        """Let another harness play in it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def left(self, plan: Plan) -> list[Turn]:
        """Turns without a verdict, here or in another part, in order.

        Raises:
            FolderTakenError: the history cannot be read.
        """
        done: set[int] = set(plan.played)
        if self.history.exists():
            try:
                events = read_file(self.history)
                done |= {one.cycle for one in events if isinstance(one, Verdict)}
            except (OSError, MalformedHistoryError) as error:
                raise FolderTakenError(f"{self.history}: {error}") from error
        return [turn for turn in plan.cycles() if turn.number not in done]
