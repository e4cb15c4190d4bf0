"""One ranking out of several: reciprocal rank fusion.

Law: only ranks count, so scores of engines that measure differently are never compared
(Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and individual
Rank Learning Methods", SIGIR 2009). A hit that is in a ranking twice counts at its best rank.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from node.recall.values import Hit

CONSTANT: Final = 60
"""The paper's k: how little the first places stand out."""


def fuse(rankings: Iterable[tuple[Sequence[Hit], float]], *, constant: int = CONSTANT) -> list[Hit]:
    """Hits of several engines in one order, best first.

    Args:
        rankings: each best first, with its weight; one of weight 0 only adds to the end.
        constant: added to every rank.

    Returns:
        Each key once, with the fused score; `engine` is that of the first ranking that has it.
        Equal scores stand in the order in which they were met.
    """
    scores: dict[str, float] = {}
    first: dict[str, Hit] = {}
    for hits, weight in rankings:
        met: set[str] = set()
        for hit in hits:
            if hit.key in met:
                continue
            met.add(hit.key)
            scores[hit.key] = scores.get(hit.key, 0.0) + weight / (constant + len(met))
            first.setdefault(hit.key, hit)
    order = sorted(scores, key=scores.__getitem__, reverse=True)
    return [first[key]._replace(score=scores[key]) for key in order]
