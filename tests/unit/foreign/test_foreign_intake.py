"""What single rows of a push mean, and what they never do."""

from typing import Any

import pytest

from node.errors import Denied, QuorumNotMet, Unavailable
from node.foreign.writing import Sender
from node.memory.problems import InvalidField, Shortfall, TooManyItems
from node.memory.times import format_ms
from tests.unit.foreign.rig import Side

PEER = Sender(key="ab" * 32, name="peer-x")
OTHER = Sender(key="cd" * 32, name="peer-y")
NOW = 1_770_000_000_000
ID = "0b54c1f2-0000-4000-8000-000000000001"


def row(title: str = "one", *, at: int | None = NOW, **fields: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"id": ID, "title": title, "content": "text", **fields}
    if at is not None:
        out["updated_at"] = format_ms(at)
    return out


@pytest.fixture
def side() -> Side:
    made = Side("node-a")
    made.clock.ms = NOW + 1_000_000
    return made


async def test_left_out_fields_take_the_defaults_of_create(side: Side) -> None:
    answer = await side.take(PEER, memories=[row(at=None)])
    assert [one["status"] for one in answer["results"]] == ["applied"]
    held = side.row(ID)
    assert (held["tier"], held["priority"], held["namespace"]) == ("mid", 5, "global")
    assert held["metadata"]["agent_id"] == "peer-x"
    assert "expires_at" in held
    assert side.node.actions == [("sync", "peer-x")]


async def test_counters_and_the_receiver(side: Side) -> None:
    await side.take(PEER, memories=[row()])
    answer = await side.take(
        PEER, memories=[row(), {"id": "x2", "title": "t", "content": "c"}, {"id": "x3"}]
    )
    assert (answer["applied"], answer["noop"], answer["skipped"]) == (1, 1, 1)
    assert answer["receiver_agent_id"] == "node-a"
    assert answer["receiver_clock"] == {"entries": {"actor": 7}}
    assert answer["dry_run"] is False
    for name in ("deleted", "archived", "restored", "links_applied", "pendings_applied"):
        assert answer[name] == 0
    invalid = answer["results"][2]
    assert (invalid["kind"], invalid["id"], invalid["status"]) == ("memory", "x3", "invalid")
    assert "title" in invalid["error"]


async def test_the_same_row_again_is_a_duplicate_and_reverts_nothing(side: Side) -> None:
    assert await side.statuses(PEER, memories=[row(at=None)]) == ["applied"]
    await side.edit(ID, title="edited here")
    ops = side.ops
    for _ in range(3):
        assert await side.statuses(PEER, memories=[row(at=None)]) == ["duplicate"]
    assert side.row(ID)["title"] == "edited here"
    assert side.ops == ops


async def test_older_rows_never_come_back(side: Side) -> None:
    one, two = row("one", at=NOW), row("two", at=NOW + 1)
    assert await side.statuses(PEER, memories=[one]) == ["applied"]
    assert await side.statuses(PEER, memories=[two]) == ["applied"]
    await side.edit(ID, content="here")
    assert await side.statuses(PEER, memories=[one, two]) == ["duplicate", "duplicate"]
    assert side.row(ID)["title"] == "two"
    # Neither one that nobody has seen before: the peer itself has stated a later time.
    assert await side.statuses(PEER, memories=[row("zero", at=NOW - 5)]) == ["duplicate"]
    # Going back on purpose is an edit like others.
    assert await side.statuses(PEER, memories=[row("one", at=NOW + 9)]) == ["applied"]
    assert side.row(ID)["title"] == "one"


async def test_an_edit_supersedes_what_the_peer_has_seen_alone(side: Side) -> None:
    await side.take(PEER, memories=[row("one")])
    await side.edit(ID, title="here")
    assert await side.statuses(PEER, memories=[row("there", at=NOW + 2)]) == ["applied"]
    assert side.titles(ID) == {"here", "there"}
    assert side.row(ID)["title"] == "here"  # it is the later one


async def test_without_memory_the_later_one_counts(side: Side) -> None:
    await side.take(PEER, memories=[row("one")])
    assert await side.statuses(OTHER, memories=[row("older", at=NOW - 1)]) == ["duplicate"]
    assert await side.statuses(OTHER, memories=[row("unsaid", at=None)]) == ["duplicate"]
    assert side.row(ID)["title"] == "one"
    assert await side.statuses(OTHER, memories=[row("newer", at=NOW + 1)]) == ["applied"]
    assert side.titles(ID) == {"newer"}


async def test_a_time_beyond_now_is_now(side: Side) -> None:
    await side.take(PEER, memories=[row(at=NOW + 10**12)])
    assert side.row(ID)["updated_at"] == format_ms(side.clock.ms)
    await side.take(PEER, memories=[row("two", at=NOW + 2 * 10**12)])
    assert side.row(ID)["updated_at"] <= format_ms(side.clock.ms)


