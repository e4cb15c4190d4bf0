"""Trees of namespaces: whatever is cut, no sum is."""

import random

from node.graph.taxonomy import Branch, TaxonomyWish, taxonomy

SEED = 7


def every(branch: Branch) -> list[Branch]:
    return [branch, *(one for child in branch.children for one in every(child))]


def test_sums_are_whole_under_every_cut() -> None:
    draw = random.Random(SEED)
    for _ in range(200):
        counts = {
            "/".join(draw.choice("abc") for _ in range(draw.randint(1, 5))): draw.randint(1, 9)
            for _ in range(draw.randint(0, 12))
        }
        root = draw.choice(["", "a", "b/c"])
        wish = TaxonomyWish(root=root, depth=draw.randint(0, 5), limit=draw.randint(1, 9))
        tree, cut = taxonomy(counts, wish)
        told = every(tree)
        for one in told:
            below = f"{one.namespace}/" if one.namespace else ""
            whole = sum(n for s, n in counts.items() if s == one.namespace or s.startswith(below))
            assert one.subtree_count == whole, (SEED, counts, wish)
            assert one.count == counts.get(one.namespace, 0)
            for child in one.children:
                assert child.namespace.rpartition("/")[0] == one.namespace
        assert len(told) - 1 <= wish.limit
        assert cut is False or len(told) - 1 == wish.limit


def test_the_fullest_are_told() -> None:
    counts = {"a": 1, "b": 5, "b/c": 2, "d": 3}
    tree, cut = taxonomy(counts, TaxonomyWish(root="", depth=8, limit=2))
    assert ([one.namespace for one in every(tree)], cut) == (["", "b", "d"], True)
