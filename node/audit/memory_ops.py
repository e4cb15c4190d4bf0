"""The operations of one memory that are still in the log, each with its bundle verified.

Law: what is no longer in the log cannot be verified and is not claimed to be. Nothing here
changes anything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crdt.applying import key_of
from crdt.bundle import Bundle, BundleError, read_bundle
from crdt.dot import DATA, PRIVATE, NodeId, actor_text, node_of
from crdt.op import RECORD_KINDS, record_key
from node.audit.chain import Verify
from node.audit.ops_walk import OPS_MAX, Reading
from node.store import CorruptRecord
from node.store.rows import (
    NOWHERE,
    LogEntry,
    Place,
    decode_entry,
    decode_place,
    earlier_arrival,
    record_place,
)
from node.store.schema import LOG_NAMES, Transaction, name_of, number

_STEPS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryVerdict:
    """What verifying a memory's operations gave; `operations` are newest first."""

    id: str
    operations: tuple[dict[str, Any], ...]
    reason: str = ""

    @property
    def holds(self) -> bool:
        """Whether every operation that the log still has is genuine."""
        return not self.reason and all(op["holds"] for op in self.operations)

    def data(self) -> dict[str, Any]:
        """As JSON can hold it."""
        out: dict[str, Any] = {
            "id": self.id,
            "holds": self.holds,
            "operations": list(self.operations),
        }
        return out | ({"reason": self.reason} if self.reason else {})


def verify_memory(
    store: Reading, ident: str, *, cluster: bytes, keys: Mapping[NodeId, bytes], verify: Verify
) -> MemoryVerdict:
    """Verify what the log holds about one memory.

    Args:
        store: where it is read.
        ident: id of the memory.
        cluster: the cluster hash.
        keys: public keys by node.
        verify: Ed25519.
    """
    rows: list[dict[str, Any]] = []
    reason = ""
    try:
        for lane in (DATA, PRIVATE):
            key = record_key(lane, "memory", ident)
            for entry in _history(store, key):
                rows += _rows(entry, key, cluster, keys, verify)
    except CorruptRecord:
        reason = "checksum_does_not_hold"
    except BundleError as error:
        reason = error.reason
    return MemoryVerdict(id=ident, operations=tuple(rows), reason=reason)


def _rows(
    entry: LogEntry, key: bytes, cluster: bytes, keys: Mapping[NodeId, bytes], verify: Verify
) -> Iterator[dict[str, Any]]:
    bundle = read_bundle(entry.data, cluster=cluster, ops_max=OPS_MAX)
    holds = _genuine(bundle, keys, verify)
    for op in reversed(bundle.ops):
        if op.kind in RECORD_KINDS and key_of(op) == key:
            yield {
                "actor": actor_text(op.dot.actor),
                "seq": op.dot.seq,
                "kind": op.kind.name.lower(),
                "agent": op.agent,
                "node_id": node_of(op.dot.actor).hex(),
                "holds": holds,
            }


def _genuine(bundle: Bundle, keys: Mapping[NodeId, bytes], verify: Verify) -> bool:
    key = keys.get(node_of(bundle.actor))
    return key is not None and verify(key, bundle.signed, bundle.signature)


def _history(store: Reading, key: bytes) -> list[LogEntry]:
    """Bundles in the log that touched a record, newest first."""
    return store.read(lambda txn: list(_steps(store, txn, key)))


def _steps(store: Reading, txn: Transaction, key: bytes) -> Iterator[LogEntry]:
    tables, lane, name = store.tables, key[:1], name_of(key)
    arrival = _place(store, txn, key).arrival
    for _ in range(_STEPS_MAX):
        at = number(arrival)
        value = txn.get(at, db=tables.log_of(lane)) if arrival else None
        if value is None:
            return  # never there, or the log begins above this step
        entry = decode_entry(LOG_NAMES[lane], at, value)
        before = earlier_arrival(entry, name)
        if before is None or before >= arrival:
            raise CorruptRecord(LOG_NAMES[lane], at, "it breaks the history of a record")
        yield entry
        arrival = before


def _place(store: Reading, txn: Transaction, key: bytes) -> Place:
    value = txn.get(key, db=store.tables.records)
    if value is not None:
        return record_place(key, value)
    name = name_of(key)
    value = txn.get(name, db=store.tables.gone_at)
    return NOWHERE if value is None else decode_place("gone_at", name, value)
