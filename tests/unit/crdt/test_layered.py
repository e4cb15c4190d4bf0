import random

import pytest

from crdt.layered import Layered


def test_it_holds_what_a_dictionary_would() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    draw = random.Random(seed)
    held: Layered[int, int] = Layered({n: -n - 1 for n in range(50)})
    twin = dict(held)
    versions = [(held, dict(twin))]
    for _ in range(600):
        key, value = draw.randrange(90), draw.choice([None, draw.randrange(9)])
        held = held.put(key, value)
        if value is None:
            twin.pop(key, None)
        else:
            twin[key] = value
        versions.append((held, dict(twin)))
    for made, known in versions:
        assert made == known
        assert len(made) == len(known)
        assert all((key in made) is (key in known) for key in range(90))
        assert [made.get(key) for key in range(90)] == [known.get(key) for key in range(90)]


def test_what_is_gone_is_not_there() -> None:
    held = Layered({"a": 1}).put("a", None)
    assert "a" not in held
    assert list(held) == []
    with pytest.raises(KeyError):
        held["a"]
    assert repr(held.put("b", 2)) == "Layered({'b': 2})"
