"""Running hooks without a node: to try one, and for what happens while no node runs.

Law: the same runner, the same deadlines and the same document as in a node. What is told here
stops no command: a hook that fails is said to have failed, and that is all.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from crdt.op import Kind
from node.errors import ConfigError
from node.events.moments import BEFORE_RECALL, BEFORE_SEARCH
from node.events.names import hook_events
from node.events.webhooks.guard import SystemResolver
from node.facts import ListenerFacts
from node.hooks.running import Runner, Surroundings
from node.hooks.verdict import Verdict
from node.metrics import Metrics
from node.settings import Settings
from node.settings.hook_tables import Hook

_NOBODY: Final = "mnemesh-hooks-test"
_ID: Final = "00000000-0000-4000-8000-000000000000"
_BEFORE: Final = "before_"


def sample(event: str, *, content: bool) -> dict[str, Any]:
    """A document about something that did not happen; it says so with `test`.

    Args:
        event: a row of `node.events.names.TABLE`.
        content: whether the hook asked for content.
    """
    if not event.startswith(_BEFORE):
        return {"event": event, "test": True, "count": 1, "items": [{"index": 0, "event": event}]}
    item: dict[str, Any] = {"index": 0, "event": event, "namespace": "global"}
    if event in {BEFORE_RECALL, BEFORE_SEARCH}:
        item |= {"agent_id": _NOBODY, "characters": 4}
        shown: dict[str, Any] = {"text": "test"}
    else:
        fields = ["content", "title"]
        item |= {"collection": "memory", "id": _ID, "memory_id": _ID, "owner": _NOBODY}
        item |= {"change": Kind.CREATE.name.lower(), "fields": fields, "bytes": 8}
        shown = {"title": "test", "content": "test"}
    if content:
        item["content"] = shown
    return {
        "event": event,
        "test": True,
        "action": "test",
        "agent_id": _NOBODY,
        "role": None,
        "local": True,
        "count": 1,
        "items": [item],
    }


def runner_of(hook: Hook, settings: Settings, environ: Mapping[str, str], now_ms: int) -> Runner:
    """A hook that can be run in this process.

    Raises:
        ConfigError: its program or its secret is not there.
        node.errors.LooseModes: others can read its secret.
    """
    facts = ListenerFacts.read(settings.paths.facts)
    around = Surroundings(
        node_id=facts.node_id if facts is not None else "",
        name=settings.identity.name,
        now_ms=lambda: now_ms,
        environ=environ,
        resolver=SystemResolver(),
        metrics=Metrics(),
        log=_unheard,
    )
    return Runner(hook, around)


def _unheard(_event: str, **_facts: object) -> None:
    """There is no log here; whoever runs the hook says what came of it."""


def try_hook(
    hook: Hook, event: str, settings: Settings, environ: Mapping[str, str], now_ms: int
) -> tuple[Verdict, bytes]:
    """Run a hook once with a sample; what it said, and what it wrote to stderr.

    Raises:
        ConfigError: it cannot be run at all.
    """

    async def once() -> tuple[Verdict, bytes]:
        runner = runner_of(hook, settings, environ, now_ms)
        return await runner.run(sample(event, content=hook.table.content)), runner.complained

    return asyncio.run(once())


def tell_hooks(
    settings: Settings,
    event: str,
    about: Mapping[str, Any],
    *,
    environ: Mapping[str, str],
    now_ms: int,
    say: Callable[[str], None],
) -> None:
    """Tell the hooks that want to know of what happened beside a node.

    Args:
        settings: with the hooks.
        event: of the table of events.
        about: what is told of it.
        environ: of this process.
        now_ms: the time.
        say: told in words when a hook failed.
    """

    async def all_of_them() -> None:
        for hook in settings.hooks:
            if event not in hook.events:
                continue
            items = [{"index": 0, "event": event, **about}]
            try:
                runner = runner_of(hook, settings, environ, now_ms)
                verdict = await runner.run({"event": event, "count": 1, "items": items})
            except ConfigError as error:
                say(f"the hook {hook.name} was not told: {error}")
                continue
            if verdict.why:
                say(f"the hook {hook.name} was not told: {verdict.why}")

    if any(event in hook.events for hook in settings.hooks):
        asyncio.run(all_of_them())


def known_event(name: str) -> tuple[str, ...]:
    """The rows that a name stands for.

    Raises:
        ConfigError: it is the name of no event.
    """
    found = hook_events(name)
    if not found:
        raise ConfigError(
            f"there is no event {name!r}", fix="See docs/reference/hooks.md for all of them"
        )
    return found
