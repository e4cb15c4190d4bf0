"""Registers: clients read a value and write another in its place, conditionally.

Law: a write says with `If-Match` which state it replaces, and the history says which values those
were (`saw`). So what hid what is known exactly, and whatever else lives at the end is concurrent. A
register is created by one client, so it has one birth.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from chaos.history import Reply, Stage
from chaos.workloads.final import siblings, write_final
from chaos.workloads.play import Pace, Player, play

REGISTERS_MAX: Final = 6
_WRITE_SHARE: Final = 0.7


@dataclass(kw_only=True)
class RegisterWorkload:
    """See the module."""

    name: str = "register"
    pace: Pace = field(default_factory=Pace)

    async def run(self, stage: Stage) -> None:
        """Create, read and write until cancelled."""
        registers: list[str] = []

        def client(player: Player) -> Callable[[], Awaitable[None]]:
            async def step() -> None:
                if len(registers) < REGISTERS_MAX and player.rng.random() < 1 / (
                    1 + len(registers)
                ):
                    register, reply = await create(player)
                    if reply.outcome == "ok":
                        registers.append(register)
                    return
                if not registers:
                    return
                register, node = player.rng.choice(registers), player.node()
                reply, seen = await look(player, register, node)
                if "content" in seen and player.rng.random() < _WRITE_SHARE:
                    await replace(player, register, node, reply)

            return step

        await play(stage, self.pace, client)

    async def final(self, stage: Stage) -> None:
        """Read all nodes."""
        await write_final(stage)


async def create(player: Player, node: int | None = None) -> tuple[str, Reply]:
    """Create a register; returns its id and the answer."""
    value = player.fresh()
    register = f"r-{value}"
    body = {
        "id": register,
        "title": f"register {register}",
        "content": value,
        "namespace": player.stage.namespace,
    }
    reply = await player.write(
        "create",
        player.node() if node is None else node,
        "POST",
        "/memories",
        body,
        args={"register": register, "value": value},
    )
    return register, reply


async def look(
    player: Player,
    register: str,
    node: int,
    *,
    token: str | None = None,
    after: tuple[str, ...] = (),
) -> tuple[Reply, Mapping[str, object]]:
    """Read a register; what was shown is `content`."""
    args: dict[str, object] = {"register": register}
    if token is not None:
        args["after"] = list(after)
    return await player.read(
        node, f"/memories/{quote(register, safe='')}", _shown, token=token, args=args
    )


async def replace(player: Player, register: str, node: int, read: Reply) -> Reply | None:
    """Write a fresh value in the place of all that a read on that node showed.

    Several values may live, of which the read showed one. The others are asked for before the
    write, which is refused (412) if anything changed since the read. None when they are not told.
    """
    path = f"/memories/{quote(register, safe='')}"
    saw = [str(read.body["memory"]["content"])]
    if read.body["memory"].get("conflicts"):
        reply, seen = await player.read(
            node, f"{path}/conflicts", _siblings, args={"register": register}
        )
        if "siblings" not in seen:
            return None
        saw.extend(siblings(reply.body))
    value = player.fresh()
    return await player.write(
        "write",
        node,
        "PUT",
        path,
        {"content": value},
        headers={"If-Match": read.headers.get("etag", "")},
        args={"register": register, "value": value, "saw": saw if len(saw) > 1 else saw[0]},
    )


def _siblings(body: Any) -> dict[str, object]:
    return {"siblings": siblings(body)}


def _shown(body: Any) -> dict[str, object]:
    return {"content": body["memory"]["content"], "version": body["memory"]["version"]}
