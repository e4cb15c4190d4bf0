from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from crdt.op import Draft, Kind
from node.contracts import Caller
from node.errors import QuotaExceeded
from node.limits import Limits
from node.quota.book import FOLDER, QuotaBook
from node.quota.quotas import DAY_MS, Quotas
from tests.unit.http.fake_node import FakeNode

ALICE, BOB = "ai:alice", "ai:bob"


def memory(ident: str = "m1", content: str = "text", kind: Kind = Kind.CREATE) -> Draft:
    fields = {"title": "t", "content": content, "tier": "mid"}
    return Draft(
        kind=kind,
        collection="memory",
        id=ident,
        namespace="global",
        set=fields if kind is not Kind.DELETE else {},
    )


def link(ident: str = "l1") -> Draft:
    return Draft(kind=Kind.CREATE, collection="link", id=ident, namespace="global")


class Ledger:
    """Quotas over a node in memory; a request is checked, minted and counted."""

    def __init__(self, path: Path | None = None, **limits: int) -> None:
        self.node = FakeNode()
        self.limits = replace(Limits(), **limits)
        self.path = path
        self.quotas = self.opened()

    def opened(self) -> Quotas:
        self.book = None if self.path is None else QuotaBook(self.path / FOLDER)
        clock = self.node.clock
        quotas = Quotas(limits=lambda: self.limits, now_ms=clock.now_ms, book=self.book)
        quotas.reads(self.node.reader)
        return quotas

    def restart(self, *, crash: bool = False) -> None:
        if crash and self.book is not None:
            self.book.close()
        else:
            self.quotas.close()
        self.quotas = self.opened()

    async def write(self, *drafts: Draft, agent: str = ALICE) -> None:
        given: Sequence[Draft] = list(drafts)
        self.quotas.check(agent, given)
        await self.node.write(given, caller=Caller(agent=agent), action="store")
        self.quotas.spent(agent, given)


