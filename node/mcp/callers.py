"""In whose name a program calls that names nobody.

Law: who is named is who it is. A program that names nobody gets a name that stays the same from
one session to the next, made of what it calls itself; else what it stored as private yesterday
would be hidden from it today. Where the operator wants no such names, it stays nameless.
"""

import re
from typing import Final

_PREFIX: Final = "ai:"
_CHARS_MAX: Final = 64
_NAMELESS: Final = "mcp"


def agent_of(program: str, *, anonymous: bool = False) -> str:
    """The agent id of a program, within the pattern of agent ids.

    Args:
        program: what it calls itself; may be anything at all.
        anonymous: the operator wants no such names; then it has none.
    """
    if anonymous:
        return ""
    plain = re.sub(r"[^A-Za-z0-9_\-.]+", "-", program).strip("-.")[:_CHARS_MAX].lower()
    return f"{_PREFIX}{plain or _NAMELESS}"
