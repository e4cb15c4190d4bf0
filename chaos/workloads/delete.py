"""Deletion: clients create, edit, delete and create again, under ids that all of them know.

Law: each creation of an id marks its birth in the metadata, which no edit touches. Half of the
deletes are conditional and say which birth they saw; an id is created again only by who deleted
it, on the node that did. Who deleted something looks for it with the token of the delete.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from chaos.history import Stage
from chaos.workloads.final import write_final
from chaos.workloads.play import Pace, Player, durability, play

_CREATE_SHARE: Final = 0.4
_EDIT_SHARE: Final = 0.3
_AGAIN_SHARE: Final = 0.3
_HALF: Final = 0.5


@dataclass(kw_only=True)
class DeleteWorkload:
    """See the module."""

    name: str = "delete"
    pace: Pace = field(default_factory=Pace)

    async def run(self, stage: Stage) -> None:
        """Create, edit and delete until cancelled."""
        known: list[str] = []

        def client(player: Player) -> Callable[[], Awaitable[None]]:
            async def step() -> None:
                draw = player.rng.random()
                if not known or draw < _CREATE_SHARE:
                    ident = f"d-{player.fresh()}"
                    if await _create(player, ident, player.node()):
                        known.append(ident)
                elif draw < _CREATE_SHARE + _EDIT_SHARE:
                    await _edit(player, player.rng.choice(known))
                else:
                    await _delete(player, player.rng.choice(known))

            return step

        await play(stage, self.pace, client)

    async def final(self, stage: Stage) -> None:
        """Read all nodes."""
        await write_final(stage)


def _path(ident: str) -> str:
    return f"/memories/{quote(ident, safe='')}"


async def _create(player: Player, ident: str, node: int) -> bool:
    birth = player.fresh()
    body = {
        "id": ident,
        "title": f"short lived {ident}",
        "content": birth,
        "metadata": {"birth": birth},
        "namespace": player.stage.namespace,
    }
    args = {"id": ident, "birth": birth, "value": birth}
    reply = await player.write("create", node, "POST", "/memories", body, args=args)
    return reply.outcome == "ok"


async def _edit(player: Player, ident: str) -> None:
    value = player.fresh()
    args = {"id": ident, "value": value}
    body = {"content": value}
    await player.write("edit", player.node(), "PUT", _path(ident), body, args=args)


async def _delete(player: Player, ident: str) -> None:
    node, saw, headers = player.node(), None, {}
    if player.rng.random() < _HALF:
        reply, seen = await player.read(node, _path(ident), _shown, args={"id": ident})
        if "birth" not in seen:
            return
        saw, headers = str(seen["birth"]), {"If-Match": reply.headers.get("etag", "")}
    args = {"id": ident, "saw": saw}
    done = await player.write("delete", node, "DELETE", _path(ident), headers=headers, args=args)
    if done.outcome != "ok":
        return
    if saw is not None:
        token = str(durability(done).get("token") or "")
        after = {"id": ident, "after": [saw]}
        await player.read(player.node(), _path(ident), _shown, token=token, args=after)
    if player.rng.random() < _AGAIN_SHARE:
        await _create(player, ident, node)


def _shown(body: Any) -> dict[str, object]:
    memory = body["memory"]
    return {"birth": memory["metadata"].get("birth"), "content": memory["content"]}
