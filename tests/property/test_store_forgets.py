"""What was deleted or written over is in no row of a store but the log's.

The log keeps what was signed until it is cut; everything else is what stands now. A row that
nobody reads any more shows nowhere, so what is looked at here are the bytes.
"""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.dot import DATA, PRIVATE
from node.store import Store
from node.store.schema import LOG_NAMES, TABLE_NAMES
from tests.unit.store.rig import Maker, open_store

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "delete", "commit", "commit", "reopen"]),
        st.integers(0, 3),
        st.sampled_from([DATA, DATA, PRIVATE]),
    ),
    max_size=30,
)


def rows_with(store: Store, text: bytes) -> list[str]:
    """Tables that hold a text, the log apart."""
    names = sorted(set(TABLE_NAMES) - set(LOG_NAMES.values()))
    walk = store.environment.walk
    return [name for name in names for key, value in walk(name) if text in key + value]


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_no_row_keeps_what_is_gone(steps: list[tuple[str, int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "s"
        store, maker = open_store(path), Maker()
        stands: dict[bytes, str] = {}
        said: list[str] = []
        for number, (what, ident, lane) in enumerate([*steps, ("commit", 0, DATA)]):
            key = lane + b"memory/r%d" % ident
            if what == "write":
                stands[key] = f"text-{number:04d}-"
                said.append(stands[key])
                if key in maker.records:
                    maker.edit(key, content=stands[key])
                else:
                    maker.create(f"r{ident}", lane, content=stands[key])
            elif what == "delete" and key in maker.records:
                maker.delete(key)
                del stands[key]
            elif what == "commit":
                store.commit(maker.take())
            elif what == "reopen":
                store.commit(maker.take())
                store.close()
                store = open_store(path)
        try:
            for text in said:
                found = rows_with(store, text.encode())
                if text in stands.values():
                    assert found == ["feed"], text
                else:
                    assert not found, f"{text} is gone and still stands in {found}"
        finally:
            store.close()
