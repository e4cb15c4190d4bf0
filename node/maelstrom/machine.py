"""One Maelstrom node: lines in, messages out, the replication core between them.

Law: an add is acknowledged when its operation is kept by W nodes, this one among them, and not
before; when that does not come about in time the answer is `timeout`, which is indefinite,
since the operation stays and spreads. W is 1 by default: the workloads of Maelstrom that this
serves are those of a highly available system, in which a node that is cut off still answers.

A machine without I/O: `receive` takes a message, `settle` does what is due, `take` gives what
is to be sent. Times are milliseconds since the epoch.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from crdt.dot import Dot
from crdt.op_codec import OpError
from node.maelstrom.core import Core, Entropy
from node.maelstrom.links import KIND, Link, Names
from node.maelstrom.protocol import Body, Code, Message, RpcError, error_body, msg_id
from node.maelstrom.workloads import (
    BROADCAST,
    G_COUNTER,
    G_SET,
    PN_COUNTER,
    Counter,
    Elements,
    Ids,
    delta_of,
    field_of,
)

FLUSH_MS: Final = 20
QUORUM_MS: Final = 2_000
WAITING_MAX: Final = 10_000
"""Adds that may wait for their quorum at once."""

_COUNTERS: Final = frozenset({G_COUNTER, PN_COUNTER})


class _Waiting(NamedTuple):
    """An add whose quorum is awaited."""

    dot: Dot
    request: Message
    answer: Body
    until_ms: int


class Machine:
    """A node before and after its `init`.

    Args:
        wanted_w: how many nodes must keep an add before it is acknowledged; 0 for a majority.
        workload: which one is played; empty to tell it from the requests.
        flush_ms: least time between two messages with data to one peer.
        quorum_ms: how long an add may wait for its quorum.
        entropy: random bytes.
        say: tells the operator.
    """

    def __init__(
        self,
        *,
        entropy: Entropy,
        say: Callable[[str], None],
        wanted_w: int = 1,
        workload: str = "",
        flush_ms: int = FLUSH_MS,
        quorum_ms: int = QUORUM_MS,
    ) -> None:
        self.name = ""
        self._entropy, self._say = entropy, say
        self._wanted_w, self._workload = wanted_w, workload
        self._flush_ms, self._quorum_ms = flush_ms, quorum_ms
        self._names = Names()
        self._now_ms = 0
        self._out: list[Message] = []
        self._said = 0
        self._waiting: list[_Waiting] = []
        self._node: _Node | None = None
        self._answers: Mapping[str, Callable[[_Node, Message], Body | None]] = {
            "echo": lambda _, asked: {"type": "echo_ok", "echo": field_of(asked.body, "echo")},
            "topology": self._topology,
            "broadcast": self._broadcast,
            "add": self._add,
            "read": self._read,
            "generate": lambda node, _: {"type": "generate_ok", "id": node.ids.draw()},
        }

    # --- what comes --------------------------------------------------------------

    def receive(self, message: Message, now_ms: int) -> None:
        """One message of the network."""
        self._advance(now_ms)
        node = self._node
        if message.kind == KIND and node is not None:
            link = node.links.get(message.src)
            if link is not None:
                link.heard(message.body, now_ms)
            return
        if "in_reply_to" in message.body:
            return
        try:
            if message.kind == "init":
                answer: Body | None = self._init(message)
            elif node is None:
                raise RpcError(Code.TEMPORARILY_UNAVAILABLE, "no `init` came yet")  # noqa: TRY301
            else:
                answer = self._answer(node, message)
        except RpcError as error:
            answer = error_body(error)
        if answer is not None:
            self._reply(message, answer)

    def _answer(self, node: "_Node", message: Message) -> Body | None:
        answer = self._answers.get(message.kind)
        if answer is None:
            raise RpcError(Code.NOT_SUPPORTED, f"no request is called {message.kind[:40]!r}")
        return answer(node, message)

    def _init(self, message: Message) -> Body:
        name, names = message.body.get("node_id"), message.body.get("node_ids")
        if (
            not isinstance(name, str)
            or not isinstance(names, list)
            or not all(isinstance(peer, str) for peer in names)
            or name not in names
            or len(set(names)) != len(names)
        ):
            raise RpcError(
                Code.MALFORMED_REQUEST, "`init` names this node in `node_id` and all in `node_ids`"
            )
        if self._node is not None:
            raise RpcError(Code.PRECONDITION_FAILED, "`init` came before")
        if self._wanted_w > len(names):
            why = f"{self._wanted_w} nodes are to keep every add, and there are {len(names)}"
            raise RpcError(Code.PRECONDITION_FAILED, why)
        self.name = name
        self._node = _Node(self, name, names)
        return {"type": "init_ok"}

    def core(self, name: str, names: list[str], close: Callable[[int], None]) -> Core:
        """The core of this node."""
        return Core(
            name=name,
            names=names,
            wanted_w=self._wanted_w or None,
            entropy=self._entropy,
            now_ms=self._now_ms,
            close=close,
            say=self._say,
        )

    def link(self, peer: str, core: Core) -> Link:
        """The link to one peer."""

        def draw() -> int:
            return self._names.draw(self._now_ms)

        return Link(peer, core, draw, flush_ms=self._flush_ms, now_ms=self._now_ms)

    # --- requests ----------------------------------------------------------------

    def _topology(self, _: "_Node", asked: Message) -> Body:
        if not isinstance(asked.body.get("topology"), dict):
            raise RpcError(Code.MALFORMED_REQUEST, "`topology` is an object")
        self._workload = self._workload or BROADCAST
        return {"type": "topology_ok"}

    def _broadcast(self, node: "_Node", asked: Message) -> None:
        element = field_of(asked.body, "message")
        self._workload = self._workload or BROADCAST
        self._minted(asked, lambda: node.elements.add(element), {"type": "broadcast_ok"})

    def _add(self, node: "_Node", asked: Message) -> None:
        counts = "delta" in asked.body or self._workload in _COUNTERS
        if counts:
            delta = delta_of(asked.body, self._workload)
            self._workload = self._workload or PN_COUNTER
            self._minted(asked, lambda: node.counter.add(delta), {"type": "add_ok"})
        else:
            element = field_of(asked.body, "element")
            self._workload = self._workload or G_SET
            self._minted(asked, lambda: node.elements.add(element), {"type": "add_ok"})

    def _minted(self, asked: Message, mint: Callable[[], Dot], answer: Body) -> None:
        if len(self._waiting) >= WAITING_MAX:
            raise RpcError(Code.TEMPORARILY_UNAVAILABLE, "too many adds wait for their quorum")
        try:
            dot = mint()
        except OpError as error:
            raise RpcError(Code.MALFORMED_REQUEST, str(error)) from error
        except LookupError as error:
            raise RpcError(Code.TEMPORARILY_UNAVAILABLE, str(error)) from error
        self._waiting.append(_Waiting(dot, asked, answer, self._now_ms + self._quorum_ms))

    def _read(self, node: "_Node", _: Message) -> Body:
        node.keep()  # what is read was kept: nobody sees what this node could lose alone
        workload = self._workload
        if workload == BROADCAST:
            return {"type": "read_ok", "messages": node.elements.read()}
        if workload == G_SET or (not workload and len(node.elements)):
            return {"type": "read_ok", "value": node.elements.read()}
        if workload in _COUNTERS or node.counter.begun:
            return {"type": "read_ok", "value": node.counter.read()}
        raise RpcError(
            Code.TEMPORARILY_UNAVAILABLE,
            "whether a set or a counter is meant is not known before the first add; --workload "
            "says it",
        )

    # --- what goes ---------------------------------------------------------------

    def _reply(self, asked: Message, answer: Body) -> None:
        number = msg_id(asked.body)
        if number is None:
            return
        self._said += 1
        body: dict[str, Any] = {**answer, "msg_id": self._said, "in_reply_to": number}
        self._out.append(Message(self.name or asked.dest, asked.src, body))

    def _advance(self, now_ms: int) -> None:
        # A wall clock that is set back does not turn deadlines around.
        self._now_ms = max(self._now_ms, now_ms)
        if self._node is not None:
            self._node.core.advance(self._now_ms)

    def settle(self, now_ms: int) -> None:
        """Keep what was minted, answer who can be answered, and let links say what is due."""
        self._advance(now_ms)
        node = self._node
        if node is None:
            return
        node.core.tick()
        node.keep()
        waiting, self._waiting = self._waiting, []
        for held in waiting:
            if node.core.held(held.dot):
                self._reply(held.request, held.answer)
            elif held.until_ms <= self._now_ms:
                late = RpcError(
                    Code.TIMEOUT, "kept here and spreading, but not by as many nodes as asked for"
                )
                self._reply(held.request, error_body(late))
            else:
                self._waiting.append(held)
        for peer, link in node.links.items():
            self._out += [Message(self.name, peer, body) for body in link.due(self._now_ms)]

    def take(self) -> list[Message]:
        """What is to be sent, in order."""
        out, self._out = self._out, []
        return out

    @property
    def busy(self) -> bool:
        """Whether something is to happen within some milliseconds."""
        node = self._node
        return node is not None and (
            bool(self._waiting) or any(link.busy for link in node.links.values())
        )


class _Node:
    """What there is after `init`."""

    def __init__(self, machine: Machine, name: str, names: list[str]) -> None:
        self.core = machine.core(name, names, self._close)
        self.links = {peer: machine.link(peer, self.core) for peer in names if peer != name}
        self.elements = Elements(self.core)
        self.counter = Counter(self.core)
        self.ids = Ids(self.core)

    def keep(self) -> None:
        """Commit what is open, and let the set follow."""
        self.elements.follow(self.core.pump())

    def _close(self, number: int) -> None:
        for link in self.links.values():
            if link.number == number:
                link.close()
