"""Asking hooks before something happens.

Law: one request asks each hook at most once, whatever it holds. Hooks are asked in the order in
which they are declared; the first no ends it. A hook that fails lets the request pass only where
the operator said so, and the log says that it did. Who waits gets a plain future, so the waiting
needs no task of its own.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from crdt.dot import Dot, dot_text
from crdt.op import Op, Value
from crdt.pending import Pending
from node.contracts import Caller, GovernanceDraft, Reader
from node.errors import Draining, HookFailed, HookRefused, WriteError
from node.events.moments import BEFORE_RECALL, BEFORE_SEARCH
from node.hooks.items import Item, of_governance, of_member, of_ops, of_reading, of_vote
from node.hooks.running import Runner
from node.hooks.together import Together
from node.hooks.verdict import Outcome, Verdict
from node.live import Tasks
from node.settings.hook_tables import OPEN

_READING = frozenset({BEFORE_RECALL, BEFORE_SEARCH})

_ONE_BY_ONE = "sync"
"""The action of pushes of foreign peers, whose items are written each on its own."""

_Call = tuple[Runner, list[tuple[int, str]]]
"""A hook, and the places and events of the items that it is asked about."""


class Asking:
    """What the gate asks before it lets something pass.

    Args:
        runners: of the hooks that want to be asked, in their order.
        tasks: where they run.
        reader: reads the newest state.
    """

    def __init__(
        self, runners: Sequence[Runner], tasks: Tasks, reader: Callable[[], Reader]
    ) -> None:
        self._runners = [one for one in runners if one.hook.asked]
        self._tasks = tasks
        self._reader = reader
        self._together = Together(
            lambda items, caller, action: self.ask(items, caller=caller, action=action),
            tasks.spawn,
        )
        wanted = {event for one in self._runners for event in one.hook.asked}
        self.about_writes = bool(wanted - _READING)
        self.about_reads = bool(wanted & _READING)

    def writes(
        self, ops: Sequence[Op], *, caller: Caller, action: str
    ) -> asyncio.Future[None] | None:
        """Ask about changes of records; None when nobody wants to know."""
        items = of_ops(ops, action, self._reader)
        if action != _ONE_BY_ONE or self._tasks.group is None:
            return self.ask(items, caller=caller, action=action)
        wanted = any(_wanted(one, items)[1] for one in self._runners)
        return self._together.ask(items, caller, action) if wanted else None

    def votes(
        self, pending: Dot, held: Pending, *, yes: bool, reason: str, caller: Caller
    ) -> asyncio.Future[None] | None:
        """Ask about a vote; None when nobody wants to know."""
        item = of_vote(
            dot_text(pending),
            yes=yes,
            reason=reason,
            namespace=held.namespace,
            requester=held.requester,
        )
        return self.ask([item], caller=caller, action="decide")

    def governs(
        self, drafts: Sequence[GovernanceDraft], *, caller: Caller
    ) -> asyncio.Future[None] | None:
        """Ask about changes of governance; None when nobody wants to know."""
        return self.ask(of_governance(drafts), caller=caller, action="govern")

    def member(
        self, event: str, subject: str, node_id: str, *, caller: Caller
    ) -> asyncio.Future[None] | None:
        """Ask about a newcomer, or a member that leaves; None when nobody wants to know."""
        return self.ask([of_member(event, subject, node_id)], caller=caller, action="membership")

    def reads(
        self, event: str, about: Mapping[str, Any], asked: Mapping[str, Value], *, caller: Caller
    ) -> asyncio.Future[None] | None:
        """Ask about a recall or a search; None when nobody wants to know."""
        item = of_reading(event, about, asked)
        return self.ask([item], caller=caller, action=event.removeprefix("before_"))

    def ask(
        self, items: Sequence[Item], *, caller: Caller, action: str
    ) -> asyncio.Future[None] | None:
        """Ask all hooks that want to know of these items; None when none does.

        Returns:
            What resolves when all agreed, or raises `HookRefused`, `HookFailed` or `Draining`.
        """
        calls = [call for one in self._runners if (call := _wanted(one, items))[1]]
        if not calls:
            return None
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._tasks.group is None:
            future.set_exception(Draining("this node is shutting down"))
        else:
            self._tasks.spawn(self._answered(future, calls, items, caller, action))
        return future

    async def _answered(
        self,
        future: asyncio.Future[None],
        calls: Sequence[_Call],
        items: Sequence[Item],
        caller: Caller,
        action: str,
    ) -> None:
        """Ask one hook after the other; whatever comes of it goes into the future."""
        error: BaseException | None = Draining("this node is shutting down")
        try:
            for runner, places in calls:
                made = partial(_document, runner, places, items, caller, action)
                long = any(items[at].text is not None for at, _ in places)
                verdict = await runner.run(await asyncio.to_thread(made) if long else made())
                _obey(runner, verdict, items, caller)
            error = None
        except WriteError as refusal:
            error = refusal
        except Exception as failure:  # noqa: BLE001 - a defect here must not end the node
            error = HookFailed("a hook could not be asked", why=type(failure).__name__)
        finally:
            if not future.done():  # else nobody waits for it any more
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)


def _wanted(runner: Runner, items: Sequence[Item]) -> _Call:
    events = ((at, item.event_for(runner.hook)) for at, item in enumerate(items))
    return runner, [(at, event) for at, event in events if event]


def _document(
    runner: Runner,
    places: Sequence[tuple[int, str]],
    items: Sequence[Item],
    caller: Caller,
    action: str,
) -> dict[str, Any]:
    content = runner.hook.table.content
    return {
        "event": places[0][1],
        "action": action,
        "agent_id": caller.agent,
        "role": caller.role,
        "local": caller.local,
        "count": len(places),
        "items": [items[at].shown(at, event, content=content) for at, event in places],
    }


def _obey(runner: Runner, verdict: Verdict, items: Sequence[Item], caller: Caller) -> None:
    """Raise what a verdict demands.

    Raises:
        HookRefused: it said no.
        HookFailed: it said nothing, and must agree.
    """
    hook, log = runner.hook, runner.around.log
    if verdict.outcome is Outcome.OK:
        return
    if verdict.outcome is Outcome.REFUSED:
        log("hook_refused", hook=hook.name, agent=caller.agent, items=len(verdict.items))
        refused = {
            items[at].ident: reason for at, reason in verdict.items.items() if at < len(items)
        }
        raise HookRefused(hook.name, verdict.reason, items=refused)
    passes = hook.table.on_failure == OPEN
    log("hook_failed", hook=hook.name, error=verdict.why, passed=passes)
    if not passes:
        raise HookFailed(
            f"the hook {hook.name} gave no answer",
            why=verdict.why,
            fix="Nothing was written; try again, and see the log of the node",
        )
