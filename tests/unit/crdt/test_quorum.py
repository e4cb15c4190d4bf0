import pytest

from crdt.quorum import covered


@pytest.mark.parametrize(
    ("own", "others", "needed", "reached"),
    [
        (5, [], 0, 5),
        (5, [], 1, 5),
        (5, [], 2, 0),
        (5, [3, 9], 2, 5),
        (5, [3, 4], 2, 4),
        (5, [3, 4], 3, 3),
        (5, [3, 4], 4, 0),
        (0, [9, 9], 2, 0),
    ],
)
def test_the_writers_disk_is_one_of_the_needed(
    own: int, others: list[int], needed: int, reached: int
) -> None:
    assert covered(own, others, needed) == reached
