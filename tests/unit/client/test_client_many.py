"""Pages of a list that changes while it is read, and pieces that fit."""

import json
import random
from typing import Any, cast

import pytest

from node.client.many import Pages, add_bulk, add_import, no_bulk, no_import, pieces
from node.client.values import Memory


def memory(number: int) -> Memory:
    return cast("Memory", {"id": f"m{number}"})


@pytest.mark.parametrize("seed", range(40))
def test_a_list_that_changes_is_read_whole_and_once(seed: int) -> None:
    rng = random.Random(seed)
    shown = list(range(rng.randrange(200)))[::-1]
    stays = set(rng.sample(shown, len(shown) // 2))
    fresh = 1000
    pages, got = Pages(page=rng.choice([2, 5, 16, 50])), []
    for _ in range(10_000):
        if pages.done:
            break
        part = [memory(number) for number in shown[pages.offset :][: pages.limit]]
        got += [entry["id"] for entry in pages.take(part)]
        for _ in range(rng.randrange(4)):
            shown.insert(0, fresh)
            fresh += 1
        going = [number for number in shown if number not in stays]
        for number in rng.sample(going, min(len(going), rng.randrange(6))):
            shown.remove(number)
    assert pages.done
    assert len(got) == len(set(got))
    assert {f"m{number}" for number in stays} <= set(got), f"seed {seed}"


def test_an_empty_list_is_read_at_once() -> None:
    pages = Pages()
    assert pages.take([]) == []
    assert pages.done


def test_pieces_fit_into_a_request() -> None:
    items = [{"content": "é" * (number * 37 % 900)} for number in range(300)]
    cut = list(pieces(items, items_max=50, bytes_max=5_000))
    assert [item for piece in cut for item in piece] == items
    assert all(len(piece) <= 50 for piece in cut)
    assert all(len(json.dumps(p, ensure_ascii=False).encode()) <= 5_000 for p in cut if len(p) > 1)


def test_places_in_reports_are_those_of_the_whole_input() -> None:
    total = no_bulk()
    add_bulk(total, {"created": 2, "ids": ["a", "b"], "errors": [], "pending": []}, 0)
    answer: dict[str, Any] = {"created": 0, "ids": [], "errors": [{"index": 1, "error": "no"}]}
    add_bulk(total, answer | {"pending": [{"index": 0, "pending_id": "p"}]}, 1000)
    assert total["created"] == 2
    assert total["errors"] == [{"index": 1001, "error": "no"}]
    assert total["pending"] == [{"index": 1000, "pending_id": "p"}]
    taken = no_import()
    add_import(taken, {"imported": 1, "skipped": 2, "errors": [{"index": 0, "error": "no"}]}, 5)
    assert taken == {"imported": 1, "skipped": 2, "errors": [{"index": 5, "error": "no"}]}
