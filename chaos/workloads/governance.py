"""Governance: an administrator tightens and loosens policies, others write below them.

Law: policies are set only on namespaces below the cycle's own. One is denied once and stays so, one
goes back and forth between anybody and nobody, one also asks for approval, which nobody gives. Who
sets a policy reads the versions of that node before, and the history says which it saw. The mesh
must name `ops:chaos` in `[admin] agent_ids`, else setting is refused, which is no anomaly.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from chaos.history import Stage
from chaos.workloads.final import write_final
from chaos.workloads.play import Pace, Player, play

WRITER: Final = "ai:chaos"
SPACES: Final = {
    "once": ("deny",),
    "doors": ("any", "deny"),
    "held": ("any", "approve", "deny"),
}
_POLICY_SHARE: Final = 0.12
_FIRST_STEPS: Final = 10  # writes of each client before the first policy


@dataclass(kw_only=True)
class GovernanceWorkload:
    """See the module."""

    name: str = "governance"
    pace: Pace = field(default_factory=Pace)

    async def run(self, stage: Stage) -> None:
        """Set policies and write below them until cancelled."""

        def client(player: Player) -> Callable[[], Awaitable[None]]:
            steps = 0

            async def step() -> None:
                nonlocal steps
                steps += 1
                space = player.rng.choice(sorted(SPACES))
                if steps > _FIRST_STEPS and player.rng.random() < _POLICY_SHARE:
                    await _set(player, space, player.rng.choice(SPACES[space]))
                else:
                    await _add(player, space)

            return step

        await play(stage, self.pace, client)

    async def final(self, stage: Stage) -> None:
        """Read all nodes, with their policies."""
        await write_final(stage, spaces=[_full(stage, space) for space in sorted(SPACES)])


def _full(stage: Stage, space: str) -> str:
    return f"{stage.namespace}/{space}"


async def _set(player: Player, space: str, level: str) -> None:
    node, full = player.node(), _full(player.stage, space)
    _, seen = await player.read(
        node, f"/namespaces?namespace={quote(full, safe='')}", _versions, args={"space": full}
    )
    if not seen.get("found"):
        return
    body = {"namespace": full, "governance": {"write": level}}
    args = {"space": full, "write": level, "saw": seen["dots"]}
    await player.write("policy", node, "POST", "/namespaces", body, args=args)


def _versions(body: Any) -> dict[str, object]:
    return {"dots": [one.get("dot") for one in body.get("standards") or []]}


async def _add(player: Player, space: str) -> None:
    value = player.fresh()
    fields = {
        "id": f"g-{value}",
        "title": f"ruled {value}",
        "content": value,
        "namespace": _full(player.stage, space),
    }
    await player.write(
        "add", player.node(), "POST", "/memories", fields, agent=WRITER, args={"fields": fields}
    )
