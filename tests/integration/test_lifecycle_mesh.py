"""Archive, forgetting and consolidation on a real mesh: everywhere alike, also behind a cut."""

from typing import Any

import pytest

from tests.integration.rig import RealNode, until, until_level, until_linked
from tests.integration.rig_mesh import cut, heal

ALICE, BOB = "ai:alice", "ai:bob"


def archived(node: RealNode) -> dict[str, str]:
    """Title of everything in the archive, by id; its figures must say the same."""
    rows = node.tell("GET", "/archive?limit=1000")["memories"]
    assert node.tell("GET", "/archive/stats")["total"] == len(rows)
    return {row["id"]: row["title"] for row in rows}


def shown(node: RealNode) -> dict[str, str]:
    rows = node.tell("GET", "/memories?limit=1000")["memories"]
    assert node.tell("GET", "/stats")["total"] == len(rows)
    return {row["id"]: row["title"] for row in rows}


def alike(nodes: list[RealNode]) -> tuple[dict[str, str], dict[str, str]]:
    """What shows and what is archived, the same on every node."""
    until_level(nodes)
    first, *others = [(shown(node), archived(node)) for node in nodes]
    assert all(other == first for other in others)
    return first


def clean(nodes: list[RealNode]) -> None:
    """Tests share a mesh: each begins with an empty one."""
    until_level(nodes)
    nodes[0].tell("DELETE", "/archive")
    if shown(nodes[0]):
        nodes[0].tell("POST", "/forget", {"ids": list(shown(nodes[0]))})
    alike(nodes)


def story(writers: list[RealNode]) -> dict[str, str]:
    """Every change of the lifecycle, each on another node; ids by name."""
    one, two, three = (writers * 3)[:3]
    names = ("kept", "aside", "back", "lasting", "gone", "first", "second")
    ids = {name: one.store(name, agent_id=ALICE)["id"] for name in names}
    until_level(writers)
    for name in ("aside", "back", "lasting"):
        assert two.tell("POST", f"/archive/{ids[name]}", {"reason": "tidy"})["archived"] is True
    until_level(writers)
    assert three.tell("POST", f"/archive/{ids['back']}/restore")["restored"] is True
    assert three.tell("POST", f"/memories/{ids['lasting']}/promote")["promoted"] is True
    told = one.tell("POST", "/forget", {"ids": [ids["gone"]]}, X_Agent_Id=ALICE)
    assert told["deleted"] == 1
    until_level(writers)
    both = [ids["first"], ids["second"]]
    made = two.tell("POST", "/consolidate", {"ids": both}, X_Agent_Id=BOB)
    assert made["consolidated"] == 2
    return {**ids, "one of two": made["id"]}


def check_story(nodes: list[RealNode], ids: dict[str, str]) -> None:
    seen, aside = alike(nodes)
    assert set(seen) == {ids[name] for name in ("kept", "back", "lasting", "one of two")}
    assert set(aside) == {ids[name] for name in ("aside", "first", "second")}
    for node in nodes:
        memory = node.get(ids["one of two"])
        assert memory["metadata"]["consolidated_from_agents"] == [ALICE]
        assert node.get(ids["lasting"])["tier"] == "long"
        lineage = node.tell("GET", f"/memories/{ids['one of two']}/lineage")["nodes"]
        assert {one["id"] for one in lineage} == {ids["first"], ids["second"]}


def test_every_change_reaches_all_by_push(shared_mesh: list[RealNode]) -> None:
    clean(shared_mesh)
    check_story(shared_mesh, story(shared_mesh))


def test_every_change_reaches_one_that_was_away(shared_mesh: list[RealNode]) -> None:
    clean(shared_mesh)
    *near, far = shared_mesh
    cut(far, near)
    until(lambda: not far.links(), "the link is cut")
    ids = story(near)
    heal(far, near)
    until_linked(shared_mesh)
    check_story(shared_mesh, ids)