async def test_a_local_edit_has_its_own_time_again(side: Side) -> None:
    await side.take(PEER, memories=[row()])
    assert side.row(ID)["updated_at"] == format_ms(NOW)
    await side.edit(ID, title="here")
    assert side.row(ID)["updated_at"] == format_ms(side.clock.ms)


async def test_a_deletion_counts_for_what_the_peer_has_seen(side: Side) -> None:
    own = await side.store("own")
    assert await side.statuses(PEER, deletions=[own]) == ["duplicate"]
    assert side.held(own) is not None
    await side.take(PEER, memories=[row()])
    assert await side.statuses(OTHER, deletions=[ID]) == ["duplicate"]
    answer = await side.take(PEER, deletions=[ID])
    assert answer["deleted"] == 1
    assert side.held(ID) is None
    assert await side.statuses(PEER, deletions=[ID]) == ["duplicate"]


async def test_what_was_deleted_comes_back_only_when_it_is_made_anew(side: Side) -> None:
    await side.take(PEER, memories=[row()])
    await side.take(PEER, deletions=[ID])
    assert await side.statuses(PEER, memories=[row()]) == ["duplicate"]
    assert await side.statuses(PEER, memories=[row(at=None)]) == ["duplicate"]
    assert side.held(ID) is None
    assert await side.statuses(PEER, memories=[row("again", at=NOW + 5)]) == ["applied"]
    assert side.row(ID)["title"] == "again"


async def test_a_memory_that_was_made_anew_here_is_not_the_one_that_the_peer_deletes(
    side: Side,
) -> None:
    await side.take(PEER, memories=[row()])
    await side.delete(ID)
    await side.store("another", id=ID)
    assert await side.statuses(PEER, deletions=[ID]) == ["duplicate"]
    assert side.row(ID)["title"] == "another"


async def test_what_was_fetched_may_be_deleted_and_edited(side: Side) -> None:
    one, two = await side.store("one"), await side.store("two")
    page = await side.foreign.page(PEER.key, "", 10)
    assert await side.statuses(PEER, deletions=[one]) == ["applied"]
    await side.foreign.page(PEER.key, page["next_since"], 10)
    told = next(m for m in page["memories"] if m["id"] == two)
    changed = {**told, "title": "there", "updated_at": format_ms(side.clock.ms)}
    side.clock.ms += 5
    assert await side.statuses(PEER, memories=[changed]) == ["applied"]
    assert side.titles(two) == {"there"}


async def test_what_was_only_shown_is_no_ground_to_overwrite_what_came_later(side: Side) -> None:
    made = await side.store("one")
    page = await side.foreign.page(PEER.key, "", 10)
    await side.edit(made, title="two")
    await side.foreign.page(PEER.key, "", 10)  # from the beginning: it took nothing yet
    told = page["memories"][0]
    side.clock.ms += 10
    changed = {**told, "title": "there", "updated_at": format_ms(side.clock.ms)}
    assert await side.statuses(PEER, memories=[changed]) == ["applied"]
    assert side.titles(made) == {"two", "there"}


async def test_what_the_peer_gave_is_not_given_back_unless_it_changed(side: Side) -> None:
    await side.take(PEER, memories=[row()])
    assert (await side.foreign.page(PEER.key, "", 10))["memories"] == []
    assert len((await side.foreign.page(OTHER.key, "", 10))["memories"]) == 1
    await side.edit(ID, title="here")
    page = await side.foreign.page(PEER.key, "", 10)
    assert [m["title"] for m in page["memories"]] == ["here"]
    await side.take(PEER, deletions=[ID])
    assert (await side.foreign.page(PEER.key, page["next_since"], 10))["deletions"] == []
    assert (await side.foreign.page(OTHER.key, page["next_since"], 10))["deletions"] == [ID]


async def test_a_dry_run_changes_nothing_and_tells_the_same(side: Side) -> None:
    await side.take(PEER, memories=[row()])
    items = {"memories": [row("two", at=NOW + 1), {"id": "n", "title": "t"}], "deletions": [ID]}
    ops, rows = side.ops, dict(side.memory._rows)
    answer = await side.take(PEER, dry_run=True, **items)
    assert [one["status"] for one in answer["results"]] == ["applied", "invalid", "applied"]
    assert answer["dry_run"] is True
    assert (side.ops, side.memory._rows) == (ops, rows)
    assert side.row(ID)["title"] == "one"


async def test_archives_and_restores_move_what_the_peer_has_brought(side: Side) -> None:
    await side.take(PEER, memories=[row()])
    answer = await side.take(PEER, archives=[ID, "never-seen", 7])
    assert [one["status"] for one in answer["results"]] == ["applied", "duplicate", "invalid"]
    assert (answer["archived"], side.held(ID)) == (1, None)
    assert await side.statuses(PEER, archives=[ID]) == ["duplicate"]
    answer = await side.take(PEER, restores=[ID])
    assert (answer["restored"], side.row(ID)["title"]) == (1, row()["title"])
    # Said again after it was undone here, it is what was exchanged before.
    await side.take(PEER, archives=[ID])
    await side.restore(ID)
    assert await side.statuses(PEER, archives=[ID]) == ["duplicate"]
    assert side.held(ID) is not None
    answer = await side.take(PEER, restores=[ID], dry_run=True)
    assert answer["restored"] == 0


