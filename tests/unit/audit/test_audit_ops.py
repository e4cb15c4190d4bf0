"""The log of operations: what holds, and what each kind of damage is called."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crdt.bundle import cluster_hash, read_bundle, seal_bundle
from crdt.dot import DATA, Actor, actor_text, new_actor
from crdt.governance import Genesis
from crdt.identity import Self
from crdt.log_rule import LogRule
from crdt.op import Draft, Kind
from crdt.replica import Replica
from crdt.standing import found
from crdt.state import ActorRow
from node.audit.heads import ActorHead
from node.audit.memory_ops import verify_memory
from node.audit.offline import stopped
from node.audit.ops_walk import OPS_MAX, BadOp, OpsVerdict, OpsWalk, governance_bundles, member_keys
from node.audit.verifier import OpenStore
from node.store import Store
from node.store.environment import DATA_FILE
from node.store.rows import decode_actor, decode_entry, encode_actor
from node.store.schema import Transaction, number, sealed, unseal
from tests.unit.audit.audit_rig import KEY, T0_MS, key_of
from transport.identity import verify

CLUSTER = "test"
MARK = cluster_hash(CLUSTER)
MEMORIES = 6


class Node:
    """A replica of one, over a store."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        path = data_dir / "store-0011223344556677"
        self.store = Store(path, entropy=os.urandom, map_bytes=1 << 24)
        (data_dir / "CURRENT").write_text(path.name + "\n")
        claim = f"node:{KEY.node_id.hex()}"
        me = Self(
            node_id=KEY.node_id,
            key=KEY.public,
            claim=claim,
            name="a",
            url="",
            draw_actor=lambda lane: new_actor(lane, 1_700_000_000, bytes(8), KEY.node_id),
            sign=KEY.sign,
            verify=verify,
        )
        self.replica = Replica(
            me=me,
            genesis=Genesis(cluster=CLUSTER, founders=(claim,)),
            state=self.store,
            loaded=self.store.load(),
            skew_max_ms=5000,
        )
        found(self.replica, T0_MS)
        self.commit()

    @property
    def data(self) -> Actor:
        return self.replica.own[DATA]

    def commit(self) -> None:
        batch, _ = self.replica.take_batch(T0_MS)
        self.store.commit(batch)
        self.replica.committed(batch)

    def write(self, ident: str) -> None:
        draft = Draft(
            kind=Kind.CREATE, collection="memory", id=ident, namespace="n", set={"title": "t"}
        )
        self.replica.mint([draft], agent="ai:a", now_ms=T0_MS)
        self.commit()

    def verify(self, *claims: ActorHead) -> OpsVerdict:
        reading = OpenStore(self.store)
        keys = member_keys(governance_bundles(reading, MARK))
        return OpsWalk(store=reading, cluster=MARK, keys=keys, verify=verify, claims=claims).run()

    def head(self) -> ActorHead:
        row = self.replica.actors[self.data]
        return ActorHead(self.data, row.seq, row.hash)

    def change(self, work: Callable[[Transaction], object]) -> None:
        """What a hand with the right tools could do: checksums are made good."""
        self.store.environment.write(work)

    def place(self, txn: Transaction, last: int) -> bytes:
        return bytes(txn.get(self.data + number(last), db=self.store.tables.log_index))

    def rewrite(self, last: int, data: Callable[[bytes], bytes]) -> None:
        table = self.store.tables.log_data

        def work(txn: Transaction) -> None:
            at = self.place(txn, last)
            value = bytes(txn.get(at, db=table))
            held = decode_entry("log_data", at, value).data
            body = unseal("log_data", at, value)
            txn.put(at, sealed(at, body[: -len(held)] + data(held)), db=table)

        self.change(work)

    def bad(self, seq: int, reason: str) -> BadOp:
        return BadOp(actor_text(self.data), seq, reason)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    held = Node(tmp_path)
    for ident in range(MEMORIES):
        held.write(f"m{ident}")
    yield held
    held.store.close()


def test_a_log_holds_and_says_how_much_of_it(node: Node) -> None:
    verdict = node.verify(node.head())
    assert verdict.first_bad is None
    assert (verdict.actors, verdict.bundles, verdict.operations) == (2, 7, 7)


