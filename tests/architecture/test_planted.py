"""The planted bugs still fit the code: each patch applies, to shipped code alone, and compiles."""

import ast
import re
import shutil
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT
from tests.planted.layers import Layer
from tests.planted.report import Figures, as_table
from tests.planted.scratch import apply
from tests.planted.table import PATCHES, PLANTED, Planted

LINES_MAX = 12
SHIPPED = ("crdt", "transport", "node")
_FILE = re.compile(r"^\+\+\+ b/(\S+)$", re.MULTILINE)
_TARGET = re.compile(r"^(tests/[^:]+)(?:::(\w+))?")

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git applies the patches")
each = pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)


def files_of(planted: Planted) -> list[str]:
    return _FILE.findall(planted.patch.read_text())


def test_the_table_and_the_folder_name_the_same_patches() -> None:
    names = [planted.name for planted in PLANTED]
    numbers = [int(planted.number) for planted in PLANTED]
    assert sorted(set(numbers)) == numbers, "in order of their numbers, each of them once"
    assert {path.stem for path in PATCHES.glob("*.patch")} == set(names)
    assert len(names) >= 14


@each
def test_it_applies_to_the_tree_as_it_is(planted: Planted) -> None:
    again = "make the same change by hand and take `git diff -U2`"
    trouble = apply(planted.patch, ROOT, check=True)
    assert not trouble, f"{trouble}\nThe code around it has changed: {again}"


@each
def test_it_changes_a_line_or_two_of_shipped_code(planted: Planted, tmp_path: Path) -> None:
    files = files_of(planted)
    assert files
    lines = planted.patch.read_text().splitlines()
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in {"+++", "---"}]
    assert len(changed) <= LINES_MAX
    for name in files:
        assert name.partition("/")[0] in SHIPPED
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    assert apply(planted.patch, tmp_path) == ""
    for name in files:
        ast.parse((tmp_path / name).read_text(), name)


@each
def test_somebody_is_asked_to_notice_it_and_is_there(planted: Planted) -> None:
    watch = planted.watch
    assert set(watch.layers()) - {Layer.CHAOS}, "chaos is not the only one to ask"
    for target in (*watch.property, *watch.simulation, *watch.integration):
        found = _TARGET.match(target)
        assert found is not None, target
        text = (ROOT / found[1]).read_text()
        assert not found[2] or f"def {found[2]}(" in text, f"{target} is gone"


def test_what_nobody_caught_stands_in_the_table() -> None:
    figures = Figures(seconds=1, seed=0, tree="here", found=[(PLANTED[0], [])])
    assert figures.escaped == [PLANTED[0]]
    assert "**nothing**" in as_table(figures)
    assert "0 of 1 caught" in as_table(figures)
