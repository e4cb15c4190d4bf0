"""`verify` on a folder in which no node runs.

Law: everything is read from the folder alone, and nothing in it is changed. Keys prove
themselves: a node id is the hash of its key.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crdt.bundle import cluster_hash
from crdt.dot import NodeId
from node.audit.books import WitnessBook, read_witnesses
from node.audit.chain import Bad, Link, Owner, Verdict
from node.audit.memory_ops import MemoryVerdict, verify_memory
from node.audit.ops_walk import BadOp, OpsVerdict, OpsWalk, governance_bundles, member_keys
from node.audit.report import Claims, Report, claims_of, verify_events
from node.audit.segments import FOLDER, Named, read_owner, segments
from node.audit.stopped import StoppedStore, open_stopped
from node.errors import IntegrityError
from node.store import CorruptRecord
from transport.identity import node_id_of, verify

_NOBODY = Named(bytes(32), bytes(32))
Step = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A folder that is open for verification.

    Attributes:
        data_dir: the folder.
        store: its store; None when there is none yet.
        key: the node's own public key, when its key file is at hand.
        trouble: why the store cannot be opened.
    """

    data_dir: Path
    store: StoppedStore | None
    key: bytes | None
    trouble: str = ""

    @property
    def total(self) -> int:
        """How many bundles and segments there are to verify."""
        bundles = self.store.bundles() if self.store is not None else 0
        return bundles + len(segments(self.data_dir / FOLDER))

    def verify(self, step: Step = lambda _count: None) -> Report:
        """Verify everything.

        Args:
            step: told now and then how many more bundles or segments are done.
        """
        folder = self.data_dir / FOLDER
        named = read_owner(folder)
        me = named or _NOBODY
        book = read_witnesses(folder, me.node_id, verify) if named else WitnessBook()
        claims = claims_of(book)
        events = self._events(folder, named, claims, step)
        return Report(ops=self._ops(claims, step), events=events, book=book, asked=None)

    def _events(
        self, folder: Path, named: Named | None, claims: Claims, step: Step
    ) -> Verdict | None:
        if named is None and not segments(folder):
            return None
        if named is None or node_id_of(named.key) != named.node_id:
            return _unsound("owner_unreadable")
        if self.key is not None and self.key != named.key:
            return _unsound("another_node")
        owner = Owner(node_id=named.node_id, key=named.key, verify=verify)
        return verify_events(folder, owner, claims, step=lambda _rows: step(1))

    def _ops(self, claims: Claims, step: Step) -> OpsVerdict | None:
        store = self.store
        if self.trouble:
            return OpsVerdict(first_bad=BadOp("store", 0, "cannot_be_opened"))
        if store is None:
            return _nothing(claims)
        try:
            cluster = store.cluster()
        except CorruptRecord:
            return OpsVerdict(first_bad=BadOp("meta", 0, "checksum_does_not_hold"))
        if cluster is None:
            return _nothing(claims)
        mark = cluster_hash(cluster)
        walk = OpsWalk(
            store=store,
            cluster=mark,
            keys=self._keys(store, mark),
            verify=verify,
            claims=claims.actors,
            step=step,
        )
        return walk.run()

    def _keys(self, store: StoppedStore, cluster: bytes) -> dict[NodeId, bytes]:
        keys = member_keys(governance_bundles(store, cluster))
        if self.key is not None:
            keys[node_id_of(self.key)] = self.key
        return keys

    def verify_memory(self, ident: str) -> MemoryVerdict:
        """Verify the operations of one memory."""
        cluster = self.store.cluster() if self.store is not None else None
        if self.store is None or cluster is None:
            return MemoryVerdict(id=ident, operations=(), reason=self.trouble and "store")
        mark = cluster_hash(cluster)
        keys = self._keys(self.store, mark)
        return verify_memory(self.store, ident, cluster=mark, keys=keys, verify=verify)


def _unsound(reason: str) -> Verdict:
    return Verdict(holds=False, rows_checked=0, first_bad=Bad(0, reason), head=Link(0, ""))


def _nothing(claims: Claims) -> OpsVerdict:
    """There is no store: right for a node that never started, wrong where others saw more."""
    if not claims.actors:
        return OpsVerdict()
    return OpsVerdict(first_bad=BadOp("store", 0, "missing"))


@contextmanager
def stopped(data_dir: Path, key: bytes | None) -> Iterator[Stopped]:
    """Open a folder for verification; the caller holds the directory lock.

    Raises:
        DowngradeRefused: a newer version wrote the store.
    """
    opening = open_stopped(data_dir)
    try:
        store = opening.__enter__()
    except IntegrityError as error:
        yield Stopped(data_dir=data_dir, store=None, key=key, trouble=str(error))
        return
    try:
        yield Stopped(data_dir=data_dir, store=store, key=key)
    finally:
        opening.__exit__(None, None, None)
