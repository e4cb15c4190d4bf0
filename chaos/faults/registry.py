"""Which function plays which class.

Law: an injector names a row of the catalogue and the means that it needs; it proves its fault,
undoes it, and judges only what its own class promises. The law of all classes is judged by the
runner, from the history.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from chaos.campaign.cycle import Cycle
from chaos.catalogue import CATALOGUE

Play = Callable[[Cycle], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Injector:
    """One way to play one class.

    Attributes:
        code: of the class.
        play: injects, proves, holds and heals.
        needs: names of fields of `sandbox.Means`.
        workloads: the only ones that make sense under it; empty for any.
    """

    code: str
    play: Play
    needs: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()


_ALL: Final[dict[str, Injector]] = {}


def fault(
    code: str, *, needs: tuple[str, ...] = (), workloads: tuple[str, ...] = ()
) -> Callable[[Play], Play]:
    """Register an injector.

    Raises:
        ValueError: no such class, or it has one already.
    """
    if code not in CATALOGUE or code in _ALL:
        raise ValueError(f"{code}: not in the catalogue, or played already")

    def register(play: Play) -> Play:
        _ALL[code] = Injector(code=code, play=play, needs=needs, workloads=workloads)
        return play

    return register


def injectors() -> dict[str, Injector]:
    """All of them, by class, in the order of the catalogue."""
    package = import_module("chaos.faults")
    for module in iter_modules(package.__path__):
        import_module(f"chaos.faults.{module.name}")
    return {code: _ALL[code] for code in CATALOGUE if code in _ALL}
