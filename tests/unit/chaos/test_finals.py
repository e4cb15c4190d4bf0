"""Equal nodes are written once, and read back each in full."""

import json
import random
from typing import Any

import pytest

from chaos.finals import Restorer, shortened
from chaos.history import FinalRead, MalformedHistoryError, parse_all, read_history

Row = dict[str, Any]


def line(node: str, records: dict[str, str], **others: Any) -> Row:
    return {
        "node": node,
        "clock": {"a": 1},
        "digest": "d",
        "policies": {"s": "h"},
        "standards": {},
        "records": {ident: {"hash": mark, "present": True} for ident, mark in records.items()},
        **others,
    }


def in_file(fields: Row) -> Row:
    return json.loads(
        json.dumps({"kind": "final", "cycle": 1, "scope": "cycle", "at": 1, **fields})
    )


def test_an_equal_node_says_only_that() -> None:
    first, second = line("n1", {"a": "1", "b": "2"}), line("n2", {"a": "1", "b": "2"})
    assert shortened(first, None) == first
    assert shortened(second, first) == {"node": "n2", "same_as": "n1"}


def test_whatever_differs_is_read_back_as_it_was_read() -> None:
    for seed in range(300):
        print(f"seed {seed}")
        rng = random.Random(seed)
        draw = lambda: {i: str(rng.randrange(2)) for i in "abcde" if rng.random() < 0.7}  # noqa: E731, B023
        rows = []
        for node in ("n1", "n2", "n3"):
            row = line(node, draw(), clock={"a": rng.randrange(2)}, digest=rng.choice("de"))
            row["policies"] = {"s": rng.choice("hi")}
            row["standards"] = rng.choice([{}, {"s": [1]}])
            for held in row["records"].values():
                held["present"] = rng.random() < 0.8
            rows.append(row)
        written = [
            in_file(shortened(row, None if at == 0 else rows[0])) for at, row in enumerate(rows)
        ]
        assert parse_all(written) == parse_all(in_file(row) for row in rows)


def test_a_node_that_could_not_be_read_is_nobodys_example() -> None:
    broken = line("n1", {}, error="GET /mesh: 0")
    second = line("n2", {"a": "1"})
    assert shortened(second, broken) == second
    assert shortened(broken, second) == broken


def test_a_value_is_shown_by_the_first_only_and_a_record_may_be_missing() -> None:
    first = line("n1", {"a": "1", "b": "2"})
    first["records"]["a"]["value"] = {"title": "t"}
    third = line("n3", {"b": "2"})
    rows = [in_file(first), in_file(shortened(third, first))]
    assert rows[1]["without"] == ["a"]
    one, other = parse_all(rows)
    assert isinstance(one, FinalRead)
    assert isinstance(other, FinalRead)
    assert one.records["a"].value == {"title": "t"}
    assert list(other.records) == ["b"]


def test_who_is_referred_to_must_have_been_read_in_the_same_cycle() -> None:
    first, second = line("n1", {"a": "1"}), line("n2", {"a": "1"})
    lines = [
        json.dumps(in_file(first)) + "\n",
        json.dumps(in_file(shortened(second, first)) | {"cycle": 2}) + "\n",
    ]
    with pytest.raises(MalformedHistoryError, match="line 2: same_as names a node"):
        list(read_history(lines))


def test_nothing_of_an_earlier_cycle_is_kept() -> None:
    restorer = Restorer()
    restorer.whole(in_file(line("n1", {"a": "1"})))
    restorer.whole(in_file(line("n9", {})) | {"cycle": 2})
    assert list(restorer._rows) == ["n9"]
