"""What every client of every workload does: pick a node, say so, ask, say what came.

Law: the invoke is in the history before the request leaves, and a request is sent once. Every
choice is drawn from a generator of the client's own, made from the stage's, so what one client
draws does not depend on how long another waited. A client also asks nodes that are down now and
then, as clients do. Values are unique in a campaign, also after the harness was started again.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from chaos.history import Reply, Stage

AGENT: Final = "ops:chaos"
_DOWN_SHARE: Final = 0.1  # of requests go to any node, up or not
_TIMEOUT_S: Final = 8.0
_NOTHING: Final[Mapping[str, str]] = {}


@dataclass(kw_only=True)
class Player:
    """One client.

    Attributes:
        process: its name in the history.
        rng: of its own.
        mark: begins every value it writes.
    """

    stage: Stage
    process: str
    rng: random.Random
    mark: str
    _values: int = field(default=0)

    def fresh(self) -> str:
        """A value that nobody else writes, and none of which begins another.

        The interface takes the beginning of an id for the id, if it is the only one: an id that was
        deleted would name the next one that begins with it.
        """
        self._values += 1
        return f"{self.mark}-{self._values:06d}"

    def node(self) -> int:
        """A node, nearly always one that is meant to answer."""
        everyone = range(len(self.stage.nodes))
        if not self.stage.live or self.rng.random() < _DOWN_SHARE:
            return self.rng.choice(everyone)
        return self.rng.choice(sorted(self.stage.live))

    async def write(
        self,
        f: str,
        node: int,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] = _NOTHING,
        agent: str = AGENT,
        args: Mapping[str, object],
    ) -> Reply:
        """Ask for a change; `dot` and what names the result go into the history."""
        op = self.stage.recorder.invoke(self.process, self.stage.nodes[node], f, **args)
        reply = await self._ask(node, method, path, body, {**headers, "X-Agent-Id": agent})
        told = reply.body if isinstance(reply.body, dict) else {}
        values: dict[str, object] = {}
        if reply.outcome == "ok":
            values = {name: told[name] for name in ("id", "ids") if name in told}
            values["dot"] = dot = durability(reply).get("dot")
            actor, _, seq = str(dot or "").rpartition(":")
            if actor:
                held = self.stage.acknowledged
                held[actor] = max(held.get(actor, 0), int(seq))
            if told.get("status") == "pending":
                values = {"pending": True, "pending_id": told.get("pending_id")}
        elif isinstance(told.get("error"), str):
            values = {"error": told["error"]}
        self.stage.recorder.complete(op, reply.outcome, status=reply.status, **values)
        return reply

    async def read(
        self,
        node: int,
        path: str,
        shown: Callable[[Any], Mapping[str, object]],
        *,
        token: str | None = None,
        args: Mapping[str, object],
    ) -> tuple[Reply, Mapping[str, object]]:
        """Ask for one thing. That it is not there (404) is an answer, too.

        Args:
            node: its number.
            path: below `/api/v1`.
            shown: what of the body goes into the history.
            token: what the caller has seen; empty to be told what it sees, None for neither.
            args: of the invoke.

        Returns:
            The answer and what was shown, empty when nothing was.
        """
        headers = {"X-Agent-Id": AGENT}
        if token is not None:
            headers |= {"X-Causal-Token": token, "X-Causal-Wait-Ms": "500"}
        op = self.stage.recorder.invoke(self.process, self.stage.nodes[node], "read", **args)
        reply = await self._ask(node, "GET", path, None, headers)
        seen: Mapping[str, object] = {}
        outcome = reply.outcome
        if reply.status == _NOT_FOUND:
            outcome, seen = "ok", {"found": False}
        elif outcome == "ok":
            seen = {"found": True, **shown(reply.body)}
        self.stage.recorder.complete(op, outcome, status=reply.status, **seen)
        return reply, seen

    async def _ask(
        self, node: int, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> Reply:
        return await self.stage.client.ask(
            node, method, path, body, headers=headers, timeout_s=_TIMEOUT_S
        )


_NOT_FOUND: Final = 404


def durability(reply: Reply) -> Mapping[str, Any]:
    """What an answer says of its durability; empty when nothing."""
    told = reply.body.get("durability") if isinstance(reply.body, dict) else None
    return told if isinstance(told, dict) else {}


@dataclass(kw_only=True)
class Pace:
    """How many clients there are and how fast they go.

    Attributes:
        clients: tasks side by side.
        pace_s: mean time a client thinks between two steps, seconds.
        steps_max: of all clients together; after it they rest.
    """

    clients: int = 4
    pace_s: float = 0.15
    steps_max: int = 2000


async def play(
    stage: Stage, pace: Pace, client: Callable[[Player], Callable[[], Awaitable[None]]]
) -> None:
    """Run clients until cancelled.

    Args:
        stage: where.
        pace: how many, how fast.
        client: makes the step that a player takes again and again.
    """
    left = pace.steps_max
    # The campaign's time goes on over restarts, so marks of an aborted try never come again.
    mark = f"{stage.cycle}.{int(stage.recorder.now() * 1000):x}"

    async def one(player: Player) -> None:
        nonlocal left
        step = client(player)
        while left > 0:
            left -= 1
            await step()
            await trio.sleep(player.rng.random() * 2 * pace.pace_s)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for number in range(1, pace.clients + 1):
            player = Player(
                stage=stage,
                process=f"c{number}",
                rng=random.Random(stage.rng.getrandbits(64)),
                mark=f"{mark}.c{number}",
            )
            nursery.start_soon(one, player)
