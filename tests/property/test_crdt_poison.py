"""The log has no poison: what one member may sign, no member may choke on.

A bundle that decodes, fits and is signed is applied by every node for ever. Whatever its values
are, taking it, judging by it and reading what it made must not raise.
"""

from typing import Any

import pytest

from crdt.admission import Fit
from crdt.bundle import NO_PREV, BundleError, seal_bundle
from crdt.dot import DATA, GOVERNANCE, Dot
from crdt.op import Draft, Kind, Op
from crdt.op_codec import DEPTH_MAX, FIELDS_MAX, ID_BYTES_MAX
from crdt.view import view
from tests.unit.crdt.rig import Node, actor, draft, key_of, mesh, node_of, signed


def rogue(author: Node, lane: bytes, *kinds: tuple[Kind, dict[str, Any]]) -> bytes:
    """A bundle that a member signed by hand, with values its own program would never write."""
    line = actor(author.name, lane, birth=99)
    heads = author.replica.governance.heads
    ops = [
        Op(**{"dot": Dot(line, n), "kind": kind, "heads": heads, "agent": "ann", **parts})
        for n, (kind, parts) in enumerate(kinds, start=1)
    ]
    bundle = seal_bundle(
        cluster=author.replica.cluster,
        actor=line,
        first=1,
        prev=NO_PREV,
        ops=ops,
        sign=lambda message: signed(author.name, message),
    )
    return bundle.data


STRANGE: list[Any] = [5, "text", [1], [["x"]], {"x": [1]}, None, True, b"raw"]


def survives(data: bytes) -> None:
    """The bundle is taken, and everything that reads the state afterwards still works."""
    a, b = mesh("a", "b")
    assert b.hear(data) is Fit.NEXT
    b.commit()
    b.create("other", title="still works")
    b.edit("other", title="and again")
    b.commit()
    for key in b.disk.records:
        view(b.replica.read(key), b.replica)
    b.started()
    a.pull(b)
    assert a.values("other") == {"title": "and again"}


def touching(author: Node, rules: Any) -> None:
    """The same policy where the next write is judged by it; a refusal is an answer."""
    a, b = mesh("a", "b")
    data = rogue(
        author, GOVERNANCE, (Kind.POLICY, {"namespace": "n", "set": {"governance": rules}})
    )
    assert b.hear(data) is Fit.NEXT
    b.commit()
    wanted = Op(
        dot=Dot(actor("b", birth=7), 1),
        kind=Kind.CREATE,
        namespace="n",
        agent="ann",
        heads=b.replica.governance.heads,
    )
    b.replica.verdict(wanted)
    del a


AUTHOR = mesh("a", "b")[0]


@pytest.mark.parametrize("rules", STRANGE, ids=repr)
def test_a_policy_of_any_shape_is_no_poison(rules: Any) -> None:
    touching(AUTHOR, rules)


@pytest.mark.parametrize("level", STRANGE, ids=repr)
def test_a_level_of_any_shape_is_no_poison(level: Any) -> None:
    touching(AUTHOR, {"write": level})


@pytest.mark.parametrize("name", ["approver", "inherit", "no rule at all"])
@pytest.mark.parametrize("level", STRANGE, ids=repr)
def test_a_rule_of_any_shape_is_no_poison(name: str, level: Any) -> None:
    touching(AUTHOR, {name: level})


@pytest.mark.parametrize("kind", STRANGE, ids=repr)
def test_an_agent_of_any_type_is_no_poison(kind: Any) -> None:
    fields = {"id": "bob", "set": {"agent_type": kind}}
    survives(rogue(AUTHOR, GOVERNANCE, (Kind.AGENT, fields), (Kind.AGENT, fields)))


@pytest.mark.parametrize("field", ["title", "tags/x", "tier"])
@pytest.mark.parametrize("value", STRANGE, ids=repr)
def test_a_field_of_any_value_is_no_poison(field: str, value: Any) -> None:
    written(field, value)


@pytest.mark.parametrize("field", ["rev", "+n"])
@pytest.mark.parametrize("value", STRANGE, ids=repr)
def test_a_number_of_any_value_is_no_poison(field: str, value: Any) -> None:
    written(field, value)


def written(field: str, value: Any) -> None:
    born = {"collection": "memory", "id": "r", "namespace": "n", "owner": "ann"}
    both = [(Kind.CREATE, {**born, "set": {field: value}}) for _ in range(2)]
    data = rogue(AUTHOR, DATA, *both)
    survives(data)
    b = mesh("a", "b")[1]
    b.hear(data)
    b.edit("r", title="over it", **({field: 1} if field == "+n" else {}))
    assert b.view("r") is not None


