"""The attacks by the number of their class: what a campaign registers.

Law: each is a function of a target that has joined (`chaos.hostile.member.join`) and a source of
chance; each leaves the mesh whole and equal. The one that does not, `equivocation.split`, is not
here: it needs a mesh of its own.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from chaos.hostile import (
    counting,
    equivocation,
    forged,
    malformed,
    oversized,
    shapes,
    strangers,
    twin,
    versions,
)
from chaos.hostile.target import Expectation, Target

__all__ = ["ATTACKS", "Attack"]

Attack = Callable[[Target, random.Random], Awaitable[list[Expectation]]]

ATTACKS: Final[Mapping[str, tuple[Attack, ...]]] = MappingProxyType(
    {
        "F11": (forged.replay,),
        "F12": (shapes.slow,),
        "F13": (shapes.resets,),
        "F14": (shapes.cut_everywhere,),
        "F15": (shapes.slow,),
        "F37": (strangers.attack,),
        "F40": (twin.attack,),
        "F41": (malformed.attack,),
        "F42": (oversized.attack,),
        "F43": (forged.attack, counting.attack),
        "F44": (equivocation.attack,),
        "F45": (versions.attack,),
    }
)
