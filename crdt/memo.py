"""What was made of stored records lately, so that it need not be made again.

Law: bounded in count and bytes, and never older than the record. Whoever changes a record
drops what is remembered of it, in the same step; what was being made of it meanwhile, by
another thread, is not kept. Two generations: what nobody asked for while the younger one
filled up goes with the elder.
"""

from typing import Any, Final

BYTES_MAX: Final = 64 * 2**20
ENTRIES_MAX: Final = 1 << 16
UNKNOWN: Final[Any] = object()
"""What `get` gives when nothing is remembered; None is a memory as good as another."""

_Generation = dict[bytes, tuple[Any, int]]


class Memo:
    """Values by the key of their record.

    Args:
        bytes_max: most bytes that are held, as those who keep them weigh them.
        entries_max: most values that are held.

    Attributes:
        changes: how often something was dropped; told again to `keep`.
    """

    __slots__ = ("_bytes_max", "_elder", "_entries_max", "_size", "_younger", "changes")

    def __init__(self, bytes_max: int = BYTES_MAX, entries_max: int = ENTRIES_MAX) -> None:
        self._bytes_max = bytes_max // 2
        self._entries_max = entries_max // 2
        self._younger: _Generation = {}
        self._elder: _Generation = {}
        self._size = 0
        self.changes = 0

    def get(self, key: bytes) -> Any:
        """What is remembered of a record, or `UNKNOWN`."""
        found = self._younger.get(key)
        if found is not None:
            return found[0]
        found = self._elder.pop(key, None)
        if found is None:
            return UNKNOWN
        self._put(key, *found)
        return found[0]

    def keep(self, key: bytes, value: Any, size_bytes: int, changes: int) -> None:
        """Remember what was made of a record.

        Args:
            key: of the record.
            value: what was made of it.
            size_bytes: how much it weighs; nothing is kept that weighs more than a generation.
            changes: as they were before the record was read.
        """
        if size_bytes > self._bytes_max or changes != self.changes:
            return
        self._put(key, value, size_bytes)
        if changes != self.changes:  # dropped by another thread between the lines
            self._younger.pop(key, None)

    def _put(self, key: bytes, value: Any, size: int) -> None:
        self._size += size
        if self._size > self._bytes_max or len(self._younger) >= self._entries_max:
            self._elder, self._younger = self._younger, {}
            self._size = size
        self._younger[key] = (value, size)

    def drop(self, key: bytes) -> None:
        """Forget what was made of a record that is changed now."""
        self.changes += 1
        self._younger.pop(key, None)  # its bytes count until the generation ends
        self._elder.pop(key, None)

    def __len__(self) -> int:
        return len(self._younger) + len(self._elder)
