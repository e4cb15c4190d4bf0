"""Who belonged, which certificates were seen, and how far members are behind."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from crdt.dot import DATA, PRIVATE, new_actor
from crdt.hlc import stamp_of
from crdt.op import Kind, Op
from node.peers.faces import Faces
from node.peers.leavers import leavers_of
from node.replication.engine import Engine
from node.replication.lag import Lag, Lags
from tests.unit.doctor.healthy import A, B, C, dot_of, member

PRINT, OTHER = "ab" * 32, "cd" * 32


# --- who left ----------------------------------------------------------------------------


def added(node: bytes, name: str, seq: int, kind: Kind = Kind.ADD) -> Op:
    fields = {"node": node, "key": bytes(32), "name": name, "url": f"https://{name}"}
    return Op(dot=dot_of(A, seq), kind=kind, id=node.hex(), set=fields)


def removed(node: bytes, seq: int, *adds: Op, agent: str = "") -> Op:
    return Op(
        dot=dot_of(A, seq),
        kind=Kind.REMOVE,
        id=node.hex(),
        agent=agent,
        hlc=stamp_of(1_000 * seq),
        supersedes=frozenset(op.dot for op in adds),
    )


def test_a_leaver_is_told_with_who_and_when() -> None:
    founder, second = added(A, "node-a", 1, Kind.FOUND), added(B, "node-b", 2)
    history = [founder, second, removed(B, 3, second, agent="human:anna")]
    (leaver,) = leavers_of(history, [A]).values()
    assert (leaver.name, leaver.url, leaver.node_id) == ("node-b", "https://node-b", B)
    assert (leaver.by_node, leaver.by_agent, leaver.at_ms) == ("node-a", "human:anna", 3_000)
    assert leaver.dot == dot_of(A, 3)


def test_who_came_back_is_no_leaver_and_who_never_was_neither() -> None:
    founder, second = added(A, "node-a", 1, Kind.FOUND), added(B, "node-b", 2)
    again = added(B, "node-b", 4)
    history = [founder, second, removed(B, 3, second), again]
    assert leavers_of(history, [A, B]) == {}
    assert leavers_of([founder, removed(C, 5)], [A]) == {}
    (leaver,) = leavers_of([*history, removed(B, 6, again)], [A]).values()
    assert leaver.at_ms == 6_000


# --- faces -------------------------------------------------------------------------------


def test_a_face_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "faces.json"
    first = Faces(path=path)
    assert (first.of(B), first.owner(PRINT), first.allowed) == ("", "", None)
    first.look([(B, PRINT)], frozenset((PRINT, OTHER)))
    second = Faces(path=path)
    assert second.of(B) == PRINT
    assert second.owner(PRINT) == B.hex()
    assert second.owner(OTHER) == ""
    assert second.allowed == {PRINT, OTHER}
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_when_nothing_is_new(tmp_path: Path) -> None:
    path = tmp_path / "faces.json"
    faces = Faces(path=path)
    faces.look([(B, PRINT)], frozenset((PRINT,)))
    before = path.stat().st_ino
    faces.look([(B, PRINT)], frozenset((PRINT,)))
    faces.look([], frozenset((PRINT,)))
    assert path.stat().st_ino == before
    faces.look([(B, OTHER)], frozenset((PRINT,)))
    assert path.stat().st_ino != before
    assert faces.of(B) == OTHER


def test_a_torn_or_foreign_note_is_none(tmp_path: Path) -> None:
    path = tmp_path / "faces.json"
    for text in (
        "",
        "{",
        "[]",
        json.dumps({"shown": [1], "allowed": {}}),
        json.dumps({"shown": {"x": PRINT, B.hex(): "short", "z" * 64: PRINT}, "allowed": [7]}),
    ):
        path.write_text(text)
        faces = Faces(path=path)
        assert faces.of(B) == ""
        assert not faces.allowed


# --- lag ---------------------------------------------------------------------------------

OURS, THEIRS = new_actor(DATA, 1, bytes(8), A), new_actor(DATA, 1, bytes(8), C)
HIDDEN = new_actor(PRIVATE, 1, bytes(8), A)


@dataclass
class Rig:
    """As much of an engine as lag is measured on, with a clock that the test moves."""

    durable: dict[bytes, int] = field(default_factory=dict)
    peers: dict[int, Any] = field(default_factory=dict)
    members: set[bytes] = field(default_factory=lambda: {A, B})
    ms: int = 1_000_000

    def __post_init__(self) -> None:
        self.lags = Lags(cast("Engine", self))
        self.me = SimpleNamespace(node_id=A)

    @property
    def exchange(self) -> Any:
        return SimpleNamespace(durable=self.durable, peers=self.peers)

    @property
    def replica(self) -> Any:
        state = SimpleNamespace(members={node: member(node) for node in self.members})
        return SimpleNamespace(governance=SimpleNamespace(now=state))

    def now_ms(self) -> int:
        return self.ms

    def of_b(self) -> Lag:
        return self.lags.look()[B]

    def linked(self, row: dict[bytes, int] | None) -> None:
        self.peers[1] = SimpleNamespace(node_id=B, row=row)


def test_a_level_member_is_not_behind() -> None:
    rig = Rig(durable={OURS: 3, THEIRS: 2, HIDDEN: 9})
    rig.linked({OURS: 3, THEIRS: 2})
    assert rig.lags.look() == {B: Lag(ops=0, seconds=0.0)}


def test_what_everybody_wrote_counts_and_private_things_do_not() -> None:
    rig = Rig(durable={OURS: 3, THEIRS: 2, HIDDEN: 9})
    rig.linked({OURS: 1})
    assert rig.of_b().ops == 4


def test_the_age_grows_while_a_member_stands_still() -> None:
    rig = Rig(durable={OURS: 1})
    rig.linked({OURS: 1})
    rig.of_b()
    rig.durable = {OURS: 5}
    rig.ms += 500
    # What was there at the last look is held; the age begins with this one.
    assert rig.of_b() == Lag(ops=4, seconds=0.0)
    rig.ms += 3_000
    rig.durable = {OURS: 9}
    assert rig.of_b() == Lag(ops=8, seconds=3.0)
    rig.linked({OURS: 9})
    assert rig.of_b() == Lag(ops=0, seconds=0.0)


def test_a_member_that_follows_a_steady_stream_never_looks_old() -> None:
    rig = Rig(durable={OURS: 1})
    for step in range(1, 50):
        rig.durable = {OURS: step + 3}
        rig.linked({OURS: step})
        rig.ms += 1_000
        assert rig.of_b().seconds <= 4.0


def test_a_member_that_went_away_is_measured_by_what_it_last_said() -> None:
    rig = Rig(durable={OURS: 4})
    rig.linked({OURS: 4})
    rig.of_b()
    rig.peers.clear()
    assert rig.of_b() == Lag(ops=0, seconds=0.0)
    rig.durable = {OURS: 6}
    rig.of_b()
    rig.ms += 2_000
    assert rig.of_b() == Lag(ops=2, seconds=2.0)
    # A link without its first word yet takes nothing of that back.
    rig.linked(None)
    assert rig.of_b().ops == 2


def test_a_removed_member_is_forgotten() -> None:
    rig = Rig(durable={OURS: 4})
    rig.linked({OURS: 4})
    rig.of_b()
    rig.peers.clear()
    rig.members = {A}
    assert rig.lags.look() == {}
    rig.members = {A, B}
    assert rig.of_b().ops == 4
