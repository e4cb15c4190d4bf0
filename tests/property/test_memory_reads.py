"""What is remembered of a record, over histories of a real node.

Law: a read that remembers gives what a read of the disk gives, to the byte of the answer:
through edits, moves, deletions, erasure, the archive, approvals and their refusal, ends of
life, a new process and another store.
"""

import pytest

from crdt.dot import DATA, PRIVATE
from crdt.memo import Memo
from crdt.op import Kind, record_key
from node.contracts import Caller, GovernanceDraft, Held
from node.errors import NodeError
from node.http.answer import json_bytes
from node.http.saying import said_of
from node.memory.record import record_of
from node.replication.showing import Showing
from tests.property.memory_histories import AGENTS, CHANGES, History, lived

STEPS = 60
DEEDS = {**CHANGES, "delete": 3, "restart": 1}
APPROVER = AGENTS[0]


async def governed(history: History) -> None:
    """From now on one namespace asks somebody for what is changed in it."""
    funnel, caller = history.node.funnel, Caller(agent=APPROVER, local=True)
    drafts = [
        GovernanceDraft(kind=Kind.AGENT, id=name, set={"agent_type": "human"}) for name in AGENTS
    ]
    rules = {"write": "approve", "delete": "approve", "approver": {"agent": APPROVER}}
    policy = GovernanceDraft(kind=Kind.POLICY, namespace="other", set={"governance": rules})
    for draft in (*drafts, policy):
        await funnel.govern([draft], caller=caller)


async def vote(history: History) -> None:
    """Decide about something that waits, if anything does."""
    node, chance = history.node, history.chance
    waiting = [dot for dot in node.engine.replica.pending if not node.engine.replica.shown(dot)]
    if waiting:
        caller = Caller(agent=APPROVER, local=True)
        try:
            await node.funnel.decide(
                chance.choice(waiting), yes=chance.random() < 0.7, caller=caller
            )
        except NodeError:
            history.refused += 1


def check(history: History) -> int:
    """Compare every record; how many answers were given from memory."""
    node = history.node
    reader, plain, remembered = node.reader, Showing(node.engine), 0
    for ident in history.ids:
        own, shared = (record_key(lane, "memory", ident) for lane in (PRIVATE, DATA))
        pairs: list[tuple[Held | None, Held | None]] = [
            (reader.own("memory", ident), plain.held(own)),
            (reader.get("memory", ident), plain.held(shared) or plain.held(own)),
            (
                reader.archived("memory", ident),
                plain.held(shared, archived=True) or plain.held(own, archived=True),
            ),
        ]
        for quick, slow in pairs:
            assert quick == slow
            if quick is not None and slow is not None:
                remembered += quick.memo is not None
                for access in ((0, 0), (7, node.now_ms)):
                    assert said_of(quick, access) == json_bytes(record_of(slow, access))
    return remembered


async def story(history: History) -> None:
    await governed(history)
    remembered = 0
    for _ in range(STEPS):
        await (vote(history) if history.chance.random() < 0.2 else history.step(DEEDS))
        remembered += check(history)
        if history.chance.random() < 0.5:
            await history.node.engine.drain()
            remembered += check(history)
    await history.node.lose_store()
    check(history)
    assert remembered > STEPS // 6


def _forgetful(_memo: Memo, _key: bytes) -> None:
    """Forgets to forget."""


@pytest.mark.parametrize("seed", range(12))
def test_a_read_that_remembers_gives_what_the_disk_gives(seed: int) -> None:
    lived(seed, story)


def test_who_forgets_to_forget_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Memo, "drop", _forgetful)
    with pytest.raises(AssertionError):
        lived(1, story)
