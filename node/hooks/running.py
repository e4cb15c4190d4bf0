"""One hook that can be run: its line, its deadline, and what becomes of a failure.

Law: waiting for a turn counts as running, so a request waits for a hook no longer than it was
promised. A run ends in a verdict, whatever it met: it runs among the tasks of the node, which an
exception would end. A failure is told and counted; whether it refuses is what the operator said.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from node.events.webhooks.guard import Resolver
from node.events.webhooks.sending import SIGNATURE, Try, send, signature
from node.hooks.command import CommandFailed, run
from node.hooks.verdict import Outcome, Verdict, of_exit, of_status
from node.memory.times import format_ms
from node.metrics import Metrics
from node.settings.hook_tables import Hook
from node.settings.starting import check_hook, hook_secret

_ANSWER_BYTES_MAX: Final = 64 * 1024
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every hook of a node needs.

    Attributes:
        node_id: of this node, in hex.
        name: of this node.
        now_ms: wall clock, milliseconds since the epoch.
        environ: of this process.
        resolver: finds the addresses of webhooks.
        metrics: counts runs.
        log: writes one event of `node.logs.EVENTS`.
    """

    node_id: str
    name: str
    now_ms: Callable[[], int]
    environ: Mapping[str, str]
    resolver: Resolver
    metrics: Metrics
    log: Callable[..., None]


class Runner:
    """Runs one hook.

    Args:
        hook: as declared.
        around: what it needs.

    Raises:
        ConfigError: its program or its secret is not there.
        node.errors.LooseModes: others can read its secret.
    """

    def __init__(self, hook: Hook, around: Surroundings) -> None:
        self.hook = hook
        self.around = around
        self._room = asyncio.Semaphore(hook.table.at_once_max)
        check_hook(hook)
        self._secret = hook_secret(hook)
        self.complained = b""

    async def run(self, document: Mapping[str, Any]) -> Verdict:
        """Run it once; every expected failure is a verdict.

        Args:
            document: what it is told, beside what every run is told.
        """
        around, table, began = self.around, self.hook.table, asyncio.get_running_loop().time()
        try:
            body = self._body(document)
            async with asyncio.timeout(table.timeout_ms / 1000):
                async with self._room:
                    verdict = await self._once(str(document.get("event", "")), body)
        except TimeoutError:
            verdict = Verdict(
                outcome=Outcome.TIMEOUT, why=f"it gave no answer within {table.timeout_ms} ms"
            )
        except Exception as error:  # noqa: BLE001 - what one hook says or is told ends no node
            verdict = Verdict(outcome=Outcome.FAILED, why=f"a defect: {type(error).__name__}")
        seconds = asyncio.get_running_loop().time() - began
        around.metrics.histogram("hook_run_seconds", self.hook.name).observe(seconds)
        around.metrics.counter("hook_runs_total", self.hook.name, verdict.outcome.value).inc()
        return verdict

    def _body(self, document: Mapping[str, Any]) -> bytes:
        around = self.around
        return orjson.dumps(
            {
                "hook": self.hook.name,
                "node": {"node_id": around.node_id, "name": around.name},
                "at": format_ms(around.now_ms()),
                **document,
            },
            default=repr,
        )

    async def _once(self, event: str, body: bytes) -> Verdict:
        table = self.hook.table
        seconds = table.timeout_ms / 1000
        if table.url is not None:
            headers = {"X-Mnemesh-Event": event, "X-Mnemesh-Hook": self.hook.name}
            if self._secret:
                headers[SIGNATURE] = signature(self._secret, body)
            wanted = Try(
                url=table.url,
                body=body,
                headers=headers,
                loopback=table.loopback,
                seconds=seconds,
                answer_bytes_max=_ANSWER_BYTES_MAX,
            )
            outcome = await send(wanted, self.around.resolver)
            return of_status(outcome.status, outcome.said, outcome.why)
        try:
            ran = await run(
                table.command, body, environment=self._environment(event), seconds=seconds
            )
        except CommandFailed as error:
            return Verdict(outcome=Outcome.FAILED, why=str(error))
        self.complained = ran.complained
        return of_exit(ran.code, ran.said)

    def _environment(self, event: str) -> dict[str, str]:
        """What a command gets: enough to find programs, and nothing of the node's secrets."""
        environ = self.around.environ
        names = (*_PASSED_ON, *self.hook.table.environment)
        kept = {name: environ[name] for name in names if name in environ}
        return {
            "PATH": _PATH,
            **kept,
            "MNEMESH_HOOK": self.hook.name,
            "MNEMESH_HOOK_EVENT": event,
        }
