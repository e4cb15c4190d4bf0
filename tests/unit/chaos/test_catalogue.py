"""The table of classes, and the injectors that may claim a row of it."""

import re
from dataclasses import fields

import pytest

from chaos.campaign.plan import WORKLOADS
from chaos.catalogue import CATALOGUE, HEADLINE
from chaos.faults.registry import fault, injectors
from chaos.sandbox import Means


def test_classes_are_numbered_without_gaps_and_named_once() -> None:
    assert list(CATALOGUE) == [f"F{number:02d}" for number in range(1, len(CATALOGUE) + 1)]
    assert len({each.name for each in CATALOGUE.values()}) == len(CATALOGUE)
    assert all(each.must_hold and each.code == code for code, each in CATALOGUE.items())
    assert set(HEADLINE) <= CATALOGUE.keys()


def test_every_injector_plays_a_class_and_says_what_it_needs_in_known_words() -> None:
    known = injectors()
    assert list(known) == [code for code in CATALOGUE if code in known]
    means = {each.name for each in fields(Means)}
    for code, injector in known.items():
        assert injector.code == code
        assert set(injector.needs) <= means
        assert set(injector.workloads) <= set(WORKLOADS)
        assert re.match(r"[A-Z]", injector.play.__doc__ or ""), f"{code} says not what it does"
    assert set(HEADLINE) <= known.keys()


@pytest.mark.parametrize("code", ["F00", "F99", "f01", "F01"])
def test_a_class_that_is_unknown_or_taken_is_refused(code: str) -> None:
    injectors()
    with pytest.raises(ValueError, match=f"{code}: not in the catalogue, or played already"):
        fault(code)


def test_missing_means_are_named_in_order() -> None:
    able = Means(nft=True)
    assert able.missing(("namespaces", "nft", "strace")) == ["namespaces", "strace"]
    assert able.missing(()) == []
