import numpy as np
import pytest

from node.recall.fuzzy import DIMENSIONS, HashedGrams


def likeness(left: str, right: str) -> float:
    rows = HashedGrams().embed([left, right])
    return float(rows[0] @ rows[1])


def test_rows_are_unit_vectors_and_always_the_same() -> None:
    rows = HashedGrams().embed(["a lighthouse", "a lighthouse", ""])
    assert rows.shape == (3, DIMENSIONS)
    assert np.linalg.norm(rows[0]) == pytest.approx(1)
    assert (rows[0] == rows[1]).all()
    assert not rows[2].any()


def test_misspelt_words_are_alike_and_others_are_not() -> None:
    assert likeness("lighthouse keeper", "lihgthouse keper") > 0.4
    assert likeness("lighthouse keeper", "banana bread") < 0.2


def test_accents_and_case_do_not_matter() -> None:
    assert likeness("CAFÉ Zürich", "cafe zurich") == pytest.approx(1)


def test_words_that_every_text_has_do_not_count() -> None:
    assert not HashedGrams().embed(["what is it"])[0].any()


def test_it_is_called_fuzzy() -> None:
    assert HashedGrams().name == "fuzzy"
