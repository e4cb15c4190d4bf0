import pytest

from crdt.genesis import Standing, decode_standing, encode_standing
from crdt.governance import Genesis


@pytest.mark.parametrize("joined", [True, False])
def test_a_standing_reads_back(joined: bool) -> None:  # noqa: FBT001 - parametrized
    standing = Standing(genesis=Genesis(cluster="ü", founders=("a", "b")), joined=joined)
    assert decode_standing(encode_standing(standing)) == standing


def test_an_empty_store_belongs_to_no_mesh() -> None:
    assert decode_standing(b"") is None


def test_a_founding_is_its_cluster_and_its_founders() -> None:
    ids = {
        Genesis(cluster=cluster, founders=founders).id
        for cluster, founders in [("a", ("b",)), ("b", ("a",)), ("a", ("b", "c")), ("a", ())]
    }
    assert len(ids) == 4
    assert Genesis(cluster="a", founders=("b",)).id == Genesis(cluster="a", founders=("b",)).id
