from crdt.admission import Fit
from crdt.bundle import Bundle, seal_bundle
from crdt.dot import DATA
from crdt.op import Kind, Op
from tests.unit.crdt.rig import Node, dot, key_of, mesh, node_of, signed


def forged(
    node: Node, bundle: Bundle, *ops: Op, by: str = "a", prev: bytes | None = None
) -> Bundle:
    """The same place in the line, other content, signed by anyone."""
    return seal_bundle(
        cluster=node.replica.cluster,
        actor=bundle.actor,
        first=ops[0].dot.seq,
        prev=bundle.prev if prev is None else prev,
        ops=ops,
        sign=lambda message: signed(by, message),
    )


def pair() -> tuple[Node, Node, list[Bundle]]:
    a, b = mesh("a", "b")
    bundles = []
    for n in range(3):
        a.create(f"r{n}", title="x")
        bundles += a.commit()
    return a, b, bundles


def test_a_line_is_taken_in_order_and_twice_is_once() -> None:
    _, b, bundles = pair()
    before = b.replica.digest
    assert [b.hear(x.data) for x in bundles] == [Fit.NEXT] * 3
    b.commit()
    after = b.replica.digest
    assert after != before
    assert [b.hear(x.data) for x in bundles] == [Fit.KNOWN] * 3
    b.commit()
    assert b.replica.digest == after


def test_a_gap_means_behind() -> None:
    _, b, bundles = pair()
    assert b.hear(bundles[1].data) is Fit.BEHIND
    assert bundles[1].actor not in b.replica.clock


def test_another_chain_is_a_fork() -> None:
    a, b, bundles = pair()
    b.hear(bundles[0].data)
    other = forged(a, bundles[1], *bundles[1].ops, prev=b"x" * 32)
    assert b.replica.fit(other) is Fit.FORK
    overlap = forged(a, bundles[0], *bundles[0].ops, *bundles[1].ops)
    assert b.replica.fit(overlap) is Fit.FORK
    twin = forged(a, bundles[0], bundles[0].ops[0]._replace(id="else"))
    assert b.replica.fit(twin) is Fit.FORK


def test_what_refers_to_the_unknown_means_behind() -> None:
    a, b, bundles = pair()
    op = bundles[0].ops[0]
    far = frozenset([dot("z", 5)])
    for change in (
        {"births": far},
        {"supersedes": far},
        {"births": frozenset([op.dot])},
        {"heads": (dot("z", 5, lane=b"g"),)},
        {"kind": Kind.VOTE, "target": dot("z", 5)},
    ):
        assert b.replica.fit(forged(a, bundles[0], op._replace(**change))) is Fit.BEHIND


def test_an_operation_may_refer_to_one_before_it_in_its_bundle() -> None:
    a, b = mesh("a", "b")
    a.create(title="x")
    a.edit(title="y")
    (bundle,) = a.commit()
    assert len(bundle.ops) == 2
    assert b.hear(bundle.data) is Fit.NEXT


def test_a_signature_of_another_key_is_bad() -> None:
    a, b, bundles = pair()
    assert b.replica.fit(forged(a, bundles[0], *bundles[0].ops, by="b")) is Fit.BAD
    spoiled = bundles[0]._replace(signature=bytes(64))
    assert b.replica.fit(spoiled) is Fit.BAD


def test_an_unknown_author_is_bad_unless_it_introduces_itself() -> None:
    a = Node("a", ("a", "b")).found()
    b = Node("b", ("a", "b"))
    b.found()
    founding = b.sealed[0]
    assert a.hear(founding.data) is Fit.NEXT
    stranger = Node("c", ("a", "b", "c")).found()
    wrong = stranger.replica.me
    assert wrong.node_id == node_of("c")
    op = founding.ops[0]._replace(set={**founding.ops[0].set, "key": key_of("c")})
    fresh = Node("a", ("a", "b")).found()
    assert fresh.replica.fit(forged(fresh, founding, op, by="c")) is Fit.BAD


def test_an_author_may_not_name_older_governance_than_before() -> None:
    a, b = mesh("a", "b")
    old = a.replica.governance.heads
    a.policy(write="any")
    a.create("r0", title="x")
    sealed = a.commit()
    a.create("r1", title="x")
    (following,) = a.commit()
    for bundle in sealed:
        assert b.hear(bundle.data) is Fit.NEXT
    assert following.actor[:1] == DATA
    back = forged(a, following, following.ops[0]._replace(heads=old))
    assert b.replica.fit(back) is Fit.BAD
    assert b.replica.fit(following) is Fit.NEXT


def test_asking_changes_nothing() -> None:
    _, b, bundles = pair()
    before = (dict(b.replica.clock), b.replica.digest, b.replica.dirty)
    for bundle in bundles:
        b.replica.fit(bundle)
    assert (dict(b.replica.clock), b.replica.digest, b.replica.dirty) == before
