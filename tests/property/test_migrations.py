"""Whatever a store of schema 1 went through: the step gives what today's program would have."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdt.dot import DATA, PRIVATE, Dot
from crdt.log_rule import LogRule
from crdt.state import IdempotencyRow
from node.store.migrations import climb
from node.store.migrations.climbing import OWED_KEY
from node.store.schema import SCHEMA_VERSION
from tests.unit.store.rig import MAP_BYTES, T0_MS, Maker, actor, entropy, open_store
from tests.unit.store.rig_migrations import dump, turn_back

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "edit", "delete", "request", "commit", "truncate", "prune"]),
        st.sampled_from([f"id{n}" for n in range(5)]),
        st.sampled_from([DATA, PRIVATE]),
        st.sampled_from(["n1", "n2/deep", ""]),
        st.sampled_from([None, T0_MS + 5]),
        st.sampled_from(["", "x" * 30, "ü" * 3000]),
    ),
    max_size=30,
)


def played(path: Path, steps: list[tuple[Any, ...]]) -> Maker:
    store, maker = open_store(path), Maker()
    for n, (what, name, lane, namespace, expires, content) in enumerate(steps):
        key = lane + b"memory/" + name.encode()
        if what == "create":
            maker.create(name, lane, namespace, expires_at=expires, content=content)
        elif what == "edit" and key in maker.records:
            maker.edit(key, content=content, expires_at=expires)
        elif what == "delete" and key in maker.records:
            maker.delete(key)
        elif what == "request":
            maker.request(b"scope" + name.encode(), IdempotencyRow(b"b", (Dot(actor(), 1),)))
        elif what == "commit":
            store.commit(maker.take(T0_MS + n))
        elif what == "truncate":
            rule = LogRule(rows=[], log_bytes_max=0, log_bytes_min=0, log_ms_max=1)
            store.truncate(rule, T0_MS + n)
        elif what == "prune":
            store.prune_feed(T0_MS + n)
    store.commit(maker.take(T0_MS + len(steps)))
    store.close()
    return maker


@pytest.mark.skipif(SCHEMA_VERSION != 2, reason="turning back is written for schema 2")
@given(STEPS)
@example([(what, "id0", DATA, "n1", None, "") for what in ("create", "commit", "delete")])
@example([(what, "id1", PRIVATE, "", T0_MS + 5, "x") for what in ("create", "commit", "edit")])
@settings(max_examples=10, deadline=None)
def test_forward_after_back_is_where_it_was(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        data_dir = Path(name)
        path = data_dir / "store-01"
        played(path, steps)
        (data_dir / "CURRENT").write_text("store-01\n", encoding="ascii")
        today = dump(path)
        turn_back(path)
        old = dump(path)
        assert old["meta"][b"schema"] != today["meta"][b"schema"]
        done = climb(data_dir, entropy=entropy, map_bytes=MAP_BYTES)
        assert done is not None
        assert dump(path) == today
        assert OWED_KEY not in today["meta"]
        assert dump(done.snapshot, subdir=False) == old
        shutil.rmtree(path)
