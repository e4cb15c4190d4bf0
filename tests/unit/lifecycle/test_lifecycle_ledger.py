"""What was begun to be forgotten is on the disk before it begins, and is found again."""

from dataclasses import replace
from pathlib import Path

import pytest

from node.contracts import Caller, RetryKey
from node.lifecycle.ledger import ANSWERS_MS, Intent, Ledger
from node.lifecycle.toll import Doomed

RETRY = RetryKey(agent="ann", key="k", body=bytes(32))


def one(ident: str = "m", grant: str = "") -> Doomed:
    return Doomed(collection="memory", id=ident, private=True, owner="ann", space="n", grant=grant)


def intent(retry: RetryKey | None = RETRY) -> Intent:
    return Intent(
        name=b"",
        caller=Caller(agent="ann", role="team", namespaces=("n",), local=True, attested=True),
        administrator=True,
        everything=True,
        asked=(one(),),
        beside=(one("x", "bob"),),
        counts={"deleted": 1},
        missing=("y",),
        retry=retry,
    )


async def test_what_was_begun_is_there_after_a_restart(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "f", lambda: 1)
    begun = await ledger.begin(intent())
    with ledger.hold(begun):
        assert (ledger.resting(), ledger.is_busy(begun)) == ([], True)
    sent = await ledger.note_sent(begun)
    ledger.close()
    again = Ledger(tmp_path / "f", lambda: 1)
    assert again.resting() == [sent] == [replace(begun, sent=True)]
    assert again.begun(RETRY) == sent
    assert again.begun(replace(RETRY, body=bytes(31) + b"x")) is None
    # Names of earlier ones are not given again.
    assert (await again.begin(intent(None))).name > sent.name
    again.close()


async def test_an_answer_stays_for_a_day_and_for_its_own_request_alone(tmp_path: Path) -> None:
    now = [1]
    ledger = Ledger(tmp_path / "f", lambda: now[0])
    await ledger.finish(await ledger.begin(intent()))
    ledger.close()
    ledger = Ledger(tmp_path / "f", lambda: now[0])
    told = ledger.answer(RETRY)
    assert told is not None
    assert (told.counts, told.missing, ledger.resting()) == ({"deleted": 1}, ["y"], [])
    assert ledger.answer(replace(RETRY, body=b"x" * 32)) is None
    assert ledger.answer(replace(RETRY, key="other")) is None
    now[0] += ANSWERS_MS + 1
    await ledger.finish(await ledger.begin(intent(None)))
    assert ledger.answer(RETRY) is None
    ledger.close()


async def test_what_came_to_nothing_leaves_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "f", lambda: 1)
    await ledger.drop(await ledger.begin(intent()))
    assert (ledger.resting(), ledger.answer(RETRY)) == ([], None)
    ledger.close()


@pytest.mark.parametrize("junk", [b"", b"\x00" * 8192])
def test_a_damaged_ledger_is_put_aside(tmp_path: Path, junk: bytes) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "data.mdb").write_bytes(junk)
    ledger = Ledger(folder, lambda: 1)
    assert ledger.resting() == []
    ledger.close()
