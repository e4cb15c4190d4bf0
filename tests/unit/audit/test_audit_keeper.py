"""What is recorded is in the chain, whatever happens to the disk and to the process."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from node.audit.chain import Bad, Link, verify_chain
from node.audit.events import UnknownEventError
from node.audit.files import GrowingChain
from node.audit.mirror import LINES_MAX, Mirror
from node.audit.segments import read_tail, segments, tail_lines, verify_folder
from tests.unit.audit.audit_rig import (
    KEY,
    OWNER,
    T0_MS,
    Clock,
    chain_of,
    entries_of,
    keep,
    key_of,
    owner_of,
    until,
)


def events(folder: Path) -> list[str]:
    return [str(line.split(b'"event":"')[1].split(b'"')[0].decode()) for line in entries_of(folder)]


def test_everything_recorded_is_there_after_an_orderly_stop(tmp_path: Path) -> None:
    kept = keep(tmp_path / "audit")
    for number in range(500):
        kept.keeper.record("policy_set", namespace=f"team/{number}")
    kept.keeper.close()
    verdict = verify_folder(tmp_path / "audit", OWNER)
    assert (verdict.holds, verdict.rows_checked) == (True, 500)
    assert verdict.head == kept.keeper.head
    assert kept.keeper.counts["policy_set"] == 500


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    kept = keep(tmp_path / "audit")
    kept.keeper.record("started")
    kept.keeper.close()
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700
    for path in (tmp_path / "audit").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_chain_goes_on_where_it_ended(tmp_path: Path) -> None:
    for _ in range(3):
        kept = keep(tmp_path)
        kept.keeper.record("started")
        kept.keeper.close()
    assert verify_folder(tmp_path, OWNER).rows_checked == 3
    assert len(segments(tmp_path)) == 1


def test_many_threads_record_and_none_waits_for_the_disk(tmp_path: Path) -> None:
    kept = keep(tmp_path)

    def work() -> None:
        for _ in range(100):
            kept.keeper.record("vote", agent="human:a")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept.keeper.close()
    assert verify_folder(tmp_path, OWNER).rows_checked == 800


def test_a_misspelt_event_is_a_programmers_error(tmp_path: Path) -> None:
    kept = keep(tmp_path)
    with pytest.raises(UnknownEventError):
        kept.keeper.record("policy_sett")
    kept.keeper.close()


def test_a_torn_last_line_is_cut_and_the_cut_is_an_entry(tmp_path: Path) -> None:
    lines, links = chain_of(3)
    first = keep(tmp_path)
    first.keeper.close()
    path = tmp_path / f"{1:016d}.jsonl"
    path.write_bytes(b"".join(lines)[:-30])
    assert verify_folder(tmp_path, OWNER).first_bad == Bad(3, "torn")
    kept = keep(tmp_path)
    kept.keeper.close()
    assert events(tmp_path) == ["policy_set", "policy_set", "chain_recovered"]
    assert verify_folder(tmp_path, OWNER).holds
    assert verify_folder(tmp_path, OWNER, claims=[links[2]]).first_bad is not None, "but it shows"


def test_sectors_that_a_power_loss_left_unwritten_are_cut_with_all_after_them(
    tmp_path: Path,
) -> None:
    lines, _ = chain_of(6)
    data, synced = b"".join(lines), len(lines[0]) + len(lines[1])
    path = tmp_path / f"{1:016d}.jsonl"
    for hole in (range(synced, synced + 200), range(synced + 50, len(data) - 100)):
        for left in tmp_path.iterdir():
            left.unlink()
        keep(tmp_path).keeper.close()
        path.write_bytes(data[: hole.start] + b"\0" * len(hole) + data[hole.stop :])
        assert verify_folder(tmp_path, OWNER).first_bad == Bad(3, "torn")
        keep(tmp_path).keeper.close()
        assert events(tmp_path) == ["policy_set", "policy_set", "chain_recovered"]
        assert verify_folder(tmp_path, OWNER).holds


def test_other_damage_is_reported_and_never_mended(tmp_path: Path) -> None:
    keep(tmp_path).keeper.close()
    lines, _ = chain_of(4)
    damaged = bytearray(b"".join(lines))
    damaged[len(lines[0]) + 40] ^= 1
    path = tmp_path / f"{1:016d}.jsonl"
    path.write_bytes(bytes(damaged))
    kept = keep(tmp_path)
    kept.keeper.record("started")
    kept.keeper.close()
    assert path.read_bytes() == bytes(damaged)
    assert events(tmp_path)[-2:] == ["chain_broken", "started"]
    verdict = verify_folder(tmp_path, OWNER)
    assert verdict.first_bad is not None
    assert verdict.first_bad.seq == 2
    again = keep(tmp_path)
    again.keeper.close()
    assert events(tmp_path)[-1] == "started", "told once"


def test_a_flood_of_refusals_is_few_entries_that_say_how_many(tmp_path: Path) -> None:
    kept = keep(tmp_path)
    for _ in range(5_000):
        kept.keeper.record("refused", agent="ai:a")
    kept.keeper.close()
    found = list(entries_of(tmp_path))
    assert len(found) == 51
    assert b'"count":4950' in found[-1]


def test_what_does_not_fit_into_the_queue_is_counted_in_an_entry(tmp_path: Path) -> None:
    held, began = threading.Event(), threading.Event()

    def busy() -> None:
        began.set()
        assert held.wait(20)

    kept = keep(tmp_path, queue_entries_max=10)
    kept.keeper.run(busy, lambda _result, _error: None)
    assert began.wait(20)
    for number in range(25):
        kept.keeper.record("policy_set", n=number)
    assert kept.keeper.dropped == 15
    held.set()
    kept.keeper.close()
    found = list(entries_of(tmp_path))
    assert len(found) == 11
    assert b'"event":"entries_dropped"' in found[-1]
    assert b'"count":15' in found[-1]


def test_a_full_disk_holds_the_queue_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep(tmp_path)
    full = [True]
    really = GrowingChain._write

    def write(self: GrowingChain, data: bytes) -> None:
        if full[0]:
            really(self, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        really(self, data)

    monkeypatch.setattr(GrowingChain, "_write", write)
    kept.keeper.record("policy_set", n=1)
    kept.keeper.record("policy_set", n=2)
    until(lambda: kept.troubles)
    assert kept.keeper.head.seq == 0, "nothing is claimed"
    full[0] = False
    until(lambda: kept.keeper.head.seq == 2)
    kept.keeper.close()
    assert kept.troubles == [("audit_stalled", os.strerror(errno.ENOSPC))]
    assert verify_folder(tmp_path, OWNER).rows_checked == 2


def test_a_failing_disk_ends_it_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep(tmp_path)

    def write(_self: GrowingChain, _data: bytes) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(GrowingChain, "_write", write)
    kept.keeper.record("policy_set")
    until(lambda: kept.failures)
    kept.keeper.record("policy_set")
    kept.keeper.close()
    assert len(kept.failures) == 1
    assert kept.keeper.head.seq == 0


def test_segments_are_closed_by_size_and_one_that_is_missing_shows(tmp_path: Path) -> None:
    chain = GrowingChain(tmp_path, OWNER, segment_bytes_max=2_000)
    lines, links = chain_of(40)
    for line, link in zip(lines, links, strict=True):
        chain.append([line], link)
    chain.close()
    held = segments(tmp_path)
    assert len(held) > 5
    assert verify_folder(tmp_path, OWNER).rows_checked == 40
    assert read_tail(tmp_path, OWNER).link == links[-1]
    held[2].path.unlink()
    verdict = verify_folder(tmp_path, OWNER)
    assert verdict.first_bad == Bad(held[2].first, "segment_missing")


def test_old_segments_go_and_the_rest_still_verifies(tmp_path: Path) -> None:
    chain = GrowingChain(tmp_path, OWNER, segment_bytes_max=2_000)
    lines, links = chain_of(40)
    for line, link in zip(lines, links, strict=True):
        chain.append([line], link)
    chain.close()
    clock = Clock(T0_MS + 20 + 86_400_000)
    kept = keep(tmp_path, clock=clock, retention_days=1.0)
    kept.keeper.drop_old()
    until(lambda: not (tmp_path / f"{1:016d}.jsonl").exists())
    kept.keeper.close()
    assert "segments_dropped" in events(tmp_path)
    first = segments(tmp_path)[0].first
    assert 1 < first <= 21
    verdict = verify_folder(tmp_path, OWNER, claims=[links[1], links[first - 2], links[30]])
    assert verdict.holds
    assert verdict.rows_checked == 41 - (first - 1)


def test_a_death_while_segments_go_leaves_a_chain_that_holds(tmp_path: Path) -> None:
    chain = GrowingChain(tmp_path, OWNER, segment_bytes_max=2_000)
    lines, links = chain_of(40)
    for line, link in zip(lines, links, strict=True):
        chain.append([line], link)
    old = {s.path: s.path.read_bytes() for s in segments(tmp_path)}
    through = chain.drop(T0_MS + 20, at=T0_MS, sign=KEY.sign)
    assert through is not None
    chain.close()
    for path, data in list(old.items())[1:]:  # the first was gone already, the rest not yet
        path.write_bytes(data)
    verdict = verify_folder(tmp_path, OWNER)
    assert (verdict.holds, verdict.rows_checked) == (True, 40 - through.seq)


def test_a_forged_anchor_does_not_hide_what_is_missing(tmp_path: Path) -> None:
    lines, links = chain_of(10)
    keep(tmp_path).keeper.close()
    (tmp_path / f"{5:016d}.jsonl").write_bytes(b"".join(lines[4:]))
    assert verify_folder(tmp_path, OWNER).first_bad == Bad(1, "segment_missing")
    other = GrowingChain(tmp_path / "other", owner_of(key_of(2)), segment_bytes_max=1)
    for line, link in zip(*chain_of(6, key_of(2)), strict=True):
        other.append([line], link)
    assert other.drop(T0_MS + 4, at=T0_MS, sign=key_of(2).sign) is not None
    (tmp_path / "anchor.json").write_bytes((tmp_path / "other" / "anchor.json").read_bytes())
    assert verify_folder(tmp_path, OWNER).first_bad == Bad(1, "anchor")
    assert links


def test_the_chain_of_another_key_is_kept_aside(tmp_path: Path) -> None:
    kept = keep(tmp_path)
    kept.keeper.record("started")
    kept.keeper.close()
    other = key_of(9)
    again = keep(tmp_path, key=other)
    again.keeper.close()
    assert events(tmp_path) == ["chain_recovered"]
    assert verify_folder(tmp_path, owner_of(other)).holds
    assert verify_folder(tmp_path / "earlier-1", OWNER).rows_checked == 1


def test_a_chain_that_grows_is_verified_up_to_where_it_was(tmp_path: Path) -> None:
    lines, links = chain_of(5)
    path = tmp_path / f"{1:016d}.jsonl"
    path.write_bytes(b"".join(lines) + b'{"seq":6,"at"')
    assert verify_folder(tmp_path, OWNER, upto=5, claims=[links[4]]).holds
    assert not verify_folder(tmp_path, OWNER, upto=5, claims=[Link(5, links[0].hash)]).holds


def test_the_last_lines_are_read_from_the_end(tmp_path: Path) -> None:
    lines, _ = chain_of(400)
    path = tmp_path / "x"
    path.write_bytes(b"".join(lines) + b"torn")
    assert tail_lines(path, 3) == [line[:-1] for line in lines[-3:]]
    assert tail_lines(path, 1000) == [line[:-1] for line in lines]
    assert tail_lines(path, 0) == []


def test_the_mirror_gets_the_very_lines_and_follows_rotation(tmp_path: Path) -> None:
    target = tmp_path / "siem.jsonl"
    kept = keep(tmp_path / "audit", mirror=target)
    kept.keeper.record("started")
    until(lambda: kept.keeper.head.seq == 1 and target.exists() and target.stat().st_size)
    target.rename(tmp_path / "siem.1")
    kept.keeper.record("stopped")
    kept.keeper.close()
    both = (tmp_path / "siem.1").read_bytes() + target.read_bytes()
    assert verify_chain(both, OWNER).rows_checked == 2


def test_a_mirror_that_cannot_be_written_never_holds_up_the_chain(tmp_path: Path) -> None:
    target = tmp_path / "away" / "siem.jsonl"
    kept = keep(tmp_path / "audit", mirror=target)
    kept.keeper.record("started")
    until(lambda: kept.keeper.head.seq == 1 and kept.troubles)
    assert kept.troubles[0][0] == "audit_mirror_failed"
    target.parent.mkdir()
    kept.keeper.record("stopped")
    kept.keeper.close()
    assert verify_chain(target.read_bytes(), OWNER).rows_checked == 2, "what waited came too"


def test_lines_for_a_mirror_wait_within_bounds(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "away" / "x")
    assert isinstance(mirror.write([b"line\n"] * (LINES_MAX + 5)), OSError)
    assert mirror.dropped == 5
