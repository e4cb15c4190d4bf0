"""The law of the lifecycle over random histories, and bugs planted to show that it bites."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from crdt.fields import tier_rank
from node.lifecycle.composing import sources_of
from node.lifecycle.derived import Derivation
from node.lifecycle.forgetting import Forgetting
from node.lifecycle.housekeeping import Housekeeping
from node.lifecycle.origins import Origins
from tests.property.lifecycle_histories import History

STEPS = 40
_SEEDS = range(60)


@pytest.mark.slow
@given(seed=st.integers(0, 2**32))
@examples(max_examples=60)
def test_the_law_holds_at_the_end_of_any_history(seed: int) -> None:
    asyncio.run(History(seed).run(STEPS))


async def _nothing(*_: object, **__: object) -> None:
    pass


def no_consequences(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Forgetting, "_follow", _nothing)
    patch.setattr(Housekeeping, "settle", _nothing)


def no_housekeeping(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Housekeeping, "settle", _nothing)


def keeps_what_was_erased(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Derivation, "_left", lambda _self, held, _fate: sources_of(held))


def trusts_links_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Origins, "made_of", lambda _self, _ident: [])


def lowers_the_tier(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("node.lifecycle.consolidation.tier_rank", lambda tier: -tier_rank(tier))


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant",
    [
        no_consequences,
        no_housekeeping,
        keeps_what_was_erased,
        trusts_links_alone,
        lowers_the_tier,
    ],
)
def test_a_planted_bug_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    for seed in _SEEDS:
        try:
            asyncio.run(History(seed).run(STEPS))
        except AssertionError:
            return
    raise AssertionError(f"nobody noticed in {len(_SEEDS)} histories")