def test_a_signature_that_does_not_hold_is_found_behind_a_good_checksum(node: Node) -> None:
    node.rewrite(3, lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    assert node.verify().first_bad == node.bad(3, "signature_does_not_hold")


def test_another_bundle_in_its_place_is_found(node: Node) -> None:
    def other(data: bytes) -> bytes:
        held = read_bundle(data, cluster=MARK, ops_max=OPS_MAX)
        key = key_of(9)
        return seal_bundle(
            cluster=MARK,
            actor=held.actor,
            first=held.first,
            prev=bytes(32),
            ops=held.ops,
            sign=key.sign,
        ).data

    node.rewrite(4, other)
    assert node.verify().first_bad == node.bad(4, "prev_does_not_match")


def test_a_bundle_of_another_cluster_is_found(node: Node) -> None:
    reading = OpenStore(node.store)
    keys = {KEY.node_id: KEY.public}
    walk = OpsWalk(store=reading, cluster=cluster_hash("other"), keys=keys, verify=verify)
    bad = walk.run().first_bad
    assert bad is not None
    assert bad.reason == "signature_does_not_hold"


def test_a_bundle_that_is_gone_is_found(node: Node) -> None:
    def work(txn: Transaction) -> None:
        txn.delete(node.place(txn, 3), db=node.store.tables.log_data)
        txn.delete(node.data + number(3), db=node.store.tables.log_index)

    node.change(work)
    assert node.verify().first_bad == node.bad(3, "bundles_missing")


def test_a_cut_off_end_is_found_by_the_row_and_by_what_others_have_seen(node: Node) -> None:
    seen = node.head()
    table = node.store.tables.actors

    def cut(txn: Transaction) -> None:
        for last in (5, 6):
            txn.delete(node.place(txn, last), db=node.store.tables.log_data)
            txn.delete(node.data + number(last), db=node.store.tables.log_index)

    node.change(cut)
    assert node.verify().first_bad == node.bad(5, "bundles_missing")

    def mend(txn: Transaction) -> None:
        at = node.place(txn, 4)
        value = bytes(txn.get(at, db=node.store.tables.log_data))
        last = read_bundle(decode_entry("log_data", at, value).data, cluster=MARK, ops_max=OPS_MAX)
        row = decode_actor(unseal("actors", node.data, bytes(txn.get(node.data, db=table))))
        body = encode_actor(ActorRow(4, last.hash, row.heads), row.floor)
        txn.put(node.data, sealed(node.data, body), db=table)

    node.change(mend)
    assert node.verify().first_bad is None, "by itself nothing shows it"
    assert node.verify(seen).first_bad == node.bad(5, "cut_off")


def test_a_line_that_others_have_seen_and_is_gone_altogether_is_found(node: Node) -> None:
    gone = ActorHead(new_actor(DATA, 5, bytes(8), KEY.node_id), 3, bytes(32))
    assert node.verify(gone).first_bad == BadOp(actor_text(gone.actor), 1, "cut_off")


def test_what_was_truncated_is_no_fault(node: Node) -> None:
    rule = LogRule(
        rows=[{node.data: 4}], log_bytes_max=1 << 30, log_bytes_min=0, log_ms_max=1 << 60
    )
    node.store.truncate(rule, T0_MS)
    verdict = node.verify(node.head())
    assert verdict.first_bad is None
    assert (verdict.truncated, verdict.bundles) == (4, 3)


def test_a_memory_is_verified_by_its_own_operations(node: Node) -> None:
    keys = {KEY.node_id: KEY.public}
    verdict = verify_memory(OpenStore(node.store), "m2", cluster=MARK, keys=keys, verify=verify)
    assert verdict.holds
    assert [(op["kind"], op["seq"]) for op in verdict.operations] == [("create", 3)]
    node.rewrite(3, lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    again = verify_memory(OpenStore(node.store), "m2", cluster=MARK, keys=keys, verify=verify)
    assert not again.holds
    other = verify_memory(OpenStore(node.store), "m1", cluster=MARK, keys=keys, verify=verify)
    assert other.holds


def test_a_stopped_folder_is_read_and_not_one_byte_changed(node: Node) -> None:
    node.store.close()
    file = node.store.path / DATA_FILE
    before, names = file.read_bytes(), sorted(p.name for p in node.data_dir.rglob("*"))
    with stopped(node.data_dir, KEY.public) as folder:
        steps: list[int] = []
        report = folder.verify(steps.append)
        assert folder.total == sum(steps) == 7
    assert report.holds
    assert report.data()["ops"]["bundles"] == 7
    assert file.read_bytes() == before
    assert sorted(p.name for p in node.data_dir.rglob("*")) == names


def test_a_flipped_bit_in_a_stopped_folder_is_found(node: Node) -> None:
    table = node.store.tables.log_data
    value = node.store.environment.read(lambda txn: bytes(txn.get(node.place(txn, 2), db=table)))
    node.store.close()
    file = node.store.path / DATA_FILE
    flipped = bytearray(value)
    flipped[len(value) // 2] ^= 0x10
    data = file.read_bytes()
    assert value in data
    file.write_bytes(data.replace(value, bytes(flipped)))
    with stopped(node.data_dir, KEY.public) as folder:
        report = folder.verify()
    assert report.data()["first_bad"] == {
        "actor": actor_text(node.data),
        "seq": 2,
        "reason": "checksum_does_not_hold",
    }
    assert not report.data()["chain_holds"]


def test_a_store_that_is_no_store_is_an_answer(tmp_path: Path) -> None:
    folder = tmp_path / "store-00"
    folder.mkdir()
    (folder / DATA_FILE).write_bytes(b"not a store" * 1000)
    (tmp_path / "CURRENT").write_text("store-00\n")
    with stopped(tmp_path, None) as held:
        data = held.verify().data()
    assert not data["chain_holds"]
    assert data["first_bad"] == {"actor": "store", "seq": 0, "reason": "cannot_be_opened"}


def test_a_folder_in_which_nothing_was_ever_written_holds(tmp_path: Path) -> None:
    with stopped(tmp_path, None) as held:
        assert held.verify().data()["chain_holds"]
