"""What a start may skip, and when it may not."""

from pathlib import Path

import pytest

from node.store.bookmark import FOLDER, Bookmark, Place

_FOUND = [["ab", 1], ["cd", 2]]


def opened(data_dir: Path, *, store_id: str = "s", newest: int = 100) -> Bookmark:
    return Bookmark(data_dir, "name", store_id=store_id, newest=newest)


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    bookmark = opened(tmp_path)
    assert bookmark.of("s") == Place(0, None)
    bookmark.put("s", Place(90, _FOUND))
    assert bookmark.of("s") == Place(90, _FOUND)
    return tmp_path


def test_a_start_goes_on_where_the_last_one_ended(marked: Path) -> None:
    assert opened(marked).of("s") == Place(90, _FOUND)
    assert opened(marked, newest=90).of("s") == Place(90, _FOUND)
    assert opened(marked).of("another") == Place()


def test_of_another_or_an_older_store_there_is_none(marked: Path) -> None:
    assert opened(marked, store_id="other").of("s") == Place()
    assert opened(marked, newest=89).of("s") == Place()


def test_a_damaged_bookmark_is_none(marked: Path) -> None:
    file = marked / FOLDER / "name.json"
    whole = file.read_bytes()
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert opened(marked).of("s") == Place()
        file.write_bytes(whole[:at])
        assert opened(marked).of("s") == Place()
    file.unlink()
    assert opened(marked).of("s") == Place()
