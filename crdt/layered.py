"""Mappings that are extended without being copied.

Law: a value, like a frozen dictionary; what is made from one leaves it as it was. A few
changes lie over a base that many share. When they have become many, both are written into a
new base; so one change costs about the square root of what there is to hold, a look-up two
steps, and a history of versions hardly more memory than its last one.
"""

from collections.abc import Iterator, Mapping
from math import isqrt
from typing import Any, Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_OVER_MIN: Final = 32


class Layered(Mapping[K, V], Generic[K, V]):
    """A mapping that never changes and is cheap to extend.

    Args:
        base: what it holds; the caller never changes it again.
        over: what takes precedence; None stands for what is gone.
    """

    __slots__ = ("_base", "_over")

    def __init__(
        self, base: Mapping[K, V] | None = None, over: dict[K, V | None] | None = None
    ) -> None:
        self._base: Mapping[K, V] = {} if base is None else base
        self._over: dict[K, V | None] = {} if over is None else over

    def __getitem__(self, key: K) -> V:
        if key not in self._over:
            return self._base[key]
        held = self._over[key]
        if held is None:
            raise KeyError(key)
        return held

    def get(self, key: K, default: Any = None) -> Any:
        """The entry, or the default: asked too often to raise and catch for what is not there."""
        held = self._over.get(key) if key in self._over else self._base.get(key)
        return default if held is None else held

    def __bool__(self) -> bool:
        return bool(self._base or self._over) and len(self) > 0

    def __contains__(self, key: object) -> bool:
        if key in self._over:
            return self._over[key] is not None
        return key in self._base

    def __iter__(self) -> Iterator[K]:
        yield from (key for key in self._base if key not in self._over)
        yield from (key for key, held in self._over.items() if held is not None)

    def __len__(self) -> int:
        base, over = self._base, self._over
        return len(base) + sum((held is not None) - (key in base) for key, held in over.items())

    def __repr__(self) -> str:
        return f"Layered({dict(self)!r})"

    def put(self, key: K, held: V | None) -> "Layered[K, V]":
        """The same with one entry set, or gone when it is None."""
        over = {**self._over, key: held}
        if len(over) <= max(_OVER_MIN, isqrt(len(self._base))):
            return Layered(self._base, over)
        merged = {**self._base, **over}
        return Layered({name: one for name, one in merged.items() if one is not None})
