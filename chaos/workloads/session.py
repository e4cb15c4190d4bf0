"""Sessions: each client has a register of its own, moves from node to node, and carries its token.

Law: a token is opaque here, except that two in full (`<actor>.<number>` joined by `~`) are joined
as the documentation of the interface says; where one is not in full, the newer is kept, and with
it only what it is known to cover. What a token covers goes into the history as `after`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from chaos.history import Stage
from chaos.workloads.final import write_final
from chaos.workloads.play import Pace, Player, durability, play
from chaos.workloads.register import create, look, replace

_BRIEF: Final = "2."
_NONE: Final = "-"
_OTHER_SHARE: Final = 0.3
_WRITE_SHARE: Final = 0.6


@dataclass(slots=True)
class Seen:
    """What a session knows: a token, and the last value of each register that it covers."""

    token: str = ""
    values: dict[str, str] = field(default_factory=dict)

    def wrote(self, token: str, register: str, value: str) -> None:
        """Add an acknowledged write."""
        joined = join_tokens(self.token, token)
        if joined is None:
            self.token, self.values = token, {register: value}
        else:
            self.token = joined
            self.values[register] = value

    def read(self, token: str, register: str, value: str) -> None:
        """A read that covered all that was known gave a token that covers more."""
        self.token = token
        self.values[register] = value


@dataclass(kw_only=True)
class SessionWorkload:
    """See the module."""

    name: str = "session"
    pace: Pace = field(default_factory=Pace)

    async def run(self, stage: Stage) -> None:
        """Read and write until cancelled."""
        registers: list[str] = []

        def client(player: Player) -> Callable[[], Awaitable[None]]:
            seen = Seen()
            own: list[str] = []

            async def step() -> None:
                if not own:
                    register, reply = await create(player)
                    if reply.outcome == "ok":
                        own.append(register)
                        registers.append(register)
                        token = str(durability(reply).get("token") or "")
                        seen.wrote(token, register, register.removeprefix("r-"))
                    return
                other = player.rng.random() < _OTHER_SHARE
                register = player.rng.choice(registers) if other else own[0]
                await _visit(player, seen, register, writes=register == own[0])

            return step

        await play(stage, self.pace, client)

    async def final(self, stage: Stage) -> None:
        """Read all nodes."""
        await write_final(stage)


async def _visit(player: Player, seen: Seen, register: str, *, writes: bool) -> None:
    node = player.node()
    known = seen.values.get(register)
    after = () if known is None else (known,)
    reply, shown = await look(player, register, node, token=seen.token, after=after)
    token = reply.headers.get("x-causal-token")
    if "content" not in shown or not token or reply.outcome != "ok":
        return
    seen.read(token, register, str(shown["content"]))
    if not writes or player.rng.random() > _WRITE_SHARE:
        return
    written = await replace(player, register, node, reply)
    if written is not None and written.outcome == "ok":
        value = str(written.body["memory"]["content"])
        seen.wrote(str(durability(written).get("token") or ""), register, value)


def join_tokens(first: str, second: str) -> str | None:
    """A token that covers what both cover; None where that cannot be said."""
    if not _said(first) or not _said(second):
        return first if _said(first) else second
    if first.startswith(_BRIEF) or second.startswith(_BRIEF):
        return None
    joined: dict[str, int] = {}
    for part in (*first.split("~"), *second.split("~")):
        actor, _, number = part.rpartition(".")
        joined[actor] = max(joined.get(actor, 0), int(number))
    return "~".join(f"{actor}.{number}" for actor, number in joined.items())


def _said(token: str) -> bool:
    return token not in ("", _NONE)
