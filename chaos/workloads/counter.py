"""The counter: its sum is the number of units that were added to it.

Law: agents have no route that increments, so this counts what they do have and what merges without
losing any: a link with a relation of its own (a record each), or a tag with a name of its own (an
element of a set within one record, written conditionally so that it takes none away). Each unit is
added once, and a counter takes fewer tags than a memory may have.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from chaos.history import Stage
from chaos.workloads.final import write_final
from chaos.workloads.play import Pace, Player, play

_COUNTERS_MAX: Final = 4
_TAGS_MAX: Final = 40
_READ_SHARE: Final = 0.2
_TAG_SHARE: Final = 0.3


@dataclass(kw_only=True)
class CounterWorkload:
    """See the module."""

    name: str = "counter"
    pace: Pace = field(default_factory=Pace)
    _counters: list[str] = field(default_factory=list)

    async def run(self, stage: Stage) -> None:
        """Create, increment and read until cancelled."""
        self._counters.clear()
        settled: list[str] = []
        tags: dict[str, int] = {}

        def client(player: Player) -> Callable[[], Awaitable[None]]:
            async def step() -> None:
                if len(settled) < _COUNTERS_MAX and player.rng.random() < 1 / (1 + len(settled)):
                    await self._create(player, settled)
                    return
                if len(settled) < 2:
                    return
                counter, draw = player.rng.choice(settled), player.rng.random()
                if draw < _READ_SHARE:
                    await _look(player, counter)
                elif draw < _READ_SHARE + _TAG_SHARE and tags.get(counter, 0) < _TAGS_MAX:
                    tags[counter] = tags.get(counter, 0) + 1
                    await _add_tag(player, counter)
                else:
                    await _add_link(player, counter, settled)

            return step

        await play(stage, self.pace, client)

    async def _create(self, player: Player, settled: list[str]) -> None:
        counter = f"n-{player.fresh()}"
        body = {
            "id": counter,
            "title": f"counter {counter}",
            "content": "what is linked and tagged here counts",
            "metadata": {"counter": True},
            "namespace": player.stage.namespace,
        }
        self._counters.append(counter)
        args = {"counter": counter}
        reply = await player.write("create", player.node(), "POST", "/memories", body, args=args)
        if reply.outcome == "ok":
            settled.append(counter)

    async def final(self, stage: Stage) -> None:
        """Read all nodes, and the links of all counters."""
        await write_final(stage, links_of=self._counters)


async def _add_link(player: Player, counter: str, settled: list[str]) -> None:
    unit = _unit(player)
    target = player.rng.choice([each for each in settled if each != counter])
    body = {"source_id": counter, "target_id": target, "relation": unit}
    args = {"counter": counter, "unit": unit, "way": "link"}
    await player.write("increment", player.node(), "POST", "/links", body, args=args)


async def _add_tag(player: Player, counter: str) -> None:
    node, path, unit = player.node(), f"/memories/{quote(counter, safe='')}", _unit(player)
    reply, seen = await player.read(
        node, path, lambda body: {"units": body["memory"]["tags"]}, args={"counter": counter}
    )
    if "units" not in seen:
        return
    tags = [*reply.body["memory"]["tags"], unit]
    await player.write(
        "increment",
        node,
        "PUT",
        path,
        {"tags": tags},
        headers={"If-Match": reply.headers.get("etag", "")},
        args={"counter": counter, "unit": unit, "way": "tag"},
    )


async def _look(player: Player, counter: str) -> None:
    def shown(body: Any) -> dict[str, object]:
        links = [link["relation"] for link in body["links"] if link["source_id"] == counter]
        return {"units": links}

    path = f"/links/{quote(counter, safe='')}"
    await player.read(player.node(), path, shown, args={"counter": counter})


def _unit(player: Player) -> str:
    """A name that can be a relation."""
    return "u_" + player.fresh().replace(".", "_").replace("-", "_")
