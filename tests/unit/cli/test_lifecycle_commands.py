"""`mnemesh archive`, `forget`, `consolidate`, `gc` and their like: what they send and print."""

from typing import Any

import pytest

from tests.unit.cli.standin import Mnemesh, StandIn

DURABLE = {"local": True, "acks": 2, "needed": 2, "peers": ["node-b"], "dot": "d", "token": "t"}
API = "/api/v1"
ROW = {
    "id": "m-1",
    "title": "A title",
    "namespace": "n",
    "original_tier": "mid",
    "archived_at": "2026-01-01T00:00:00.000Z",
    "archive_reason": "old",
}


def test_the_archive_is_a_table_or_json(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    told = {"memories": [ROW], "count": 1}
    standin.on("GET", f"{API}/archive", 200, told)
    ran = mnemesh("archive", "list", "--namespace", "n", "--limit", "7", *here)
    assert ran.code == 0, ran.err
    assert "A title" in ran.out
    assert standin.asked[0][1].partition("?")[2] == "namespace=n&limit=7"
    assert mnemesh("archive", "list", *here, "--json").json == told
    stats = {"total": 1, "by_namespace": [{"namespace": "n", "count": 1}]}
    standin.on("GET", f"{API}/archive/stats", 200, stats)
    assert "1 memory" in mnemesh("archive", "stats", *here).out


def test_into_the_archive_and_out_of_it(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    answer = {"archived": 1, "missing": ["m-2"], "durability": DURABLE}
    standin.on("POST", f"{API}/archive", 200, answer)
    assert mnemesh("archive", "add", "m-1", "m-2", *here, "--dry-run").code == 0
    assert not standin.asked
    ran = mnemesh("archive", "add", "m-1", "m-2", "--reason", "old", *here)
    assert (ran.code, "not found: m-2" in ran.out) == (1, True)
    assert standin.asked[0][3] == {"ids": ["m-1", "m-2"], "reason": "old"}
    restored = {"restored": True, "id": "m-1", "durability": DURABLE}
    standin.on("POST", f"{API}/archive/m-1/restore", 200, restored)
    ran = mnemesh("archive", "restore", "m-1", "--idempotency-key", "k", *here)
    assert ran.out.startswith("restored m-1 (held by 2"), ran.out
    assert standin.asked[1][2]["idempotency-key"] == "k"


def test_what_is_purged_is_said_and_confirmed(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    purged = {"purged": 3, "durability": DURABLE}
    standin.on("DELETE", f"{API}/archive", 200, purged)
    for wrong in ((), ("m-1", "--all"), ("--all",)):
        assert mnemesh("archive", "purge", *wrong, *here).code == 2
    assert not standin.asked
    ran = mnemesh("archive", "purge", "--older-than-days", "30", "--yes", *here)
    assert ran.out.startswith("deleted 3"), ran.err
    assert standin.asked[0][1].partition("?")[2] == "older_than_days=30"


def test_to_forget_shows_the_toll_asks_and_waits(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    toll = {"deleted": 2, "derived": 1, "links_deleted": 3, "missing": []}
    standin.on("POST", f"{API}/forget", 200, {**toll, "durability": DURABLE})
    assert mnemesh("forget", *here).code == 2
    assert not standin.asked
    ran = mnemesh("forget", "--agent", "ai:a", *here)
    assert ran.code == 2
    assert [one[3].get("dry_run") for one in standin.asked] == [True]
    ran = mnemesh("forget", "--agent", "ai:a", "--dry-run", *here)
    assert "would forget 2 memories, 1 of them derived, 3 links" in ran.out
    standin.asked.clear()
    ran = mnemesh("forget", "m-1", "m-2", "--pattern", "x", "--yes", *here)
    assert (ran.code, ran.out.startswith("forgot 2 memories")) == (0, True), ran.err
    assert [one[3] for one in standin.asked] == [{"ids": ["m-1", "m-2"], "pattern": "x"}]


def test_one_of_several(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    answer = {"id": "m-9", "consolidated": 2, "durability": DURABLE}
    standin.on("POST", f"{API}/consolidate", 201, answer)
    ran = mnemesh("consolidate", "m-1", "m-2", "--title", "T", *here)
    assert ran.out.startswith("consolidated 2 into m-9"), ran.err
    assert standin.asked[0][3] == {"ids": ["m-1", "m-2"], "title": "T"}


@pytest.mark.parametrize(
    ("words", "route", "answer", "said"),
    [
        (("gc", "--yes"), ("POST", "/gc"), {"expired_deleted": 4}, "ended 4 expired memories"),
        (
            ("promote", "m-1"),
            ("POST", "/memories/m-1/promote"),
            {"status": "pending", "pending_id": "a:1"},
            "waits for approval as a:1",
        ),
        (
            ("duplicates", "text"),
            ("POST", "/check_duplicate"),
            {"is_duplicate": True, "matches": [{"id": "m-1", "title": "t", "similarity": 0.9}]},
            "0.900",
        ),
        (
            ("contradictions", "topic"),
            ("GET", "/contradictions"),
            {"contradictions": [{"kind": "merge", "id": "m-1", "field": "title"}], "memories": []},
            "merge",
        ),
    ],
)
def test_the_others(
    mnemesh: Mnemesh,
    standin: StandIn,
    words: tuple[str, ...],
    route: tuple[str, str],
    answer: dict[str, Any],
    said: str,
) -> None:
    standin.on(route[0], f"{API}{route[1]}", 200, answer)
    ran = mnemesh(*words, "--data-dir", standin.paths.data_dir)
    assert ran.code == 0, ran.err
    assert said in ran.out
    assert mnemesh(*words, "--data-dir", standin.paths.data_dir, "--json").json == answer
