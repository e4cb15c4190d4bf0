"""Births that share an id: each class is read by itself, and entities unite them."""

from collections.abc import Sequence

from crdt.dot import Dot
from crdt.op import Kind, Op
from crdt.record import Record, apply
from crdt.view import NothingPending, view
from node.contracts import Held
from node.graph.entities import united
from node.replication.rivals import beside

ACTOR = b"D" + bytes(44)
NOTHING = NothingPending()


def born(record: Record | None, seq: int, owner: str, *aliases: str, space: str = "n") -> Record:
    op = Op(
        dot=Dot(ACTOR, seq),
        kind=Kind.CREATE,
        collection="memory",
        id="e",
        owner=owner,
        namespace=space,
        agent=owner,
        hlc=seq,
        set={"title": "Ada", "rev": 1, **{f"aliases/{one}": 0 for one in aliases}},
    )
    made = apply(record, op)
    assert made is not None
    return made


def every(record: Record) -> Sequence[Held]:
    views = [view(one, NOTHING) for one in (record, *beside(record, NOTHING))]
    return [
        Held(collection="memory", id="e", private=False, view=one)
        for one in views
        if one is not None
    ]


def test_one_class_has_nothing_beside_it() -> None:
    record = born(born(None, 1, "ai:a", "x"), 2, "ai:a", "y")
    assert [held.view.owner for held in every(record)] == ["ai:a"]
    entity = united(list(every(record)))
    assert entity is not None
    assert set(entity.aliases) == {"x", "y"}


def test_each_class_is_a_record_of_its_own_oldest_first() -> None:
    record = born(None, 3, "ai:c", "z")
    record = born(record, 1, "ai:a", "x")
    record = born(record, 2, "ai:b", "y")
    record = born(record, 4, "ai:a", "w")
    shown = every(record)
    assert [held.view.owner for held in shown] == ["ai:a", "ai:b", "ai:c"]
    assert [set(held.view.values["aliases"]) for held in shown] == [{"x", "w"}, {"y"}, {"z"}]


def test_births_of_one_namespace_unite_and_others_stay_out() -> None:
    record = born(None, 1, "ai:a", "x")
    record = born(record, 2, "ai:b", "y", "x")
    record = born(record, 3, "ai:c", "z", space="elsewhere")
    entity = united(list(every(record)))
    assert entity is not None
    assert (entity.name, entity.namespace, entity.created) == ("Ada", "n", 1)
    assert sorted(entity.aliases) == ["x", "y"]
    assert united([]) is None
