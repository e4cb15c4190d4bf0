import dataclasses

import pytest

from crdt.identity import Self
from tests.unit.crdt.rig import Node


def test_who_a_process_is_never_changes() -> None:
    me = Node("a").replica.me
    with pytest.raises(dataclasses.FrozenInstanceError):
        me.node_id = b""  # type: ignore[misc]  # that is the point


def test_all_that_is_unpredictable_comes_in_from_outside() -> None:
    drawn = {f.name for f in dataclasses.fields(Self) if "Callable" in str(f.type)}
    assert drawn == {"draw_actor", "sign", "verify"}
