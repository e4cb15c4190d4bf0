import pytest

from node.recall.fusion import CONSTANT, fuse
from node.recall.values import Hit


def hits(*names: str, engine: str = "a") -> list[Hit]:
    return [Hit(name, name, 9.0, engine) for name in names]


def test_ranks_are_summed_and_scores_are_not_looked_at() -> None:
    fused = fuse([(hits("x", "y"), 1.0), (hits("y", "z", engine="b"), 1.0)])
    assert [hit.key for hit in fused] == ["y", "x", "z"]
    assert fused[0].score == pytest.approx(1 / (CONSTANT + 2) + 1 / (CONSTANT + 1))
    assert [hit.engine for hit in fused] == ["a", "a", "b"]


def test_a_light_engine_only_adds_to_the_end() -> None:
    fused = fuse([(hits("x", "y"), 1.0), (hits("z", engine="b"), 0.05)])
    assert [hit.key for hit in fused] == ["x", "y", "z"]


def test_a_key_counts_once_in_a_ranking() -> None:
    (only,) = fuse([(hits("x", "x"), 1.0)])
    assert only.score == pytest.approx(1 / (CONSTANT + 1))


def test_equal_scores_stand_as_they_were_met() -> None:
    assert [h.key for h in fuse([(hits("x"), 1.0), (hits("y"), 1.0)])] == ["x", "y"]


def test_nothing_gives_nothing() -> None:
    assert fuse([]) == []
    assert fuse([([], 1.0)]) == []
