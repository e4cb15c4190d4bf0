"""The set: clients add elements, one or several a request, and look at some of them.

Law: half of the ids are the client's own and half are drawn by the node; what identifies an element
is its content. Every field that a user can set is set on some of them, and is looked for.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from chaos.history import Stage
from chaos.workloads.final import write_final
from chaos.workloads.play import Pace, Player, play

_MANY_SHARE: Final = 0.15
_READ_SHARE: Final = 0.25
_MANY_MAX: Final = 6


@dataclass(kw_only=True)
class SetWorkload:
    """See the module."""

    name: str = "set"
    pace: Pace = field(default_factory=Pace)

    async def run(self, stage: Stage) -> None:
        """Add and look until cancelled."""
        known: list[str] = []  # ids that were acknowledged, to any client

        def client(player: Player) -> Callable[[], Awaitable[None]]:
            async def step() -> None:
                draw = player.rng.random()
                if known and draw < _READ_SHARE:
                    await _look(player, player.rng.choice(known))
                elif draw < _READ_SHARE + _MANY_SHARE:
                    await _add_many(player, known)
                else:
                    await _add(player, known)

            return step

        await play(stage, self.pace, client)

    async def final(self, stage: Stage) -> None:
        """Read all nodes."""
        await write_final(stage)


def element(player: Player) -> dict[str, Any]:
    """The fields of a new element."""
    value = player.fresh()
    fields: dict[str, Any] = {"title": f"element {value}", "content": value}
    rng = player.rng
    if rng.random() < 0.5:
        fields["tags"] = sorted(rng.sample(("red", "grün", "блу", "four"), rng.randint(1, 3)))
    if rng.random() < 0.5:
        fields["priority"] = rng.randint(1, 10)
        fields["metadata"] = {"from": player.process, "draw": rng.randint(0, 999)}
    return fields


def placed(player: Player, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The body that creates it in the namespace of the cycle."""
    return {"namespace": player.stage.namespace, **fields}


async def _add(player: Player, known: list[str]) -> None:
    fields = element(player)
    if player.rng.random() < 0.5:
        fields["id"] = f"s-{fields['content']}"
    reply = await player.write(
        "add", player.node(), "POST", "/memories", placed(player, fields), args={"fields": fields}
    )
    if reply.outcome == "ok":
        known.append(str(reply.body["id"]))


async def _add_many(player: Player, known: list[str]) -> None:
    many = [element(player) for _ in range(player.rng.randint(2, _MANY_MAX))]
    body = [placed(player, fields) for fields in many]
    reply = await player.write(
        "add", player.node(), "POST", "/memories/bulk", body, args={"many": many}
    )
    if reply.outcome == "ok":
        known.extend(map(str, reply.body["ids"]))


async def _look(player: Player, ident: str) -> None:
    await player.read(
        player.node(),
        f"/memories/{quote(ident, safe='')}",
        lambda body: {"content": body["memory"]["content"]},
        args={"id": ident},
    )
