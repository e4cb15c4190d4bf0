"""`verify` on a node that runs.

Law: the loop is not held up: everything is read on a thread of its own, in short pieces with
pauses between them. Peers are asked first, so nothing that they countersigned later is missed.
One verification runs at a time; who asks meanwhile gets the same answer.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import lmdb

from crdt.dot import NodeId
from node.audit.chain import Bad, Link, Verdict
from node.audit.countersign import Countersigning
from node.audit.keeper import Keeper
from node.audit.memory_ops import verify_memory
from node.audit.ops_walk import OpsVerdict, OpsWalk
from node.audit.report import Claims, Report, claims_of, verify_events
from node.replication.engine import Engine
from node.store import Store
from node.store.schema import Tables, Transaction

T = TypeVar("T")
ASK_SECONDS: Final = 1.5
_PAUSE_SECONDS: Final = 0.001
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class OpenStore:
    """The store of this node; a `node.audit.ops_walk.Reading`."""

    store: Store

    @property
    def tables(self) -> Tables:
        """Handles."""
        return self.store.tables

    def read(self, look: Callable[[Transaction], T]) -> T:
        """Run a short look at one consistent state."""
        return self.store.environment.read(look)


class Verifier:
    """Verifies a running node.

    Args:
        engine: the replicated side.
        keeper: the chain of events.
        countersigning: who vouches for it.
        pause: lets others run between two pieces, given seconds.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        keeper: Keeper,
        countersigning: Countersigning,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._keeper = keeper
        self._countersigning = countersigning
        self._pause = pause
        self._running: asyncio.Future[Report] | None = None
        self.last: Report | None = None
        """What the last verification gave."""

    async def verify(self) -> Report:
        """Verify both kinds of chain."""
        if self._running is None:
            loop = asyncio.get_running_loop()
            self._running = running = loop.create_future()
            try:
                report = await self._verify()
            except BaseException as error:
                running.set_exception(error)
                running.exception()  # nobody else has to wait for it
                raise
            else:
                self.last = report
                running.set_result(report)
                return report
            finally:
                self._running = None
        return await asyncio.shield(self._running)

    async def verify_all(self) -> dict[str, Any]:
        """Verify both kinds of chain; as JSON can hold it."""
        return (await self.verify()).data()

    async def _verify(self) -> Report:
        asked = await self._countersigning.ask_all(ASK_SECONDS)
        book = self._countersigning.witnesses
        claims = claims_of(book)
        head = self._keeper.head  # after the claims, so that it covers them
        events = await asyncio.to_thread(self._events, claims, head)
        return Report(ops=await self._ops(claims), events=events, book=book, asked=asked)

    def _events(self, claims: Claims, head: Link) -> Verdict:
        folder: Path = self._keeper.settings.folder
        owner = self._keeper.owner
        for _ in range(_TRIES):
            try:
                return verify_events(folder, owner, claims, head=head, step=self._step)
            except FileNotFoundError:
                continue  # the oldest segment was dropped meanwhile
        return Verdict(holds=False, rows_checked=0, first_bad=Bad(1, "unreadable"), head=head)

    def _step(self, _count: int) -> None:
        self._pause(_PAUSE_SECONDS)

    def _keys(self) -> Mapping[NodeId, bytes]:
        me = self._engine.me
        return {**self._engine.replica.governance.keys, me.node_id: me.key}

    async def _ops(self, claims: Claims) -> OpsVerdict:
        """The walk begins anew when the store is swapped under it."""
        verdict = OpsVerdict()
        for _ in range(_TRIES):
            store = self._engine.store
            walk = OpsWalk(
                store=OpenStore(store),
                cluster=self._engine.replica.cluster,
                keys=self._keys(),
                verify=self._engine.me.verify,
                claims=claims.actors,
                step=self._step,
            )
            verdict = await asyncio.to_thread(walk.run)
            if self._engine.store is store:
                break
        return verdict

    async def verify_memory(self, ident: str) -> dict[str, Any]:
        """Verify the operations of one memory that are still in the log."""
        engine = self._engine
        store, cluster, keys = OpenStore(engine.store), engine.replica.cluster, self._keys()
        try:
            verdict = await asyncio.to_thread(
                lambda: verify_memory(
                    store, ident, cluster=cluster, keys=keys, verify=engine.me.verify
                )
            )
        except lmdb.Error:
            return {"id": ident, "holds": False, "operations": [], "reason": "page_damaged"}
        return verdict.data()
