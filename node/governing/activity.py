"""When agents were last active on this node.

Law: a hint, kept in memory and never replicated: after a restart an agent was last seen when
it registered, until it comes again. At most `entries_max` names are held; the one that was
silent longest goes first.
"""

from typing import Final

ENTRIES_MAX: Final = 10_000


class LastSeen:
    """The last activity of agents, milliseconds since the epoch.

    Args:
        entries_max: how many names are held.
    """

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._at: dict[str, int] = {}

    def of(self, agent: str) -> int:
        """When an agent was last active here; 0 when that is not known."""
        return self._at.get(agent, 0)

    def touch(self, agent: str, now_ms: int) -> None:
        """An agent is active now."""
        self._at.pop(agent, None)
        self._at[agent] = now_ms
        if len(self._at) > self._entries_max:
            del self._at[next(iter(self._at))]
