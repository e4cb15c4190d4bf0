from typing import get_args

from crdt import effects


def test_every_effect_is_a_frozen_value() -> None:
    kinds = get_args(effects.Effect)
    assert {kind.__name__ for kind in kinds} == {
        "Alarm",
        "Heard",
        "BuildJoin",
        "Close",
        "Confirm",
        "Discard",
        "Examine",
        "Freeze",
        "Serve",
        "Stage",
    }
    for kind in kinds:
        assert kind.__dataclass_params__.frozen
        assert "__dict__" not in dir(kind)


def test_every_effect_names_its_link() -> None:
    assert all("link" in kind.__slots__ for kind in get_args(effects.Effect))
