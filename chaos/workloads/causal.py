"""Causality: clients read a record and write an effect of it, and others look for what came before.

Law: an effect carries, in its metadata, its cause and the causal token of the read that found it.
That token covers the cause and the causes of the cause, for it was asked with theirs. Whoever
reads an effect anywhere may take the token to any node and ask for any of its causes.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from chaos.history import Reply, Stage
from chaos.workloads.final import write_final
from chaos.workloads.play import Pace, Player, play

_ROOT_SHARE: Final = 0.2
_FOLLOW_SHARE: Final = 0.5


@dataclass(kw_only=True)
class CausalWorkload:
    """See the module."""

    name: str = "causal"
    pace: Pace = field(default_factory=Pace)

    async def run(self, stage: Stage) -> None:
        """Write causes and effects, and follow them back, until cancelled."""
        of: dict[str, str | None] = {}  # the cause of each record that was acknowledged

        def client(player: Player) -> Callable[[], Awaitable[None]]:
            async def step() -> None:
                draw = player.rng.random()
                if not of or draw < _ROOT_SHARE:
                    await _add(player, of, player.node(), None, "")
                elif draw < _ROOT_SHARE + _FOLLOW_SHARE:
                    await _follow(player, of)
                else:
                    await _look_back(player, of)

            return step

        await play(stage, self.pace, client)

    async def final(self, stage: Stage) -> None:
        """Read all nodes."""
        await write_final(stage)


async def _add(
    player: Player, of: dict[str, str | None], node: int, cause: str | None, token: str
) -> None:
    value = player.fresh()
    ident = f"e-{value}"
    metadata = {} if cause is None else {"of": cause, "token": token}
    fields = {"id": ident, "title": f"event {value}", "content": value, "metadata": metadata}
    body = {**fields, "namespace": player.stage.namespace}
    # The history needs the cause, not the token.
    told = {**fields, "metadata": {} if cause is None else {"of": cause}}
    reply = await player.write("add", node, "POST", "/memories", body, args={"fields": told})
    if reply.outcome == "ok":
        of[ident] = cause


async def _read(
    player: Player, ident: str, node: int, token: str, after: list[str]
) -> tuple[Reply, Mapping[str, object]]:
    args = {"id": ident, "after": after}
    path = f"/memories/{quote(ident, safe='')}"
    return await player.read(node, path, _shown, token=token, args=args)


async def _follow(player: Player, of: dict[str, str | None]) -> None:
    """Read a record, with the token of what it came from, and write an effect of it there."""
    cause, node = player.rng.choice(list(of)), player.node()
    reply, seen = await _read(player, cause, node, "", [])
    if not seen.get("found"):
        return
    token = str(reply.body["memory"]["metadata"].get("token") or "")
    if token:  # so that what this read gives back covers the causes of the cause as well
        reply, seen = await _read(player, cause, node, token, ancestors(of, cause))
    given = reply.headers.get("x-causal-token")
    if given and seen.get("found"):
        await _add(player, of, node, cause, given)


async def _look_back(player: Player, of: dict[str, str | None]) -> None:
    """Read an effect on one node, and one of its causes on another."""
    effect = player.rng.choice(list(of))
    reply, seen = await _read(player, effect, player.node(), "", [])
    causes = ancestors(of, effect)
    if not seen.get("found") or not causes:
        return
    token = str(reply.body["memory"]["metadata"]["token"])
    await _read(player, player.rng.choice(causes), player.node(), token, causes)


def ancestors(of: Mapping[str, str | None], ident: str) -> list[str]:
    """The causes of a record, nearest first."""
    found: list[str] = []
    at = of.get(ident)
    while at is not None:
        found.append(at)
        at = of.get(at)
    return found


def _shown(body: Any) -> dict[str, object]:
    return {"of": body["memory"]["metadata"].get("of")}
