"""A stopped node's store is rewritten whole, or not at all."""

import random
from pathlib import Path

import pytest

from chaos.faults.pages import zero
from node.errors import IntegrityError
from node.integrity.stopped import scrub_stopped
from node.integrity.stopped_compact import compact_stopped
from node.paths import Paths
from tests.unit.integrity.rig import file_of, fill, flip_row, kept, stop, truth_of
from tests.unit.store.rig import open_store


def paths_in(folder: Path) -> Paths:
    return Paths(data_dir=folder, key_dir=folder / "keys", config=folder / "config.toml")


def test_a_stopped_store_becomes_smaller_and_holds_the_same(tmp_path: Path) -> None:
    node = kept("a", tmp_path)
    fill(node, random.Random(3), 30)
    truth = truth_of(node.disk)  # type: ignore[arg-type]  # a store
    stop(node)
    done = compact_stopped(paths_in(tmp_path))
    assert done.after_bytes <= done.before_bytes
    assert scrub_stopped(tmp_path, lambda _: None)["whole"]
    store = open_store(file_of(tmp_path).parent)
    assert truth_of(store).records == truth.records
    store.close()


@pytest.mark.parametrize("kind", ["row", "page"])
def test_a_damaged_store_is_told_and_not_rewritten(tmp_path: Path, kind: str) -> None:
    node = kept("a", tmp_path)
    fill(node, random.Random(3), 20)
    if kind == "row":
        flip_row(node.disk, random.Random(1), "feed", bits=4)  # type: ignore[arg-type]  # a store
    stop(node)
    if kind == "page":
        zero(file_of(tmp_path), random.Random(5))
    before = file_of(tmp_path).read_bytes()
    assert not scrub_stopped(tmp_path, lambda _: None)["whole"]
    assert file_of(tmp_path).read_bytes() == before
    with pytest.raises(IntegrityError):
        compact_stopped(paths_in(tmp_path))
    assert len(file_of(tmp_path).read_bytes()) == len(before)
