"""How a retry is known is a function of the clock: every node that saw a request knows it."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.op import Idempotency, Kind
from tests.unit.crdt.rig import Node, draft, mesh, snapshot, spread

REQUESTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(1, 3)), min_size=1, max_size=12
)


def mark(key: int, body: bytes = b"body") -> Idempotency:
    return Idempotency(hashlib.sha256(b"%d" % key).digest()[:16], body.ljust(16, b"."))


def asked(nodes: list[Node], requests: list[tuple[int, int, int]]) -> None:
    """As clients do that retry elsewhere: what a node knows already it makes no more."""
    for number, (who, key, count) in enumerate(requests):
        node = nodes[who]
        if node.replica.overlay.remembered(mark(key).scope) is None:
            drafts = [draft(Kind.CREATE, f"r{number}.{n}", title=n) for n in range(count)]
            node.write(*drafts, idempotency=mark(key))
        node.commit()
        spread(nodes)


@given(REQUESTS)
@settings(max_examples=40, deadline=None)
def test_every_node_knows_every_request(requests: list[tuple[int, int, int]]) -> None:
    nodes = mesh("a", "b", "c")
    asked(nodes, requests)
    for key in {key for _, key, _ in requests}:
        rows = [node.replica.overlay.remembered(mark(key).scope) for node in nodes]
        assert rows[0] is not None
        assert rows.count(rows[0]) == len(rows), "one node would take the retry for a new request"


@given(REQUESTS)
@settings(max_examples=40, deadline=None)
def test_a_retry_elsewhere_makes_nothing(requests: list[tuple[int, int, int]]) -> None:
    nodes = mesh("a", "b", "c")
    asked(nodes, requests)
    first = {key: count for _, key, count in reversed(requests)}
    made = [key for key in nodes[0].disk.records if key.startswith(b"dmemory/")]
    assert len(made) == sum(first.values())


@given(REQUESTS)
@settings(max_examples=20, deadline=None)
def test_who_came_by_a_snapshot_knows_them_too(requests: list[tuple[int, int, int]]) -> None:
    nodes = mesh("a", "b", "c")
    asked(nodes, requests)
    copy = snapshot(nodes[0].disk)
    for _, key, _ in requests:
        assert copy.idempotent(mark(key).scope) == nodes[0].disk.idempotent(mark(key).scope)
