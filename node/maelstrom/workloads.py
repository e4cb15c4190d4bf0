"""What the workloads of Maelstrom mean in terms of records.

Law: an element of a set is a record of its own, named after the hash of its canonical JSON, so
adding it twice anywhere is adding it once. A counter is one record with one counter field: its
value is the sum of one live version per process that ever added, and an add supersedes only
the version of its own process; so it holds as many versions as there were processes, however
many adds. What is read is read from the core's records and from nowhere else.

An id is a dot: an actor drawn for this process alone (64 random bits beside the start second
and the node's id) and a place in its line. No message is needed for it. The actor is drawn for
ids only, so no dot of it ever names an operation.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from crdt.dot import DATA, Dot, dot_text
from crdt.op import Draft, Kind, record_key
from crdt.state import Batch
from node.maelstrom.core import AGENT, Core
from node.maelstrom.protocol import Body, Code, RpcError

ECHO: Final = "echo"
BROADCAST: Final = "broadcast"
G_SET: Final = "g-set"
G_COUNTER: Final = "g-counter"
PN_COUNTER: Final = "pn-counter"
UNIQUE_IDS: Final = "unique-ids"
WORKLOADS: Final = (ECHO, BROADCAST, G_SET, G_COUNTER, PN_COUNTER, UNIQUE_IDS)

_NAMESPACE: Final = "maelstrom"
_ELEMENTS: Final = "element"
_COUNTERS: Final = "counter"
_COUNTER: Final = "total"
_VALUE: Final = "value"
_COUNT: Final = "+value"
_PREFIX: Final = record_key(DATA, _ELEMENTS, "")
_COUNTER_KEY: Final = record_key(DATA, _COUNTERS, _COUNTER)
_DELTA_MAX: Final = 2**53 - 1
"""Beyond it numbers of JSON lose digits; what a process added in all stays below it too."""


class Elements:
    """The set that all elements make."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._texts: dict[bytes, str] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, element: object) -> Dot:
        """Mint the element's record.

        Raises:
            LookupError: this node does not serve yet.
            crdt.op_codec.OpError: it is too large.
        """
        text = json.dumps(element, sort_keys=True, separators=(",", ":"))
        name = hashlib.sha256(text.encode()).hexdigest()
        draft = Draft(
            kind=Kind.CREATE,
            collection=_ELEMENTS,
            id=name,
            namespace=_NAMESPACE,
            owner=AGENT,
            set={_VALUE: text},
        )
        return self._core.mint(draft)

    def follow(self, batches: Iterable[Batch]) -> None:
        """Take what commits made of the records."""
        for batch in batches:
            for key, change in batch.records.items():
                if not key.startswith(_PREFIX):
                    continue
                shown = self._core.shown(change.after)
                if shown is None:
                    self._texts.pop(key, None)
                else:
                    self._texts[key] = shown.values[_VALUE]

    def read(self) -> list[Any]:
        """Every element that is kept here."""
        return [json.loads(text) for text in self._texts.values()]


class Counter:
    """The one counter."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._moved = 0

    @property
    def begun(self) -> bool:
        """Whether anybody is known to have added to it."""
        return self._core.read(_COUNTER_KEY) is not None

    def add(self, delta: int) -> Dot:
        """Mint an increment, or a decrement.

        Raises:
            RpcError: it would lose digits.
            LookupError: this node does not serve yet.
        """
        if self._moved + abs(delta) > _DELTA_MAX:
            raise RpcError(Code.PRECONDITION_FAILED, "the counter cannot count that far")
        draft = Draft(
            kind=Kind.EDIT if self.begun else Kind.CREATE,
            collection=_COUNTERS,
            id=_COUNTER,
            namespace=_NAMESPACE,
            owner=AGENT,
            set={_COUNT: delta},
        )
        dot = self._core.mint(draft)
        self._moved += abs(delta)
        return dot

    def read(self) -> int:
        """The sum of all adds that are known here."""
        shown = self._core.read(_COUNTER_KEY)
        return 0 if shown is None else int(shown.values.get(_COUNT, 0))


class Ids:
    """Ids that nobody else gives out."""

    def __init__(self, core: Core) -> None:
        self._actor = core.draw_actor(DATA)
        self._seq = 0

    def draw(self) -> str:
        """The next id."""
        self._seq += 1
        return dot_text(Dot(self._actor, self._seq))


def delta_of(body: Body, workload: str) -> int:
    """The number of a counter's `add`.

    Raises:
        RpcError: there is none, or the workload does not take it.
    """
    delta = body.get("delta")
    if not isinstance(delta, int) or isinstance(delta, bool) or abs(delta) > _DELTA_MAX:
        raise RpcError(Code.MALFORMED_REQUEST, "`delta` is an integer below 2^53")
    if delta < 0 and workload == G_COUNTER:
        raise RpcError(Code.MALFORMED_REQUEST, "a counter that only grows takes no such `delta`")
    return delta


def field_of(body: Body, name: str) -> object:
    """A field of a request that may hold anything.

    Raises:
        RpcError: it is not there.
    """
    if name not in body:
        raise RpcError(Code.MALFORMED_REQUEST, f"`{name}` is missing")
    return body[name]
