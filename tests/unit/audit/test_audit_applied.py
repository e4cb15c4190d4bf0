"""What the core tells becomes entries that say what happened, and nothing of what is stored."""

from typing import Any

import pytest

from crdt.dot import GOVERNANCE, Dot, dot_text
from crdt.notes import note
from crdt.op import Kind, Op
from crdt.pending import Pending
from node.audit.applied import Applied
from node.audit.events import EVENTS, TEXT_CHARS_MAX, check_names
from tests.unit.audit.audit_rig import KEY, actor_of

ACTOR = actor_of(KEY, lane=GOVERNANCE)


def op(kind: Kind, number: int = 1, **fields: Any) -> Op:
    return Op(dot=Dot(ACTOR, number), kind=kind, agent="human:a", **fields)


def told(*pairs: tuple[str, Op]) -> list[tuple[str, dict[str, Any]]]:
    out: list[tuple[str, dict[str, Any]]] = []

    def record(event: str, **facts: Any) -> None:
        check_names(event, facts)
        out.append((event, facts))

    applied = Applied(record, lambda: iter([o for _, o in pairs]))
    applied.hear([note(kind, o) for kind, o in pairs])
    return out


@pytest.mark.parametrize(
    ("made", "event", "facts"),
    [
        (
            op(Kind.POLICY, namespace="team", set={"governance": {"write": "owner"}, "owner": "o"}),
            "policy_set",
            {"levels": ("write=owner",), "owner": "o", "namespace": "team"},
        ),
        (op(Kind.POLICY, namespace="team", set={"governance": {}}), "policy_cleared", {}),
        (
            op(Kind.AGENT, id="ai:b", set={"agent_type": "ai", "public_key": bytes(32)}),
            "agent_registered",
            {"id": "ai:b", "agent_type": "ai", "key_bound": True},
        ),
        (
            op(Kind.ROLE, id="ai:b", set={"role": "team-admin", "namespaces": ["team"]}),
            "role_granted",
            {"id": "ai:b", "role": "team-admin", "namespaces": ("team",)},
        ),
        (op(Kind.MODE, set={"mode": "off"}), "mode_changed", {"mode": "off"}),
        (
            op(Kind.ADD, id="ff", set={"node": b"\xff", "name": "b"}),
            "member_added",
            {"member": "ff", "name": "b", "founder": False},
        ),
        (op(Kind.REMOVE, id="ff"), "member_removed", {"member": "ff"}),
        (op(Kind.READY, id="ff"), "member_ready", {"member": KEY.node_id.hex()}),
        (op(Kind.FORK, id="x"), "governed", {"kind": "fork"}),
    ],
)
def test_a_change_of_governance_says_what_it_is_and_whose(
    made: Op, event: str, facts: dict[str, Any]
) -> None:
    said, found = told(("governed", made))[0]
    assert said == event
    assert facts.items() <= found.items()
    assert found["dot"] == dot_text(made.dot)
    assert found["agent"] == "human:a"


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("refused", "refused"),
        ("pending", "pending"),
        ("voted", "vote"),
        ("void", "vote_void"),
        ("sealed", "seal"),
        ("tolerated", "tolerated"),
    ],
)
def test_every_note_has_its_event(kind: str, event: str) -> None:
    secret = op(Kind.EDIT, namespace="n", id="m", set={"title": "secret", "content": "secret"})
    said, facts = told((kind, secret))[0]
    assert (said, facts["namespace"]) == (event, "n")
    assert "secret" not in str(facts)
    assert event in EVENTS


def test_a_decision_can_be_read_from_its_entry() -> None:
    held = Pending(b"dmemory/m-1", b"h" * 32, "ann", "human", action="promote", namespace="n")
    no = op(Kind.VOTE, 2, target=Dot(ACTOR, 1), set={"yes": False, "reason": "secret"})
    out: list[dict[str, Any]] = []
    applied = Applied(lambda _event, **facts: out.append(facts), lambda: iter(()))
    applied.hear([note("voted", no, held)])
    about = dot_text(Dot(ACTOR, 1))
    assert out[0]["detail"] == f"vote no {about} promote m-1"
    assert (out[0]["agent"], out[0]["namespace"]) == ("human:a", "n")
    assert len(str(out[0]["detail"])) <= TEXT_CHARS_MAX
    assert "secret" not in str(out), "what people wrote is no fact of the chain"


def test_a_note_of_a_kind_that_is_new_is_not_lost() -> None:
    said, facts = told(("surprising", op(Kind.EDIT, id="m")))[0]
    assert (said, facts["detail"]) == ("governed", "edit m")