async def test_the_gate_refuses_one_item_and_not_the_others(side: Side) -> None:
    await side.take(PEER, memories=[row()])
    side.node.refuse = Denied("governance of 'global' refuses edit")
    answer = await side.take(PEER, memories=[row("two", at=NOW + 1)], deletions=[ID, "nobody"])
    assert [one["status"] for one in answer["results"]] == ["refused", "refused", "duplicate"]
    assert answer["skipped"] == 2
    side.node.refuse = None
    assert side.row(ID)["title"] == "one"
    assert await side.statuses(PEER, memories=[row("two", at=NOW + 1)]) == ["applied"]


async def test_a_shortfall_tells_the_results_and_is_healed_by_the_next_push(side: Side) -> None:
    side.node.acks = 1
    with pytest.raises(Shortfall) as short:
        await side.take(PEER, memories=[row()])
    assert isinstance(short.value.cause, QuorumNotMet)
    assert short.value.facts["results"][0]["status"] == "applied"
    assert short.value.facts["receiver_agent_id"] == "node-a"
    side.node.acks = 2
    assert await side.statuses(PEER, memories=[row()]) == ["duplicate"]


async def test_a_node_that_takes_no_writes_says_so_for_the_whole(side: Side) -> None:
    side.node.refuse = Unavailable("not now")
    with pytest.raises(Unavailable):
        await side.take(PEER, memories=[row()])


async def test_a_crash_before_it_was_remembered_is_healed(side: Side) -> None:
    await side.take(PEER, memories=[row()])
    side.memory._rows.clear()
    ops = side.ops
    assert await side.statuses(PEER, memories=[row()]) == ["duplicate"]
    assert side.ops == ops
    assert await side.statuses(PEER, deletions=[ID]) == ["applied"]


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"memories": [7]}, "memories"),
        ({"memories": [{"title": "t", "content": "c"}]}, "id"),
        ({"memories": [row(metadata={"agent_id": "../x"})]}, "metadata.agent_id"),
        ({"memories": [row(scope="private")]}, "scope"),
        ({"memories": [row(tier="huge")]}, "tier"),
        ({"memories": [{**row(), "updated_at": "yesterday"}]}, "updated_at"),
        ({"deletions": [7]}, "deletions"),
        ({"deletions": [".."]}, "deletions"),
    ],
)
async def test_a_bad_item_names_its_field(side: Side, bad: dict[str, Any], word: str) -> None:
    answer = await side.take(PEER, **bad)
    assert [one["status"] for one in answer["results"]] == ["invalid"]
    assert word in answer["results"][0]["error"]
    assert side.ops == 0


async def test_a_bad_push_is_refused_whole(side: Side) -> None:
    for bad in ({"memories": {}}, {"deletions": "x"}, {"dry_run": 1, "memories": [row()]}):
        with pytest.raises(InvalidField):
            await side.take(PEER, **bad)
    with pytest.raises(TooManyItems):
        await side.take(PEER, memories=[row()] * 900, deletions=["x"] * 101)
    assert side.ops == 0


async def test_a_private_memory_is_neither_changed_nor_told_of(side: Side) -> None:
    made = await side.store("secret", scope="private")
    answer = await side.take(PEER, memories=[{**row(at=NOW + 10**6), "id": made}])
    assert answer["results"][0]["status"] == "refused"
    assert "secret" not in str(answer)
    assert side.row(made)["title"] == "secret"
    assert await side.statuses(PEER, deletions=[made]) == ["duplicate"]


async def test_an_agent_with_a_bound_key_is_not_spoken_for(side: Side) -> None:
    side.bound = frozenset({"ai:alice"})
    await side.take(PEER, memories=[row(metadata={"agent_id": "ai:alice"})])
    assert side.node.actions == [("sync", "peer-x")]
    assert side.row(ID)["metadata"]["agent_id"] == "ai:alice"


async def test_a_row_whose_life_is_over_is_not_made(side: Side) -> None:
    over = row(expires_at=format_ms(side.clock.ms - 1))
    assert await side.statuses(PEER, memories=[over]) == ["duplicate"]
    assert side.ops == 0


async def test_two_rows_of_one_id_in_one_push_come_one_after_the_other(side: Side) -> None:
    answer = await side.take(PEER, memories=[row("one"), row("two", at=NOW + 1)])
    assert answer["applied"] == 2
    assert side.titles(ID) == {"two"}


async def test_a_tier_never_goes_down(side: Side) -> None:
    await side.take(PEER, memories=[row(tier="long")])
    assert await side.statuses(PEER, memories=[row("two", at=NOW + 1, tier="short")]) == ["applied"]
    assert (side.row(ID)["tier"], side.row(ID)["title"]) == ("long", "two")
