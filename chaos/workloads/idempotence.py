"""Retries: one request is sent again and again, to this node and that, with its key.

Law: the only workload that retries, and every try is an operation of its own in the history. Ids
are drawn by the node, so two effects would be two records. After an acknowledgement the same
request is sent once or twice more, and now and then another body under the same key, to the same
node.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from chaos.history import Reply, Stage
from chaos.workloads.final import write_final
from chaos.workloads.play import AGENT, Pace, Player, play
from chaos.workloads.set import element, placed

_TRIES_MAX: Final = 5
_MANY_SHARE: Final = 0.3
_OTHER_SHARE: Final = 0.2
_TWICE_SHARE: Final = 0.3


@dataclass(kw_only=True)
class IdempotenceWorkload:
    """See the module."""

    name: str = "idempotence"
    pace: Pace = field(default_factory=lambda: Pace(pace_s=0.25))

    async def run(self, stage: Stage) -> None:
        """Send requests until cancelled."""

        def client(player: Player) -> Callable[[], Awaitable[None]]:
            async def step() -> None:
                await _request(player)

            return step

        await play(stage, self.pace, client)

    async def final(self, stage: Stage) -> None:
        """Read all nodes."""
        await write_final(stage)


async def _request(player: Player) -> None:
    key = f"k-{player.fresh()}"
    fields: dict[str, Any] | None = element(player)
    many: list[dict[str, Any]] | None = None
    if player.rng.random() < _MANY_SHARE:
        many, fields = [element(player) for _ in range(player.rng.randint(2, 4))], None
    if player.rng.random() < _TWICE_SHARE:  # two tries at the same moment, on any two nodes
        async with trio.open_nursery() as nursery:
            for node in (player.node(), player.node()):
                nursery.start_soon(_try, player, node, key, fields, many)
    answered: int | None = None
    for _ in range(_TRIES_MAX):
        node = player.node()
        reply = await _try(player, node, key, fields, many)
        if reply.outcome == "ok":
            answered = node
            break
    if answered is None:
        return
    await _try(player, player.node(), key, fields, many)
    if player.rng.random() < _OTHER_SHARE:
        await _try(player, answered, key, element(player), None)


async def _try(
    player: Player,
    node: int,
    key: str,
    fields: Mapping[str, Any] | None,
    many: list[dict[str, Any]] | None,
) -> Reply:
    args: dict[str, object] = {"key": key}
    if many is not None:
        args["many"] = many
        body: object = [placed(player, each) for each in many]
        path = "/memories/bulk"
    else:
        args["fields"] = fields
        body, path = placed(player, fields or {}), "/memories"
    headers = {"Idempotency-Key": key}
    return await player.write(
        "add", node, "POST", path, body, headers=headers, agent=AGENT, args=args
    )
