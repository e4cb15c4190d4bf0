"""Every section, over facts with one fault planted in each."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.doctor import SECTIONS, Facts, Finding, Section, Severity, examine, worst_of
from node.doctor import finding as told
from node.doctor.facts import ChainFacts, ConfigFacts, NodeFacts
from tests.unit.doctor.healthy import NOW_MS, A, healthy, mesh_with, policy
from tests.unit.doctor.planted_facts import CRITICAL, INFO, PLANTED, governed, switched

_ONLY_WHEN_THERE = {"foreign", "hooks", "documents"}
_KINDS = {kind.name: (check.name, kind) for check in SECTIONS for kind in check.kinds}
_MODES = {"mode-refused", "member-does-not-enforce"}
_ALONE = mesh_with(n=1, w=1, reach=1, members=())


def by_name(facts: Facts) -> dict[str, Section]:
    return {section.name: section for section in examine(facts)}


def test_a_healthy_node_is_well_in_every_section() -> None:
    sections = examine(healthy())
    wanted = [check.name for check in SECTIONS if check.name not in _ONLY_WHEN_THERE]
    assert [section.name for section in sections] == wanted
    assert {section.severity for section in sections} == {Severity.OK}
    assert all(section.findings for section in sections)


@pytest.mark.parametrize(
    ("kind", "planted", "severity", "word"),
    PLANTED,
    ids=[f"{number}-{row[0]}" for number, row in enumerate(PLANTED)],
)
def test_what_is_planted_is_found_in_its_section_alone(
    kind: str, planted: dict[str, Any], severity: Severity, word: str
) -> None:
    sections = by_name(healthy(**planted))
    bad = {n: section.severity for n, section in sections.items() if section.severity}
    name = _KINDS[kind][0]
    if kind == "switch-weakened" and "federation" not in word:
        name = next(iter(bad))
        assert name in {"governance", "exposure"}
    assert bad == {name: severity}
    (found,) = [f for f in sections[name].findings if f.severity is severity]
    assert word in found.text
    assert found.link == f"docs/doctor.md#{kind}"
    assert severity is INFO or found.fix
    assert not found.text.endswith(".")


def test_every_kind_is_planted_with_each_of_its_severities() -> None:
    planted = {(row[0], row[2]) for row in PLANTED}
    wanted = {(kind.name, how) for _, kind in _KINDS.values() for how in kind.severities}
    assert planted == wanted


def test_no_two_kinds_share_a_name_and_each_says_what_it_means() -> None:
    names = [kind.name for check in SECTIONS for kind in check.kinds]
    assert len(names) == len(set(names)) >= 80
    for _, kind in _KINDS.values():
        assert kind.means.endswith(".")
        assert kind.do.endswith(".")


@given(seed=st.integers(min_value=0, max_value=2**32))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_what_is_planted_together_is_found_together(seed: int) -> None:
    """Sections do not hide each other, whatever else is wrong."""
    dice, together, wanted = random.Random(seed), {}, set()
    for kind, planted, _, _ in dice.sample(PLANTED, len(PLANTED)):
        # Of modes only one is told: that which holds.
        if (
            not together.keys() & planted.keys()
            and kind not in _MODES
            and planted.get("mesh") != _ALONE
        ):
            together |= planted
            wanted.add(f"docs/doctor.md#{kind}")
    found = {f.link for section in examine(healthy(**together)) for f in section.findings}
    assert wanted <= found, f"seed {seed}: {wanted - found}"


def test_a_kind_refuses_a_case_that_is_not_its_own() -> None:
    kind = _KINDS["disk-low"][1]
    with pytest.raises(ValueError, match="info"):
        kind("x", fix="y", severity=INFO)
    with pytest.raises(ValueError, match="fix"):
        kind("x")
    assert kind("x", fix="y", severity=CRITICAL).severity is CRITICAL


def test_a_policy_that_can_be_met_is_no_finding() -> None:
    policies = {
        "a": (policy("a", write="approve"),),
        "b": (policy("b", write="approve", approver={"consensus": 2}),),
        "c": (policy("c", write="registered", delete="owner"),),
        "d": (policy("d"),),
    }
    assert by_name(healthy(**governed(policies=policies)))["governance"].severity is Severity.OK


def test_parents_in_a_loop_end() -> None:
    looped = {
        "x": (told_policy("x", "y"),),
        "y": (told_policy("y", "x"),),
    }
    assert by_name(healthy(**governed(policies=looped)))["governance"].severity is Severity.OK


def told_policy(namespace: str, parent: str) -> Any:
    return replace(policy(namespace, write="approve", inherit=True), parent=parent)


def test_an_own_weakened_mode_is_told_once() -> None:
    planted = {**governed(modes={A: "advisory"}), **switched("permissions", mode="advisory")}
    found = by_name(healthy(**planted))["governance"].findings
    assert [f.severity for f in found] == [CRITICAL]


def test_a_mode_that_the_mesh_refuses_is_not_told_as_if_it_held() -> None:
    off = switched("permissions", mode="off")
    (found,) = by_name(healthy(**governed(mode_refused=True), **off))["governance"].findings
    assert "goes on enforcing" in found.text
    kept = governed(mode_refused=True, modes={A: "advisory"})
    told_of = by_name(healthy(**kept, **off))["governance"].findings
    assert ["advisory" in f.text for f in told_of] == [True, True]


def test_a_countersignature_may_take_its_time_after_a_start() -> None:
    chain = ChainFacts(holds=True, length=4, countersigned=0, peers=2)
    young = healthy(chain=chain, node=NodeFacts(running=True, up_ms=5_000))
    assert by_name(young)["audit"].severity is Severity.OK


def test_what_cannot_be_looked_at_is_left_out() -> None:
    bare = Facts(
        now_ms=NOW_MS, node=NodeFacts(running=False, trouble="x"), config=ConfigFacts(path="c")
    )
    assert [section.name for section in examine(bare)] == ["node", "config"]


def test_a_section_is_as_bad_as_its_worst_finding() -> None:
    findings = (
        Finding(severity=Severity.WARNING, text="w"),
        Finding(severity=Severity.INFO, text="i"),
    )
    section = Section(name="x", findings=findings)
    assert section.severity is Severity.WARNING
    assert Section(name="y", findings=()).severity is Severity.OK
    assert worst_of([section, Section(name="y", findings=())]) is Severity.WARNING
    assert worst_of([]) is Severity.OK
    assert told.as_json([section]) == {
        "severity": "warning",
        "sections": [
            {
                "name": "x",
                "severity": "warning",
                "findings": [
                    {"severity": "warning", "text": "w", "fix": "", "link": ""},
                    {"severity": "info", "text": "i", "fix": "", "link": ""},
                ],
            }
        ],
    }
