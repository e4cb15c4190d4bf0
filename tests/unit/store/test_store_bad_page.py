"""A page that is damaged while the node runs ends a look with the documented error."""

from pathlib import Path

import lmdb
import pytest

from node.errors import Exit
from node.store.errors import StoreDamaged
from tests.unit.store.rig import open_store


@pytest.mark.parametrize("error", [lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError])
def test_a_look_at_a_bad_page_says_that_the_store_is_damaged(
    tmp_path: Path, error: type[lmdb.Error]
) -> None:
    store = open_store(tmp_path / "store")

    def look(_txn: object) -> None:
        raise error("Located page was wrong type")

    with pytest.raises(StoreDamaged, match="cannot be read") as caught:
        store._env.read(look)
    assert caught.value.exit_code is Exit.INTEGRITY
    store.close()
