"""What the bytes on the wire and on the disk are; `python -m tests.golden.frozen` freezes them.

A change of these files is a change of format: other versions must be able to read both, or the
format's number must grow. Never refreeze to make a test pass.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from crdt.bundle import read_bundle
from crdt.messages import decode
from crdt.op import Idempotency, Kind
from crdt.pending import Pending, Vote, encode_pending
from crdt.record_codec import encode as encode_record
from node.replication.comparing import (
    Answer,
    ClockPart,
    Heard,
    Keys,
    Opened,
    Question,
    Range,
    Rows,
)
from node.replication.comparing import encode as encode_aside
from node.replication.manifest import Manifest
from node.replication.tokens import encode_token
from node.store.roster import Said
from tests.property.hostile import SigningNode, good_messages, greeting
from tests.unit.crdt.rig import Side, dot, draft, linked
from tests.unit.crdt.test_record import BORN, EDIT, GONE, OTHER, after

FOLDER = Path(__file__).parent
BYTES = FOLDER / "bytes.json"
STORY = FOLDER / "catch_up.txt"


def frozen() -> dict[str, str]:
    """Every format, by name, as hexadecimal digits."""
    author = SigningNode("a").found()
    author.agent("bob")
    author.commit()
    mark = Idempotency(scope=b"s" * 16, body=b"b" * 16)
    author.write(
        draft(Kind.CREATE, "r-1", title="é", content="text", **{"tags/t": 0, "+seen": 1}),
        draft(Kind.EDIT, "r-1", title="new", metadata={"deep": [1, 2.5, None, True]}),
        idempotency=mark,
    )
    author.commit()
    founding, agent, data = author.sealed
    record = after(BORN, EDIT, OTHER, GONE, pending={EDIT.dot, GONE.dot})
    assert record is not None
    vote = Vote("bob", 5, yes=True, human=True, registered=True, seen=frozenset([dot("v", 2)]))
    held = Pending(
        b"dmemory/r",
        b"h" * 32,
        "ann",
        {"consensus": 2},
        action="delete",
        namespace="n",
        asked=3,
        expires=9,
        leader=dot(),
        votes={dot(): vote},
    )
    out = {
        "bundle of governance": founding.data,
        "bundle of an agent": agent.data,
        "bundle of data": data.data,
        "signed message of a bundle": data.signed,
        "record": encode_record(record),
        "pending operation": encode_pending(held),
        "pending operation with a reason": encode_pending(
            held.with_vote(dot(), replace(vote, yes=False, reason="no röom"))
        ),
        "greeting": greeting(),
        "greeting of who knows no documents": greeting(kinds=tuple(map(int, Kind))),
        "standing": author.disk.genesis,
        "token": encode_token({dot("a").actor: 3, dot("b").actor: 2**53 - 1}).encode(),
    }
    for said in asides():
        out[f"aside {type(said).__name__}"] = encode_aside(said)
    out["aside Manifest"] = Manifest(
        snapshot=b"snap",
        key=author.key.public,
        genesis=bytes(32),
        clock=bytes(16),
        digest=7,
        now_ms=9,
    ).signed(author.key.sign)
    for message in good_messages():
        out[f"message {type(decode(message)).__name__}"] = message
    return {name: data.hex() for name, data in out.items()}


def asides() -> Iterator[Question | Answer]:
    """One of each kind of word about a snapshot."""
    yield ClockPart(number=1, place=0, part=0, parts=1, clock={dot("a").actor: 3})
    yield Range(number=1, place=2, kind=b"r", after=b"da", upto=b"db", sum=bytes(32))
    yield Keys(number=1, place=3, keys=(b"dmemory/r",))
    yield Heard(number=1, place=0)
    yield Opened(number=1, place=0, fits=True)
    rows = (Said(b"dmemory/r", b"w" * 16, 1),)
    yield Rows(number=1, place=2, same=False, reached=b"db", rows=rows)


# --- a story ---------------------------------------------------------------------


class Teller:
    """Names actors and bundles so that a person can follow."""

    def __init__(self, **nodes: SigningNode) -> None:
        self.names = {node.key.node_id: name for name, node in nodes.items()}
        self.cluster = next(iter(nodes.values())).replica.cluster

    def actor(self, actor: bytes) -> str:
        lane = {b"g": "governance", b"d": "data", b"p": "private"}[actor[:1]]
        return f"{self.names[actor[13:]]}'s {lane}"

    def clock(self, clock: dict[bytes, int]) -> str:
        known = sorted((self.actor(a), n) for a, n in clock.items())
        return ", ".join(f"{name} up to {n}" for name, n in known) or "nothing"

    def bundle(self, data: bytes) -> str:
        bundle = read_bundle(data, cluster=self.cluster, ops_max=100)
        does = ", ".join(f"{op.kind.name.lower()} {op.id[:8]}".strip() for op in bundle.ops)
        return f"{self.actor(bundle.actor)} {bundle.first}..{bundle.last} ({does})"

    def words(self, data: bytes) -> Iterator[str]:
        message = decode(data)
        kind = type(message).__name__
        match kind:
            case "Hello":
                yield f"Hello, my disk holds {self.clock(message.newest)}"
            case "Want":
                yield f"Want {message.number}: all beyond {self.clock(message.clock)}"
            case "Page":
                last = "the last" if message.last else "more to come"
                yield f"Page for Want {message.number}, {last}"
                for held in message.bundles:
                    yield f"    {self.bundle(held)}"
            case "Level":
                yield f"Level at {self.clock(message.clock)}: push me your own"
            case "Ack":
                yield f"Ack, on my disk: {self.clock(message.clock)}"
            case "Push":
                yield f"Push {self.bundle(message.bundle)}"
            case _:
                yield kind


def story() -> str:
    """One node was away, comes back, catches up by pages, and is pushed to again."""
    ann, bob = SigningNode("ann", founders=("ann", "bob")), None
    bob = SigningNode("bob", founders=("ann", "bob"))
    ann.found()
    bob.found()
    ann.pull(bob)
    bob.pull(ann)
    lines = ["Ann and Bob founded a mesh together. Bob was away while Ann wrote three memories."]
    for n in (1, 2, 3):
        ann.create(f"memory-{n}", title=f"title {n}")
        ann.commit()
    left, right = Side(ann, page_bytes_max=800), Side(bob)
    teller = Teller(Ann=ann, Bob=bob)
    linked(left, right)
    lines += ["", "A link opens."]
    lines += _talk(teller, left, right)
    lines += ["", "Bob is level. Ann edits a memory; it is pushed, not asked for."]
    ann.edit("memory-1", title="edited")
    left.commit()
    lines += _talk(teller, left, right)
    same = ann.disk.digest == bob.disk.digest
    lines += [
        "",
        f"Bob reads {bob.values('memory-1')}; the digests are {'' if same else 'un'}equal.",
    ]
    return "\n".join(lines) + "\n"


def _talk(teller: Teller, left: Side, right: Side) -> list[str]:
    lines: list[str] = []
    for _ in range(30):
        before = len(lines)
        for name, sender, receiver in (("Ann", left, right), ("Bob", right, left)):
            for data in sender.boxes[1].take(2**20):
                lines += [f"{name}: {words}" for words in teller.words(data)]
                receiver.exchange.receive(1, data)
            receiver.commit()
            receiver.exchange.tick()
        if len(lines) == before:
            return lines
    raise AssertionError("they never stop talking")


def main() -> None:
    """Write what is now; look at the difference before you commit it."""
    BYTES.write_text(json.dumps(frozen(), indent=1) + "\n", encoding="utf-8")
    STORY.write_text(story(), encoding="utf-8")


if __name__ == "__main__":
    main()
