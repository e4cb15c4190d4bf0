"""Questions that come one by one and are asked at once: pushes of foreign peers.

Law: a push of a thousand items is written item by item, each on its own; their hooks run once
for all that begin in the same turn of the loop. A hook that refuses some of them by their places
refuses those; the others are asked about once more, so that no hook is left out.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from node.contracts import Caller
from node.errors import Draining, HookRefused, WriteError
from node.hooks.items import Item

Ask = Callable[[Sequence[Item], Caller, str], "asyncio.Future[None] | None"]


_SEVERAL: Final = Caller(agent="")
"""Who asks, when it is not one and the same; each item says whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _One:
    """One of the questions."""

    items: Sequence[Item]
    caller: Caller
    answer: "asyncio.Future[None]"

    def refused_by(self, refusal: HookRefused) -> str | None:
        """Why it is refused; None when others are."""
        if not refusal.items:
            return refusal.reason
        return next((r for i in self.items if (r := refusal.items.get(i.ident))), None)


class Together:
    """Collects questions of one turn of the loop.

    Args:
        ask: asks about many items.
        spawn: runs a task that the node owns, while it serves.
    """

    def __init__(self, ask: Ask, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._ask = ask
        self._spawn = spawn
        self._waiting: dict[str, list[_One]] = {}

    def ask(self, items: Sequence[Item], caller: Caller, action: str) -> "asyncio.Future[None]":
        """Have items asked about with others of the same action."""
        loop = asyncio.get_running_loop()
        named = [replace(one, about={**one.about, "agent_id": caller.agent}) for one in items]
        one = _One(items=named, caller=caller, answer=loop.create_future())
        if not self._waiting:
            loop.call_soon(self._send)
        self._waiting.setdefault(action, []).append(one)
        return one.answer

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for action, ones in waiting.items():
            self._spawn(self._settle(ones, action))

    async def _settle(self, ones: list[_One], action: str) -> None:
        """Ask until every question has its answer."""
        try:
            while ones:
                ones = await self._round(ones, action)
        finally:
            for one in ones:
                _end(one.answer, Draining("this node is shutting down"))

    async def _round(self, ones: list[_One], action: str) -> list[_One]:
        """Ask about all of them; returns those that are still to be asked about."""
        callers = {one.caller for one in ones}
        caller = callers.pop() if len(callers) == 1 else _SEVERAL
        asked = self._ask([item for one in ones for item in one.items], caller, action)
        try:
            if asked is not None:
                await asked
        except HookRefused as refusal:
            return _refused(ones, refusal)
        except WriteError as error:
            for one in ones:
                _end(one.answer, error)
            return []
        for one in ones:
            _end(one.answer, None)
        return []


def _refused(ones: list[_One], refusal: HookRefused) -> list[_One]:
    """Tell those that are refused; returns the others, or none when none of them is meant."""
    left = []
    for one in ones:
        reason = one.refused_by(refusal)
        if reason is None:
            left.append(one)
        else:
            _end(one.answer, HookRefused(refusal.hook, reason))
    if len(left) == len(ones):  # it names places that are none
        for one in ones:
            _end(one.answer, HookRefused(refusal.hook, refusal.reason))
        return []
    return left


def _end(answer: "asyncio.Future[None]", error: Exception | None) -> None:
    if answer.done():  # nobody waits for it any more
        return
    if error is None:
        answer.set_result(None)
    else:
        answer.set_exception(error)
