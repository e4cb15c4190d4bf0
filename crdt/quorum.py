"""How many disks hold a write.

Law: counts distinct ready members, by what they acknowledged on their present links, the
writer's own disk among them. A majority of n is n // 2 + 1.
"""

from collections.abc import Iterable


def covered(own: int, others: Iterable[int], needed: int) -> int:
    """The largest sequence number that `needed` disks hold, the writer's among them.

    Args:
        own: what the writer's disk holds.
        others: what each other ready member acknowledged, one entry a member.
        needed: W; 0 and 1 both mean the writer's disk alone.
    """
    if needed <= 1:
        return own
    ranked = sorted(others, reverse=True)
    return min(own, ranked[needed - 2]) if len(ranked) >= needed - 1 else 0
