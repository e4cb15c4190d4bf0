"""All planted bugs, and what they run together."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from tests.planted.bug import PATCHES, Planted
from tests.planted.core import CORE
from tests.planted.documents import DOCUMENTS
from tests.planted.interop import INTEROP
from tests.planted.layers import Watch
from tests.planted.operations import OPERATIONS

__all__ = ["PATCHES", "PLANTED", "Planted", "together"]

T = TypeVar("T")
PLANTED: Final = tuple(
    sorted((*CORE, *OPERATIONS, *DOCUMENTS, *INTEROP), key=lambda one: int(one.number))
)


def together(watches: Sequence[Watch]) -> Watch:
    """Everything that several watches run, each thing once; for the clean tree."""
    return Watch(
        property=_each(target for one in watches for target in one.property),
        seeds=max((one.seeds for one in watches), default=0),
        simulation=_each(target for one in watches for target in one.simulation),
        integration=_each(target for one in watches for target in one.integration),
        chaos=_each(campaign for one in watches for campaign in one.chaos),
        integration_s=sum(one.integration_s for one in watches if one.integration),
    )


def _each(things: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(things))
