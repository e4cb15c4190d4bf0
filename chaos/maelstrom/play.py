"""One test from the start of its nodes to its verdict.

Law: `init` and `topology` first, then requests at the rate until the time is over, then the
network is made whole, then every node is read again and again until all is right or the time
to recover is over: the last round of reads is what is judged. Nodes end on every way out.
"""

import random
from collections.abc import Sequence
from typing import Any, Final

import trio

from chaos.maelstrom.check import Finding
from chaos.maelstrom.client import Client
from chaos.maelstrom.history import Op
from chaos.maelstrom.nemesis import Partitions
from chaos.maelstrom.network import Network
from chaos.maelstrom.options import Options
from chaos.maelstrom.process import NodeProcess
from chaos.maelstrom.verdict import Played
from chaos.maelstrom.workload import WORKLOADS, topology

_INIT_S: Final = 10.0
_ROUND_S: Final = 0.2


class StartError(Exception):
    """The nodes could not be brought to work; nothing was tested."""


class Play:
    """One test.

    Args:
        options: what it is told.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.workload = WORKLOADS[options.workload]
        # Each its own dice: the delays of messages do not change which requests are made.
        self._dice = random.Random(f"asks {options.seed}")
        self.network = Network(
            random.Random(f"network {options.seed}"),
            latency_ms=options.latency_ms,
            distribution=options.latency_dist,
            loss=options.p_loss,
            double=options.p_double,
        )
        self.nodes = [NodeProcess(n, options.argv, self.network.send) for n in options.nodes]
        self.ops: list[Op] = []
        self.converged_s: float | None = None
        self._clients = 0
        self._malformed: list[str] = []
        self._began = 0.0

    def now(self) -> float:
        """Seconds since the first request."""
        return trio.current_time() - self._began

    def _client(self, timeout_s: float | None = None) -> Client:
        client = Client(f"c{self._clients}", self.network, timeout_s or self.options.rpc_timeout_s)
        client.malformed = self._malformed
        self._clients += 1
        return client

    async def run(self) -> Played:
        """Play it.

        Raises:
            StartError: a node did not answer `init`.
            OSError: the program cannot be started.
        """
        started = trio.current_time()
        options = self.options
        nemesis = Partitions(
            self.network,
            options.nodes,
            targets=options.targets,
            interval_s=options.nemesis_interval_s,
            dice=random.Random(f"nemesis {options.seed}"),
            now=self.now,
        )
        finding = Finding(anomalies=())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.network.carry)
            for node in self.nodes:
                self.network.join(node.name, node.deliver)
                await nursery.start(node.run)
            await self._initialise()
            self._began = trio.current_time()
            async with trio.open_nursery() as clients:
                if options.partition:
                    clients.start_soon(nemesis.run)
                clients.start_soon(self._work, clients.cancel_scope)
            finding = await self._conclude()
            for node in self.nodes:
                node.ending()
            nursery.cancel_scope.cancel()
        return Played(
            ops=self.ops,
            finding=finding,
            faults=[*(f for node in self.nodes for f in node.faults), *self._malformed],
            windows=nemesis.windows,
            net=self.network.figures(len(self.ops)),
            converged_s=self.converged_s,
            seconds=trio.current_time() - started,
        )

    # --- the beginning -----------------------------------------------------------

    async def _initialise(self) -> None:
        names = self.options.nodes
        near = topology(names, self.options.topology)
        async with trio.open_nursery() as nursery:
            for name in names:
                body = {"type": "init", "node_id": name, "node_ids": names}
                nursery.start_soon(self._told, name, body, "init_ok")
        if self.workload.topology:
            async with trio.open_nursery() as nursery:
                for name in names:
                    told: dict[str, Any] = {"type": "topology", "topology": near}
                    nursery.start_soon(self._told, name, told, "topology_ok")

    async def _told(self, node: str, body: dict[str, Any], wanted: str) -> None:
        process = next(n for n in self.nodes if n.name == node)
        answer = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_gone, process, nursery.cancel_scope)
            answer = await self._client(_INIT_S).call(node, body)
            nursery.cancel_scope.cancel()
        if answer is None or answer.get("type") != wanted:
            said = "nothing" if answer is None else dict(answer)
            words = "\n".join([f"{node} answered {said} to {body['type']}", *process.tail])
            raise StartError(words)

    # --- the middle --------------------------------------------------------------

    async def _work(self, all_of_it: trio.CancelScope) -> None:
        """Requests until the time is over; then the nemesis ends with them."""
        options = self.options
        into, asks = trio.open_memory_channel[tuple[str, Any]](0)
        async with trio.open_nursery() as nursery:
            for place in range(options.concurrency or options.node_count):
                node = options.nodes[place % options.node_count]
                nursery.start_soon(self._ask_all, node, asks.clone())
            asks.close()
            async with into:
                with trio.move_on_after(options.time_limit_s):
                    for ask in self.workload.asks(self._dice):
                        await into.send(ask)
                        await trio.sleep(self._dice.uniform(0, 2 / options.rate))
        all_of_it.cancel()

    async def _ask_all(self, node: str, asks: trio.MemoryReceiveChannel[tuple[str, Any]]) -> None:
        client = self._client()
        async with asks:
            async for f, value in asks:
                op = await self._ask(client, Op(f=f, value=value, node=node))
                if op.outcome == "info":
                    self.network.leave(client.name)  # as a crashed process: it never goes on
                    client = self._client()

    async def _ask(self, client: Client, op: Op) -> Op:
        self.ops.append(op)
        op.client, op.began_s = client.name, self.now()
        request = self.workload.requests[op.f]
        op.outcome, op.answer, op.error = await client.ask(op.node, op.f, request, op.value)
        op.ended_s = self.now()
        return op

    # --- the end -----------------------------------------------------------------

    async def _conclude(self) -> Finding:
        """Read until all is right, or for as long as nodes may take to recover."""
        nodes = self.options.nodes
        healed = self.now()
        if not self.workload.reads:
            return self.workload.check(self.ops, nodes)
        while True:
            last = await self._read_all(nodes)
            took_s = self.now() - healed  # not what judging takes
            finding = self.workload.check(self.ops, nodes)
            if finding.valid:
                self.converged_s = round(took_s, 3)
                return finding
            if took_s > self.options.recovery_s:
                return finding
            for op in last:
                op.final = False
            await trio.sleep(_ROUND_S)

    async def _read_all(self, nodes: Sequence[str]) -> list[Op]:
        ops = [Op(f="read", node=node, final=True) for node in nodes]
        async with trio.open_nursery() as nursery:
            for op in ops:
                nursery.start_soon(self._ask, self._client(), op)
        return ops


async def _until_gone(process: NodeProcess, waiting: trio.CancelScope) -> None:
    """Nobody waits for the answer of a process that has ended."""
    await process.gone.wait()
    waiting.cancel()
