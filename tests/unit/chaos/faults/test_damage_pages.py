"""Pages of a real LMDB file: those in use are found, and what is hurt is one of them."""

import os
import random
from pathlib import Path

import lmdb
import pytest

from chaos.faults.damage import digest_of, newer_store
from chaos.faults.pages import cut, flip, tear, used_pages, zero
from node.errors import DowngradeRefused
from node.store import StoreDamaged
from node.store.store import Store

PAGE_BYTES = os.sysconf("SC_PAGESIZE")


def filled(folder: Path) -> Path:
    """A file with two tables, branches, leaves and values larger than a page."""
    with lmdb.open(str(folder), map_size=1 << 26, max_dbs=4) as env:
        one, two = env.open_db(b"one"), env.open_db(b"two")
        with env.begin(write=True) as txn:
            for number in range(2000):
                txn.put(b"%06d" % number, b"v" * 100, db=one)
            for number in range(20):
                txn.put(b"%06d" % number, b"w" * 10_000, db=two)
        with env.begin(write=True) as txn:
            for number in range(0, 2000, 2):
                txn.delete(b"%06d" % number, db=one)
    return folder / "data.mdb"


def counted(path: Path) -> int:
    """Pages in use by the library's own count."""
    with lmdb.open(str(path.parent), readonly=True, max_dbs=4, lock=False) as env:
        tables = [env.open_db(name, create=False) for name in (b"one", b"two")]
        with env.begin() as txn:
            stats = [env.stat(), *(txn.stat(table) for table in tables)]
    kinds = ("branch_pages", "leaf_pages", "overflow_pages")
    return sum(stat[kind] for stat in stats for kind in kinds)


def test_all_pages_in_use_are_found_and_no_other(tmp_path: Path) -> None:
    path = filled(tmp_path)
    page_bytes, used = used_pages(path)
    assert page_bytes == PAGE_BYTES
    assert len(used) == counted(path)
    assert len(used) < path.stat().st_size // page_bytes, "some are free"


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.mdb"
    path.write_bytes(bytes(10_000))
    with pytest.raises(ValueError, match="no meta page"):
        used_pages(path)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_hurt_is_in_use_and_nothing_else_is_touched(tmp_path: Path, seed: int) -> None:
    path = filled(tmp_path)
    page_bytes, used = used_pages(path)
    rng = random.Random(seed)
    for hurt in (zero, tear, lambda p, r: flip(p, r, 3)):
        whole = path.read_bytes()
        damage = hurt(path, rng)
        now = path.read_bytes()
        changed = {
            page
            for page in range(len(whole) // page_bytes)
            if whole[page * page_bytes : (page + 1) * page_bytes]
            != now[page * page_bytes : (page + 1) * page_bytes]
        }
        assert changed <= set(damage.pages) <= set(used)
        assert len(now) == len(whole)
        path.write_bytes(whole)


def test_a_cut_file_lacks_pages_in_use(tmp_path: Path) -> None:
    path = filled(tmp_path)
    before = path.stat().st_size
    damage = cut(path, random.Random(3))
    assert damage.pages
    assert path.stat().st_size < before
    assert path.stat().st_size < (min(damage.pages) + 1) * PAGE_BYTES


def test_a_cut_store_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "store", entropy=os.urandom).close()
    path = tmp_path / "store" / "data.mdb"
    cut(path, random.Random(0))
    with pytest.raises(StoreDamaged):
        Store(tmp_path / "store", entropy=os.urandom).close()


def test_a_newer_version_is_one_to_the_node_too(tmp_path: Path) -> None:
    Store(tmp_path / "store", entropy=os.urandom).close()
    path = tmp_path / "store" / "data.mdb"
    path.write_bytes(newer_store(path.read_bytes()))
    before = digest_of(path)
    with pytest.raises(DowngradeRefused):
        Store(tmp_path / "store", entropy=os.urandom)
    assert digest_of(path) == before


def test_a_file_without_a_version_is_not_made_newer() -> None:
    with pytest.raises(ValueError, match="no version"):
        newer_store(bytes(8192))
