import pytest

from crdt.fields import FieldKind, element_field, is_counter, kind_of, tier_rank


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("title", FieldKind.REGISTER),
        ("tags/urgent", FieldKind.ELEMENT),
        ("chunk/3d60", FieldKind.CHUNK),
        ("chunk", FieldKind.REGISTER),
        ("+visits", FieldKind.COUNTER),
        ("+a/b", FieldKind.COUNTER),
        ("tier", FieldKind.TIER),
        ("rev", FieldKind.REVISION),
        ("", FieldKind.REGISTER),
    ],
)
def test_the_name_alone_tells_the_kind(name: str, kind: FieldKind) -> None:
    assert kind_of(name) is kind
    assert is_counter(name) is (kind is FieldKind.COUNTER)


def test_an_element_is_a_field_of_its_own() -> None:
    assert kind_of(element_field("tags", "urgent")) is FieldKind.ELEMENT
    assert element_field("tags", "a/b") == "tags/a/b"


def test_what_is_no_tier_ranks_below_all() -> None:
    ranks = [tier_rank(t) for t in ("no tier", "short", "mid", "long")]
    assert ranks == sorted(set(ranks))
    assert tier_rank(["unhashable"]) == -1