@pytest.mark.thorough
def test_counts_agree_after_edits_archives_and_restores_behind_a_cut(
    shared_mesh: list[RealNode],
) -> None:
    clean(shared_mesh)
    *near, far = shared_mesh
    names = [f"m{number}" for number in range(6)]
    ids = {name: near[0].store(name)["id"] for name in names}
    until_level(shared_mesh)
    for name in ("m3", "m4", "m5"):
        near[0].tell("POST", f"/archive/{ids[name]}")
    until_level(shared_mesh)
    cut(far, near)
    until(lambda: not far.links(), "the link is cut")

    def behind(method: str, path: str, body: Any = None) -> None:
        assert far.ask(method, path, body).status == 503  # stored there, and short of its quorum

    near[0].tell("POST", f"/archive/{ids['m0']}")
    behind("PUT", f"/memories/{ids['m0']}", {"title": "edited"})
    near[0].tell("POST", f"/archive/{ids['m1']}")
    behind("POST", f"/archive/{ids['m1']}")
    near[1].tell("POST", "/forget", {"ids": [ids["m2"]]})
    behind("POST", f"/archive/{ids['m2']}")
    near[1].tell("POST", f"/archive/{ids['m3']}/restore")
    behind("POST", f"/archive/{ids['m3']}/restore")
    near[1].tell("POST", f"/archive/{ids['m4']}/restore")
    near[1].tell("PUT", f"/memories/{ids['m4']}", {"title": "back"})
    near[0].tell("DELETE", f"/archive/{ids['m5']}")
    behind("POST", f"/archive/{ids['m5']}/restore")
    heal(far, near)
    until_linked(shared_mesh)
    seen, aside = alike(shared_mesh)
    assert aside == {ids["m0"]: "edited", ids["m1"]: "m1"}
    assert seen == {ids["m3"]: "m3", ids["m4"]: "back"}


def test_a_retry_at_another_node_is_the_same_request(shared_mesh: list[RealNode]) -> None:
    clean(shared_mesh)
    one, two, _ = shared_mesh
    ids = [one.store(f"m{n}")["id"] for n in range(2)]
    until_level(shared_mesh)
    sent = {"X_Agent_Id": ALICE, "Idempotency_Key": f"made {ids[0]}"}
    first = one.tell("POST", "/consolidate", {"ids": ids}, **sent)
    until_level(shared_mesh)
    again = two.tell("POST", "/consolidate", {"ids": ids}, **sent)
    assert (again["id"], again["consolidated"]) == (first["id"], 2)
    sent = {"X_Agent_Id": ALICE, "Idempotency_Key": f"forget {ids[0]}"}
    first = one.tell("POST", "/forget", {"agent_id": ALICE}, **sent)
    until_level(shared_mesh)
    again = two.tell("POST", "/forget", {"agent_id": ALICE}, **sent)
    assert (again["deleted"], again["links_deleted"]) == (first["deleted"], first["links_deleted"])


def test_words_of_a_source_that_was_erased_behind_a_cut_do_not_survive(
    shared_mesh: list[RealNode],
) -> None:
    clean(shared_mesh)
    *near, far = shared_mesh
    one = far.store("secretive", "very hushed", agent_id=ALICE)["id"]
    two = far.store("open", "of the open", agent_id=ALICE)["id"]
    until_level(shared_mesh)
    cut(far, near)
    until(lambda: not far.links(), "the link is cut")
    assert near[0].tell("POST", "/forget", {"ids": [one]}, X_Agent_Id=ALICE)["deleted"] == 1
    made = far.ask("POST", "/consolidate", {"ids": [one, two]}, X_Agent_Id=BOB)
    assert (made.status, made.body["consolidated"]) == (503, 2)
    ident = made.body["id"]
    assert "hushed" in far.get(ident)["content"]
    heal(far, near)
    until_linked(shared_mesh)
    for node in shared_mesh:
        until(
            lambda node=node: node.get(ident)["content"] == "open\nof the open",
            f"{node.name} has it without the words that were erased",
        )
        assert node.get(ident)["title"] == "open"
    alike(shared_mesh)