@pytest.mark.parametrize("name", ["node", "key", "claim", "genesis", "name", "url"])
@pytest.mark.parametrize("value", STRANGE, ids=repr)
@pytest.mark.parametrize("kind", [Kind.FOUND, Kind.ADD])
def test_a_member_of_any_shape_is_no_poison(kind: Kind, name: str, value: Any) -> None:
    me = AUTHOR.replica.me
    good = {
        "genesis": AUTHOR.replica.genesis.id,
        "node": me.node_id,
        "key": me.key,
        "claim": "a",
        "name": "a",
        "url": "a",
    }
    survives(rogue(AUTHOR, GOVERNANCE, (kind, {"id": "x", "set": {**good, name: value}})))


@pytest.mark.parametrize("name", ["name", "url"])
def test_a_members_name_and_address_are_text(name: str) -> None:
    a = mesh("a", "b")[0]
    good = {"node": node_of("z"), "key": key_of("z"), name: [1]}
    a.hear(rogue(AUTHOR, GOVERNANCE, (Kind.ADD, {"id": "x", "set": good})))
    for member in a.replica.governance.now.members.values():
        assert isinstance(member.name, str)
        assert isinstance(member.url, str)


def test_members_that_lack_a_field_are_no_poison() -> None:
    for kind in (Kind.FOUND, Kind.ADD, Kind.REMOVE, Kind.READY, Kind.POLICY, Kind.AGENT, Kind.FORK):
        survives(rogue(AUTHOR, GOVERNANCE, (kind, {})))


@pytest.mark.parametrize("value", STRANGE, ids=repr)
def test_a_vote_of_any_shape_is_no_poison(value: Any) -> None:
    a, b = mesh("a", "b")
    a.create(title="x")
    a.commit()
    a.policy(write="approve")
    target = a.edit(title="y")
    a.commit()
    b.pull(a)
    for fields in (
        {"hash": value, "yes": True},
        {"hash": b.replica.pending[target].hash, "yes": value},
    ):
        data = rogue(b, DATA, (Kind.VOTE, {"target": target, "set": fields}))
        fresh = Node("a", ("a", "b"), disk=a.disk.copy())
        assert fresh.hear(data) is Fit.NEXT
        fresh.commit()


# --- what this node mints, the others can read -----------------------------------


def deep(levels: int) -> Any:
    out: Any = 1
    for _ in range(levels):
        out = [out]
    return out


TOO_MUCH: dict[str, Draft] = {
    "a long id": draft(Kind.CREATE, "x" * (ID_BYTES_MAX + 1)),
    "many fields": draft(Kind.CREATE, **{f"f{n}": n for n in range(FIELDS_MAX)}),
    "a long field name": draft(Kind.CREATE, **{"x" * 1000: 1}),
    "a long namespace": draft(Kind.CREATE, namespace="n" * 3000),
    "a deep value": draft(Kind.CREATE, body=deep(DEPTH_MAX + 2)),
    "no number": draft(Kind.CREATE, body=float("nan")),
    "a wide number": draft(Kind.CREATE, body=2**64),
    "half a character": draft(Kind.CREATE, body="\ud800"),
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_is_minted_can_be_read_by_all_or_is_refused_at_once(name: str) -> None:
    a, b = mesh("a", "b")
    try:
        a.write(TOO_MUCH[name])
    except ValueError:
        assert not a.replica.has_open, "refused, but half minted"
        return
    _all_take(a, b)


def _all_take(a: Node, b: Node) -> None:
    try:
        sealed = a.commit()
    except (ValueError, OverflowError) as error:
        pytest.fail(f"minted, and cannot be written down: {error!r}")
    for bundle in sealed:
        try:
            assert b.hear(bundle.data) is Fit.NEXT
        except BundleError as error:
            pytest.fail(f"minted, and no peer takes it: {error}")


def test_a_request_larger_than_a_bundle_is_split_or_refused() -> None:
    a, b = mesh("a", "b")
    a.started(ops_max=5)
    b.started(ops_max=5)
    try:
        a.write(*(draft(Kind.CREATE, f"r{n}") for n in range(6)))
    except ValueError:
        assert not a.replica.has_open
        return
    _all_take(a, b)
