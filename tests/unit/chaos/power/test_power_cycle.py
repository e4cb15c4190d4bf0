"""An image is laid out, looked at, and taken away."""

import threading
from pathlib import Path

from chaos.power.cycle import take_away


def test_an_image_goes_while_its_reader_still_makes_lock_files(tmp_path: Path) -> None:
    """As tantivy's second reader does: by path, a moment after the index was closed."""
    for number in range(5):
        place = tmp_path / str(number)
        locked = place / "recall" / "lexical"
        locked.mkdir(parents=True)
        for name in range(200):
            (locked / str(name)).touch()
        busy = threading.Event()

        def lock(locked: Path = locked, busy: threading.Event = busy) -> None:
            try:
                for _ in range(100_000):
                    (locked / ".lock").touch()
                    busy.set()
            except FileNotFoundError:
                return

        reader = threading.Thread(target=lock)
        reader.start()
        assert busy.wait(10)
        take_away(place)
        reader.join(10)
        assert not reader.is_alive()
    assert not list(tmp_path.iterdir())
