"""Rounds that keep the book of quotas: a flush a second, and the first count of bytes.

Law: never more than one round at a time, always off the way of writes; what the disk did not
take is tried again with the next round.
"""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import lmdb

from node.live import Live
from node.logs import EventLog
from node.quota.book import FOLDER, QuotaBook
from node.quota.quotas import Quotas


def open_quotas(data_dir: Path, live: Live, now_ms: Callable[[], int]) -> Quotas:
    """The quotas of a node, as far as its disk remembers them."""
    return Quotas(
        limits=lambda: live.settings.limits, now_ms=now_ms, book=QuotaBook(data_dir / FOLDER)
    )


class QuotaKeeping:
    """Keeps the quotas of one node on its disk.

    Args:
        quotas: what is counted.
        spawn: runs a coroutine in the node's task group.
        log: writes events.
    """

    def __init__(
        self,
        quotas: Quotas,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        log: EventLog,
    ) -> None:
        self._quotas = quotas
        self._spawn = spawn
        self._log = log
        self._busy = False

    def round(self) -> None:
        """Begin a round, unless one is under way."""
        if not self._busy:
            self._busy = True
            self._spawn(self._round())

    async def _round(self) -> None:
        try:
            await self._flush()
            await self._quotas.count_bytes()
        finally:
            self._busy = False

    async def _flush(self) -> None:
        page = self._quotas.page()
        if page is None:
            return
        try:
            await asyncio.to_thread(self._quotas.write, page)
        except (OSError, lmdb.Error) as error:
            self._quotas.unwritten(page)
            self._log("maintenance_failed", error=f"the quotas were not written: {error}")

    def close(self) -> None:
        """Write what is left."""
        try:
            self._quotas.close()
        except (OSError, lmdb.Error) as error:
            self._log("maintenance_failed", error=f"the quotas were not written: {error}")
