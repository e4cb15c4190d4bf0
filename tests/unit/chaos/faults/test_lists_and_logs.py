"""What injectors make of lists, files, logs and pages, without a mesh."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chaos.certs import fingerprint_of, make_pair
from chaos.faults.histories import events_in, levels_of, names
from chaos.faults.lists import figure, kept_copy, put_pair, replace_file, with_names, without

OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64


def test_two_pins_stand_beside_each_other_and_one_goes() -> None:
    text = f"{OLD} n1\n{OTHER} n2\n"
    both = with_names(text, {NEW: "n1"})
    assert both == f"{OLD} n1\n{OTHER} n2\n{NEW} n1\n"
    assert with_names(both, {NEW: "n1"}) == both
    assert without(both, [OLD]) == f"{OTHER} n2\n{NEW} n1\n"
    assert without(f"\n  \n{OLD} n1\n", [OLD]) == ""


def test_a_certificate_takes_the_place_of_another_with_its_key(tmp_path: Path) -> None:
    first, second = make_pair(tmp_path / "node", "n1"), make_pair(tmp_path / "new", "n1-new")
    process: Any = SimpleNamespace(name="n1", pair=first)
    copy = kept_copy(process, tmp_path / "kept")
    put_pair(process, second)
    assert (process.pair.certificate, process.pair.key) == (first.certificate, first.key)
    assert fingerprint_of(first.certificate) == second.fingerprint == process.pair.fingerprint
    assert first.key.read_bytes() == second.key.read_bytes()
    assert first.key.stat().st_mode & 0o077 == 0
    assert fingerprint_of(copy.certificate) == copy.fingerprint == first.fingerprint
    put_pair(process, copy)
    assert fingerprint_of(first.certificate) == first.fingerprint


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("before")
    with path.open() as held:
        replace_file(path, b"after", 0o644)
        assert held.read() == "before"
    assert path.read_text() == "after"
    assert [one.name for one in tmp_path.iterdir()] == ["list"]


def test_a_figure_is_read_from_a_page_of_metrics() -> None:
    page = '# HELP a_total x\na_total{reason="b"} 3\na_total{reason="bc"} 4.5\n'
    assert figure(page, 'a_total{reason="b"}') == 3
    assert figure(page, 'a_total{reason="bc"}') == 4.5
    assert figure(page, 'a_total{reason="d"}') == 0


def test_events_are_found_among_whatever_a_node_said() -> None:
    rows = [{"event": "log_truncated", "bundles": 3}, {"event": "peer_connected"}]
    text = "\n".join([json.dumps(rows[0]), "Traceback:", "[1]", json.dumps(rows[1]), '{"event":'])
    assert events_in(text, "log_truncated") == rows[:1]
    assert events_in(text, "store_swapped") == []


def test_versions_of_a_policy_are_told_in_one_order() -> None:
    rows = [{"governance": {"write": "deny"}}, {"governance": {"write": "any"}}, {}]
    assert levels_of({"standards": rows}) == "None any deny"
    assert levels_of({}) == ""


def test_no_name_is_the_beginning_of_another() -> None:
    cycle: Any = SimpleNamespace(number=1, rng=SimpleNamespace(getrandbits=lambda _bits: 7))
    made = names(cycle, "x", 120)
    assert len(set(made)) == 120
    assert not any(a != b and b.startswith(a) for a in made for b in made)
