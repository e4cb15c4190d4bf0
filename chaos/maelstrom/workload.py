"""The workloads: which requests clients make, how answers must look, who judges.

Law: requests and answers are those that Maelstrom documents, with no field more and none less;
an answer of another form counts as none and is reported.

Source: Maelstrom, doc/workloads.md.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chaos.maelstrom.check import (
    Checker,
    check_counter,
    check_echo,
    check_growing,
    check_ids,
    check_set,
)
from chaos.maelstrom.message import MalformedError

Ask = tuple[str, Any]
"""What is asked, and the value that is given; None for a read."""

_ALWAYS: Final = frozenset({"type", "in_reply_to"})
_READ_SHARE: Final = 0.5


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_any(value: object) -> bool:  # noqa: ARG001 - the shape of a check
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One kind of request.

    Attributes:
        gives: the field that carries the value; empty for none.
        takes: the field of the answer that is wanted; empty for none.
        fits: whether what stands there has the right form.
    """

    gives: str = ""
    takes: str = ""
    fits: Callable[[object], bool] = _is_any

    def body(self, f: str, value: object) -> dict[str, Any]:
        """The body to send, without its number."""
        return {"type": f, self.gives: value} if self.gives else {"type": f}

    def answer(self, f: str, body: Mapping[str, Any]) -> Any:
        """What the body of an answer says.

        Raises:
            MalformedError: it is no answer to this request.
        """
        wanted = _ALWAYS | ({self.takes} if self.takes else set())
        if body.get("type") != f"{f}_ok" or body.keys() - {"msg_id"} != wanted:
            raise MalformedError(f"no answer to `{f}`: {dict(body)!r:.200}")
        if not self.takes:
            return None
        if not self.fits(body[self.takes]):
            raise MalformedError(f"`{self.takes}` has the wrong form: {body[self.takes]!r:.200}")
        return body[self.takes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One workload.

    Attributes:
        requests: by name.
        asks: endless operations, drawn from dice.
        check: who judges.
        reads: whether every node is read at last.
        topology: whether nodes are told their neighbours.
    """

    requests: Mapping[str, Request]
    asks: Callable[[random.Random], Iterator[Ask]]
    check: Checker
    reads: bool = True
    topology: bool = False


def _elements(f: str) -> Callable[[random.Random], Iterator[Ask]]:
    def asks(dice: random.Random) -> Iterator[Ask]:
        number = 0
        while True:
            if dice.random() < _READ_SHARE:
                yield "read", None
            else:
                yield f, number
                number += 1

    return asks


def _deltas(least: int, most: int) -> Callable[[random.Random], Iterator[Ask]]:
    def asks(dice: random.Random) -> Iterator[Ask]:
        while True:
            if dice.random() < _READ_SHARE:
                yield "read", None
            else:
                yield "add", dice.randint(least, most)

    return asks


def _ids(dice: random.Random) -> Iterator[Ask]:  # noqa: ARG001 - the shape of a generator
    while True:
        yield "generate", None


def _echoes(dice: random.Random) -> Iterator[Ask]:
    while True:
        yield "echo", f"Please echo {dice.randrange(1000)}"


_COUNTED: Final = {
    "add": Request(gives="delta"),
    "read": Request(takes="value", fits=_is_integer),
}

WORKLOADS: Final[Mapping[str, Workload]] = {
    "echo": Workload(
        requests={"echo": Request(gives="echo", takes="echo")},
        asks=_echoes,
        check=check_echo,
        reads=False,
    ),
    "broadcast": Workload(
        requests={
            "broadcast": Request(gives="message"),
            "read": Request(takes="messages", fits=_is_list),
        },
        asks=_elements("broadcast"),
        check=check_set,
        topology=True,
    ),
    "g-set": Workload(
        requests={
            "add": Request(gives="element"),
            "read": Request(takes="value", fits=_is_list),
        },
        asks=_elements("add"),
        check=check_set,
    ),
    "g-counter": Workload(requests=_COUNTED, asks=_deltas(0, 4), check=check_growing),
    "pn-counter": Workload(requests=_COUNTED, asks=_deltas(-5, 4), check=check_counter),
    "unique-ids": Workload(
        requests={"generate": Request(takes="id")}, asks=_ids, check=check_ids, reads=False
    ),
}

TOPOLOGIES: Final = ("grid", "line", "total")


def topology(nodes: Sequence[str], kind: str) -> dict[str, list[str]]:
    """Who is whose neighbour.

    Args:
        nodes: all of them.
        kind: one of `TOPOLOGIES`; a grid is as near to a square as their number allows.
    """
    if kind == "total":
        return {node: [other for other in nodes if other != node] for node in nodes}
    side = math.ceil(math.sqrt(len(nodes))) if kind == "grid" else 1
    out: dict[str, list[str]] = {}
    for place, node in enumerate(nodes):
        near = [place - side, place + side]
        if side > 1 and place % side:
            near.append(place - 1)
        if side > 1 and (place + 1) % side:
            near.append(place + 1)
        out[node] = [nodes[other] for other in near if 0 <= other < len(nodes)]
    return out
