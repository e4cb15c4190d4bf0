"""Which changes lie in the past of which.

Law: the past of a change is what its dependencies say, and nothing is taken from outside of it: a
change may refer only to operations of its past, and follows the last change of its actor there. So
whether a change can be taken is told by its past alone, and every replica tells the same.

The past of a change is a set of bits, one for each change that is here. They are kept for the
heads, and for so many others that the rest is put together along a few dependencies, whatever the
shape: layers of changes that each depend on all of the layer before have more ways through them
than anybody could walk.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from crdt.document.model import Change, ChangeError, MissingChangesError, OpId

_KEPT_EVERY: Final = 16


class _Entered:
    """A change that is here.

    Attributes:
        bit: its place in a past.
        end: the largest counter of its operations, or of those before if it has none.
        deps: what it depends on.
        dependents: how many depend on it.
        steps: most dependencies between it and changes whose past is kept; 0 when its own is.
    """

    __slots__ = ("bit", "dependents", "deps", "end", "steps")

    def __init__(self, bit: int, end: int, deps: tuple[bytes, ...], steps: int) -> None:
        self.bit = bit
        self.end = end
        self.deps = deps
        self.dependents = 0
        self.steps = steps


class Causality:
    """The changes that were taken, and how they depend on each other.

    Attributes:
        heads: those that no other one depends on.
    """

    def __init__(self) -> None:
        self.heads: set[bytes] = set()
        self._entered: dict[bytes, _Entered] = {}
        self._free: list[int] = []
        self._chains: dict[bytes, tuple[list[int], list[int]]] = {}
        self._pasts: dict[bytes, int] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._entered

    def __len__(self) -> int:
        return len(self._entered)

    def seq(self, actor: bytes) -> int:
        """The last change of an actor; 0 without any."""
        chain = self._chains.get(actor)
        return len(chain[0]) if chain else 0

    def max_op(self) -> int:
        """The largest counter of all operations; 0 without any."""
        return max((self._entered[head].end for head in self.heads), default=0)

    def past(self, change: Change) -> int:
        """What lies in the past of a change that is not here yet.

        Raises:
            MissingChangesError: not all that it depends on is here.
            ChangeError: its number or its first counter does not follow from its past.
        """
        missing = tuple(dep for dep in change.deps if dep not in self._entered)
        if missing:
            raise MissingChangesError(missing)
        past = self._past(change.deps)
        _, bits = self._chains.get(change.actor, ((), ()))
        if change.seq != len(bits) + 1 or (bits and not past >> bits[-1] & 1):
            raise ChangeError(
                f"change {change.seq} of actor {change.actor.hex()} does not follow its last one,"
                f" {len(bits)}"
            )
        least = max((self._entered[dep].end for dep in change.deps), default=0)
        if change.start_op <= least:
            raise ChangeError(
                f"its operations begin at {change.start_op}, but what it depends on goes to {least}"
            )
        if not change.ops and change.start_op != least + 1:
            # Nothing else says where it begins once it is saved: the library could not open it.
            raise ChangeError(
                f"it does nothing, so it begins at {least + 1} and not at {change.start_op}"
            )
        return past

    def covers(self, past: int, named: OpId) -> bool:
        """Whether the change that an operation of this name would be of lies in a past."""
        chain = self._chains.get(named.actor)
        if chain is None:
            return False
        ends, bits = chain
        at = bisect_left(ends, named.counter)
        return at < len(ends) and bool(past >> bits[at] & 1)

    def enter(self, change: Change, past: int) -> None:
        """Take a change; `past` is what `past` gave for it."""
        name = change.hash
        bit = self._free.pop() if self._free else len(self._entered)
        end = change.start_op + len(change.ops) - 1
        before = [self._entered[dep] for dep in change.deps]
        steps = len(before) + sum(one.steps for one in before)
        if steps >= _KEPT_EVERY:
            steps = 0
        self._entered[name] = _Entered(bit, end, change.deps, steps)
        ends, bits = self._chains.setdefault(change.actor, ([], []))
        ends.append(end)
        bits.append(bit)
        self._pasts[name] = past | 1 << bit
        for dep, one in zip(change.deps, before, strict=True):
            one.dependents += 1
            if one.dependents == 1:
                self.heads.remove(dep)
                if one.steps:
                    self._pasts.pop(dep, None)
        self.heads.add(name)

    def leave(self, change: Change) -> None:
        """Forget a change.

        Raises:
            ValueError: others depend on it.
        """
        name = change.hash
        if name not in self.heads:
            raise ValueError(f"others depend on change {name.hex()}, or it is not here")
        self.heads.remove(name)
        self._free.append(self._entered.pop(name).bit)
        self._pasts.pop(name, None)
        ends, bits = self._chains[change.actor]
        ends.pop()
        bits.pop()
        if not ends:
            del self._chains[change.actor]
        for dep in change.deps:
            one = self._entered[dep]
            one.dependents -= 1
            if not one.dependents:
                self.heads.add(dep)

    def _past(self, names: Iterable[bytes]) -> int:
        """Changes and all that lies in their past."""
        past = 0
        looked = set(names)
        waiting = list(looked)
        while waiting:
            one = waiting.pop()
            known = self._pasts.get(one)
            if known is not None:
                past |= known
                continue
            entered = self._entered[one]
            past |= 1 << entered.bit
            for dep in entered.deps:
                if dep not in looked:
                    looked.add(dep)
                    waiting.append(dep)
        return past


def in_order(changes: dict[bytes, Change]) -> list[Change]:
    """Changes, each after those of them that it depends on."""
    out: dict[bytes, Change] = {}
    for first in sorted(changes.values(), key=lambda one: (one.start_op, one.hash)):
        waiting = [first]
        while waiting:
            one = waiting[-1]
            needed = [changes[dep] for dep in one.deps if dep in changes and dep not in out]
            if needed:
                waiting += needed
            else:
                waiting.pop()
                out[one.hash] = one
    return list(out.values())
