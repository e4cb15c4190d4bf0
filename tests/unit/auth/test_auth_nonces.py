import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from node.auth.nonces import NonceStore, NoNonces, nonce_key
from node.errors import IntegrityError, Unavailable

DAY_MS = 86_400_000


class Clock:
    def __init__(self) -> None:
        self.ms = 20_000 * DAY_MS

    def now_ms(self) -> int:
        return self.ms


def opened(path: Path, clock: Clock) -> NonceStore:
    post = asyncio.get_running_loop().call_soon_threadsafe
    return NonceStore(path / "nonces", post=post, now_ms=clock.now_ms)


async def test_a_nonce_is_fresh_once_also_after_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path, Clock())
    assert await store.take("agent", "ai:alice", "n")
    assert not await store.take("agent", "ai:alice", "n")
    store.close()
    store = opened(tmp_path, Clock())
    assert not await store.take("agent", "ai:alice", "n")
    assert await store.take("agent", "ai:alice", "m")
    store.close()
    assert (tmp_path / "nonces").stat().st_mode & 0o777 == 0o700


async def test_of_many_at_once_exactly_one_wins(tmp_path: Path) -> None:
    store = opened(tmp_path, Clock())
    fresh = await asyncio.gather(*(store.take("agent", "a", "n") for _ in range(200)))
    assert sorted(fresh) == [False] * 199 + [True]
    store.close()


async def test_those_that_wait_share_a_transaction(tmp_path: Path) -> None:
    store = opened(tmp_path, Clock())
    fresh = await asyncio.gather(*(store.take("peer", "b", f"n{n}") for n in range(2000)))
    assert all(fresh)
    assert store.transactions <= 200
    store.close()


async def test_kind_owner_and_text_make_the_nonce(tmp_path: Path) -> None:
    store = opened(tmp_path, Clock())
    for triple in (
        ("agent", "a", "n"),
        ("peer", "a", "n"),
        ("agent", "an", ""),
        ("agent", "", "an"),
    ):
        assert await store.take(*triple), triple
    store.close()


def test_no_two_triples_run_together() -> None:
    keys = {nonce_key(*triple) for triple in (("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""))}
    assert len(keys) == 3
    assert {len(key) for key in keys} == {16}


async def test_a_nonce_is_remembered_for_at_least_four_hundred_days(tmp_path: Path) -> None:
    clock = Clock()
    store = opened(tmp_path, clock)
    for day in range(0, 401, 40):
        clock.ms = (20_000 + day) * DAY_MS
        assert await store.take("agent", "a", f"day {day}")
        store.prune()
        assert not await store.take("agent", "a", "day 0"), day
    store.close()


async def test_old_generations_go_one_at_a_time(tmp_path: Path) -> None:
    clock = Clock()
    store = opened(tmp_path, clock)
    assert await store.take("agent", "a", "old")
    clock.ms += 100 * DAY_MS
    assert await store.take("agent", "a", "newer")
    clock.ms += 900 * DAY_MS
    assert await store.take("agent", "a", "now")
    assert store.prune()
    assert await store.take("agent", "a", "old")
    assert not await store.take("agent", "a", "newer")
    assert store.prune()
    assert not store.prune()
    assert not await store.take("agent", "a", "now")
    store.close()


async def test_a_clock_set_back_forgets_nothing(tmp_path: Path) -> None:
    clock = Clock()
    store = opened(tmp_path, clock)
    assert await store.take("agent", "a", "n")
    clock.ms = 0
    assert not await store.take("agent", "a", "n")
    assert await store.take("agent", "a", "m")
    assert not store.prune()
    store.close()


async def test_what_cannot_be_remembered_is_not_accepted(tmp_path: Path) -> None:
    store = opened(tmp_path, Clock())
    store.close()
    store.close()
    for memory in (store, NoNonces()):
        with pytest.raises(Unavailable):
            await memory.take("agent", "a", "n")


async def test_a_failing_disk_refuses_and_later_ones_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path, Clock())
    with monkeypatch.context() as patched:
        patched.setattr(store, "_commit", _fail)
        with pytest.raises(Unavailable, match="no space"):
            await store.take("agent", "a", "n")
    assert await store.take("agent", "a", "n")
    store.close()


def _fail(_keys: list[bytes]) -> list[bool]:
    raise OSError("no space left on device")


async def test_a_request_that_gave_up_leaves_the_others_alone(tmp_path: Path) -> None:
    store = opened(tmp_path, Clock())
    given_up = asyncio.ensure_future(store.take("agent", "a", "n"))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await store.take("agent", "a", "m")
    assert not await store.take("agent", "a", "n")
    store.close()


@pytest.mark.parametrize("keep", [0.5, 0.0])
async def test_a_damaged_memory_is_an_error_or_whole_and_never_a_crash(
    tmp_path: Path, keep: float
) -> None:
    store = opened(tmp_path, Clock())
    await asyncio.gather(*(store.take("agent", "a", f"n{n}") for n in range(3000)))
    store.close()
    file = tmp_path / "nonces" / "data.mdb"
    data = file.read_bytes()
    kept = int(len(data) * keep)
    file.write_bytes(data[:kept] if kept else b"no database" * 1000)
    try:
        store = opened(tmp_path, Clock())
    except IntegrityError as error:
        assert "Set the folder aside" in str(error)  # noqa: PT017 - one of two good ends
        return
    for number in range(3000):
        with suppress(Unavailable):
            await store.take("agent", "a", f"n{number}")
    store.close()
