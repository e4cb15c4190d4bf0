"""Alerts, dashboard and their page ask for what exists and agree with one another."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
import yaml

from chaos.catalogue import CATALOGUE
from node.metrics import KNOWN_VALUES, TABLE, sample_names
from tests.architecture import dashboard
from tests.architecture.docs_blocks import text_of
from tests.architecture.monitoring_page import PAGE, ROOT, SHIPPED, alerts, faults, page

_NAME: Final = re.compile(r"\b(?:mnemesh|process)_\w+\b")
_LABELS: Final = re.compile(r"(mnemesh_\w+)\{([^}]*)\}")
_OURS: Final = sample_names()
_OTHERS: Final = frozenset({"process_start_time_seconds", "process_resident_memory_bytes"})
CASES: Final = sorted(SHIPPED.glob("*.tests.yml"))
_SEVERITIES: Final = frozenset({"warning", "critical"})
needs_promtool: Final = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="this machine has no promtool (Debian: apt install prometheus)",
)


def promtool(*words: object) -> str:
    """What it says; fails with it when it is not content."""
    program = shutil.which("promtool")
    with TemporaryDirectory() as scratch:
        ran = subprocess.run(
            [str(program), *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | {"TMPDIR": scratch},
        )
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}"
    return ran.stdout


def asked() -> Iterable[tuple[str, str]]:
    """(who asks, what) of all that is shipped."""
    yield from ((alert.name, alert.expression) for alert in alerts())
    yield from dashboard.expressions()


def test_everything_asks_for_metrics_that_exist() -> None:
    for who, ask in asked():
        strange = set(_NAME.findall(ask)) - _OURS - _OTHERS
        assert not strange, f"{who} asks for {strange}"


def test_everything_asks_for_labels_and_values_that_exist() -> None:
    labels = {row.name: {*row.labels, "le", "job", "instance"} for row in TABLE}
    for who, ask in asked():
        for name, chosen in _LABELS.findall(ask):
            family = name if name in labels else name.rpartition("_")[0]
            for label, value in re.findall(r'(\w+)(?:=|!=|=~|!~)"([^"]*)"', chosen):
                assert label in labels[family], f"{who}: {name} has no label {label}"
                known = KNOWN_VALUES.get(family.removeprefix("mnemesh_"))
                if known is not None and value.isidentifier() and label not in {"job", "instance"}:
                    assert value in known, f"{who}: nothing is counted as {value} in {name}"


def test_every_alert_says_how_bad_what_and_where_to_read_on() -> None:
    text = text_of(PAGE)
    heads = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    for alert in alerts():
        assert alert.severity in _SEVERITIES
        assert set(alert.annotations) == {"summary", "description", "runbook"}, alert.name
        assert "$labels.instance" in alert.annotations["summary"], alert.name
        assert alert.annotations["description"].endswith("."), alert.name
        name, _, anchor = alert.annotations["runbook"].partition("#")
        assert (ROOT / name).is_file()
        assert anchor == alert.name.lower()
        assert alert.name in heads, f"{PAGE} has no section {alert.name}"


def test_every_section_says_what_to_run_first() -> None:
    for alert in alerts():
        section = text_of(PAGE).partition(f"\n### {alert.name}\n")[2].partition("\n### ")[0]
        assert re.search(r"^First: `mnemesh [^`]+`\.", section, re.MULTILINE), alert.name


def test_the_page_says_what_the_files_say() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page()


def test_every_alert_has_a_case_that_lights_it_and_one_that_must_not() -> None:
    lit, dark = set(), set()
    for case in (case for path in CASES for case in yaml.safe_load(path.read_text())["tests"]):
        about = case["name"].partition(" ")[0]
        (test,) = case["promql_expr_test"]
        found = {
            name
            for sample in test["exp_samples"]
            for name in re.findall(r'alertname="(\w+)"', sample["labels"])
        }
        (lit if about in found else dark).add(about)
    names = {alert.name for alert in alerts()}
    assert lit == names
    assert dark == names


def test_the_table_of_faults_is_whole_and_contradicts_nothing() -> None:
    names = {alert.name for alert in alerts()}
    rows = {code: row for code, row in faults().items() if isinstance(row, dict)}
    assert set(CATALOGUE) == {code for code in rows if re.fullmatch(r"F\d\d", code)}
    always = set(faults()["always_may"])
    lit = set(always)
    for code, row in rows.items():
        assert set(row) <= {"must", "may", "after", "played"}, code
        lists = [row.get(kind, []) for kind in ("must", "may", "after")]
        for named in lists:
            assert named == sorted(set(named)), f"{code}: each once, in order"
            assert set(named) <= names, f"{code} names {set(named) - names}"
            lit |= set(named)
        assert not set(lists[0]) & (set(lists[1]) | always), f"{code}: must or may, not both"
        assert not set(lists[1]) & always, f"{code}: what always may is not said again"
    assert lit == names, "an alert that no fault lights"


def test_the_dashboard_is_what_its_table_makes() -> None:
    assert dashboard.TARGET.read_text() == dashboard.dashboard()
    told = json.loads(dashboard.TARGET.read_text())
    ids = [panel["id"] for panel in told["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in told["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells


@needs_promtool
def test_promtool_takes_the_rules() -> None:
    said = promtool("check", "rules", SHIPPED / "mnemesh.rules.yml")
    assert f"{len(alerts())} rules" in said


@needs_promtool
@pytest.mark.slow
def test_every_case_of_the_rules_holds() -> None:
    promtool("test", "rules", *CASES)


@needs_promtool
def test_every_panel_asks_something_that_parses(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": ask.replace("$__rate_interval", "1m")}
        for number, (_, ask) in enumerate(dashboard.expressions())
    ]
    target = tmp_path / "panels.yml"
    target.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules" in promtool("check", "rules", target)


@needs_promtool
@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-certificate.yml"])
def test_promtool_takes_the_configurations(tmp_path: Path, name: str) -> None:
    """The files that they name are there on the operator's machine, and stand in here."""
    text = (SHIPPED / name).read_text()
    for path in re.findall(r"/etc/prometheus/mnemesh/([\w.]+)", text):
        (tmp_path / path).write_text("")
    (tmp_path / name).write_text(text.replace("/etc/prometheus/mnemesh", str(tmp_path)))
    shutil.copy(SHIPPED / "mnemesh.rules.yml", tmp_path)
    promtool("check", "config", "--syntax-only", tmp_path / name)


@needs_promtool
@pytest.mark.slow
def test_the_cases_notice_an_alert_that_is_never_lit_and_one_that_always_is(
    tmp_path: Path,
) -> None:
    """Each alert by its own cases: all cases for each of them would take a quarter of an hour."""
    rules = (SHIPPED / "mnemesh.rules.yml").read_text()
    cases = {path.name: yaml.safe_load(path.read_text()) for path in CASES}
    for name in sorted({alert.name for alert in alerts()}):
        files = []
        for file, told in cases.items():
            own = [case for case in told["tests"] if case["name"].split()[0] == name]
            if own:
                (tmp_path / file).write_text(yaml.safe_dump(told | {"tests": own}))
                files.append(tmp_path / file)
        (tmp_path / "mnemesh.rules.yml").write_text(rules)
        promtool("test", "rules", *files)
        for broken in ("vector(1) > 2", "vector(1)"):
            told = yaml.safe_load(rules)
            for rule in (rule for group in told["groups"] for rule in group["rules"]):
                if rule["alert"] == name:
                    rule["expr"] = broken
            (tmp_path / "mnemesh.rules.yml").write_text(yaml.safe_dump(told))
            with pytest.raises(AssertionError, match="FAILED"):
                promtool("test", "rules", *files)
