"""A generation is in force only when the names of its files are on the disk."""

import os
from pathlib import Path

import pytest

from node.recall.shelf import Progress, Shelf


def test_the_folders_of_a_generation_are_synced_before_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path / "recall")
    name = shelf.fresh()
    (shelf.folder(name) / "lexical" / "hidden").mkdir(parents=True)
    seen: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        seen.append(str(Path(f"/proc/self/fd/{handle}").readlink().relative_to(tmp_path)))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    shelf.write(Progress(generation=name, version=1, store_id="s", arrival=1))
    told = seen.index("recall/.CURRENT.new")
    folders = {f"recall/{name}", f"recall/{name}/lexical", f"recall/{name}/lexical/hidden"}
    assert set(seen[:told]) == folders
    assert set(seen[told + 1 :]) == {"recall", "."}