async def test_a_day_holds_as_many_memories_as_the_limit_and_says_when_it_ends() -> None:
    ledger = Ledger(max_memories_per_day=2)
    await ledger.write(memory("m1"))
    await ledger.write(memory("m2"))
    with pytest.raises(QuotaExceeded) as caught:
        await ledger.write(memory("m3"))
    error = caught.value
    assert (error.limit, error.current, error.http_status) == (2, 2, 429)
    end = (ledger.node.clock.ms // DAY_MS + 1) * DAY_MS
    assert error.retry_after_seconds == -(-(end - ledger.node.clock.ms) // 1000)
    assert error.extra()["reset_at"].endswith("T00:00:00.000Z")
    assert ledger.node.reader().get("memory", "m3") is None
    await ledger.write(memory("m3"), agent=BOB)
    ledger.node.clock.ms = end
    await ledger.write(memory("m4"))
    assert ledger.quotas.use(ALICE).memories == 1


async def test_a_clock_that_goes_back_does_not_give_the_day_twice() -> None:
    ledger = Ledger(max_memories_per_day=1)
    ledger.node.clock.ms += DAY_MS
    await ledger.write(memory("m1"))
    ledger.node.clock.ms -= DAY_MS
    with pytest.raises(QuotaExceeded):
        await ledger.write(memory("m2"))


async def test_a_request_beyond_the_limit_is_refused_whole() -> None:
    ledger = Ledger(max_memories_per_day=3)
    await ledger.write(memory("m1"), memory("m2"))
    with pytest.raises(QuotaExceeded):
        await ledger.write(memory("m3"), memory("m4"))
    await ledger.write(memory("m3"))


async def test_edits_deletes_and_moves_make_no_memory() -> None:
    ledger = Ledger(max_memories_per_day=1)
    await ledger.write(memory("m1"))
    await ledger.write(memory("m1", "other", Kind.EDIT))
    await ledger.write(replace(memory("m1"), namespace="else"), memory("m1", kind=Kind.DELETE))
    await ledger.write(memory("m1", kind=Kind.DELETE))
    assert ledger.quotas.use(ALICE).memories == 1


async def test_links_have_a_limit_of_their_own() -> None:
    ledger = Ledger(max_links_per_day=1, max_memories_per_day=5)
    await ledger.write(link("l1"))
    with pytest.raises(QuotaExceeded) as caught:
        await ledger.write(link("l2"))
    assert caught.value.name == "max_links_per_day"
    await ledger.write(memory("m1"))


async def test_nameless_callers_share_one_account() -> None:
    ledger = Ledger(max_memories_per_day=1)
    await ledger.write(memory("m1"), agent="anonymous:req-00000001")
    with pytest.raises(QuotaExceeded):
        await ledger.write(memory("m2"), agent="anonymous:req-00000002")


async def test_bytes_grow_with_what_is_said_and_shrink_with_what_is_deleted() -> None:
    ledger = Ledger(max_storage_bytes=20)
    await ledger.quotas.count_bytes()
    await ledger.write(memory("m1", "x" * 9))
    assert ledger.quotas.use(ALICE).storage == 10
    await ledger.write(memory("m1", "x" * 15, Kind.EDIT))
    assert ledger.quotas.use(ALICE).storage == 16
    with pytest.raises(QuotaExceeded) as caught:
        await ledger.write(memory("m2", "x" * 9))
    assert (caught.value.limit, caught.value.current) == (20, 16)
    assert caught.value.extra()["reset_at"] is None
    # Whoever deletes, the owner has the room again.
    await ledger.write(memory("m1", kind=Kind.DELETE), agent=BOB)
    assert ledger.quotas.use(ALICE).storage == 0
    await ledger.write(memory("m2", "ü" * 9))
    assert ledger.quotas.use(ALICE).storage == 19


async def test_a_limit_of_bytes_counts_what_was_there_before_it() -> None:
    ledger = Ledger()
    await ledger.write(memory("m1", "x" * 9))
    assert ledger.quotas.use(ALICE).storage is None
    ledger.limits = replace(ledger.limits, max_storage_bytes=15)
    await ledger.write(memory("m2", "x" * 9))  # not counted yet, so the limit does not hold
    await ledger.quotas.count_bytes()
    assert ledger.quotas.use(ALICE).storage == 20
    with pytest.raises(QuotaExceeded):
        await ledger.write(memory("m3"))


@pytest.mark.parametrize("crash", [False, True])
async def test_counts_survive_a_restart_and_bytes_are_not_counted_twice(
    tmp_path: Path, *, crash: bool
) -> None:
    ledger = Ledger(tmp_path, max_memories_per_day=2, max_storage_bytes=1000)
    await ledger.quotas.count_bytes()
    await ledger.write(memory("m1"), link("l1"))
    ledger.quotas.flush()
    if crash:
        await ledger.write(memory("m2"), agent=BOB)  # within the last second: may be forgotten
    ledger.restart(crash=crash)
    use = ledger.quotas.use(ALICE)
    assert (use.memories, use.links, use.storage) == (1, 1, 5)
    await ledger.write(memory("m3"))
    with pytest.raises(QuotaExceeded):
        await ledger.write(memory("m4"))
    ledger.quotas.close()


async def test_bytes_that_nobody_kept_counting_are_counted_anew(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, max_storage_bytes=1000)
    await ledger.quotas.count_bytes()
    await ledger.write(memory("m1"))
    await ledger.write(memory("m2"), agent=BOB)
    ledger.restart()
    ledger.limits = replace(ledger.limits, max_storage_bytes=0)
    ledger.restart()
    await ledger.write(memory("m3"))
    await ledger.write(memory("m2", kind=Kind.DELETE), agent=BOB)
    ledger.limits = replace(ledger.limits, max_storage_bytes=1000)
    ledger.restart()
    assert ledger.quotas.use(ALICE).storage is None
    await ledger.quotas.count_bytes()
    assert ledger.quotas.use(ALICE).storage == 10
    ledger.restart()
    assert [ledger.quotas.use(one).storage for one in (ALICE, BOB)] == [10, 0]
    ledger.quotas.close()


async def test_a_new_day_leaves_the_old_one_on_the_disk_no_longer(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, max_memories_per_day=1)
    await ledger.write(memory("m1"))
    ledger.restart()
    ledger.node.clock.ms += DAY_MS
    assert ledger.quotas.use(ALICE).memories == 0
    await ledger.write(memory("m2"))
    ledger.restart()
    ledger.node.clock.ms -= DAY_MS
    ledger.restart()
    assert ledger.quotas.use(ALICE).memories == 0
    ledger.quotas.close()


async def test_a_page_that_the_disk_refused_is_written_with_the_next_one(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, max_storage_bytes=1000)
    await ledger.quotas.count_bytes()
    await ledger.write(memory("m1"))
    page = ledger.quotas.page()
    assert page is not None
    ledger.quotas.unwritten(page)
    ledger.restart()
    use = ledger.quotas.use(ALICE)
    assert (use.memories, use.storage) == (1, 5)
    ledger.quotas.close()


def test_a_damaged_book_is_put_aside(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "data.mdb").write_bytes(b"no book" * 2000)
    book = QuotaBook(folder)
    assert book.load(1).counts == {}
    assert (tmp_path / "quota.damaged" / "data.mdb").exists()
    book.close()
