from crdt.digest import weight
from crdt.memory_state import MemoryState
from crdt.op import Idempotency
from crdt.overlay import Overlay, pending_key
from crdt.pending import Pending, encode_pending
from crdt.record import Record
from crdt.record_codec import encode
from crdt.state import ActorRow, IdempotencyRow, LoggedBundle
from crdt.view import NOTHING_APPROVED
from tests.unit.crdt.rig import actor, dot
from tests.unit.crdt.test_record import BORN, EDIT, after

KEY, SECRET = b"dmemory/r", b"pmemory/r"


def over(disk: MemoryState | None = None) -> tuple[Overlay, MemoryState]:
    disk = disk or MemoryState()
    return Overlay(disk, disk.digest, lambda _key: NOTHING_APPROVED), disk


def put(overlay: Overlay, key: bytes, record: Record | None) -> None:
    overlay.put(key, overlay.read(key), record)


def test_a_read_sees_what_is_not_yet_on_disk() -> None:
    overlay, disk = over()
    put(overlay, KEY, after(BORN))
    assert overlay.read(KEY) == after(BORN)
    assert disk.record(KEY) is None
    assert list(overlay.keys()) == [KEY]
    assert not overlay.empty


def test_an_entry_leaves_when_its_own_batch_is_durable() -> None:
    overlay, disk = over()
    put(overlay, KEY, after(BORN))
    first = overlay.take(1, None)
    put(overlay, KEY, after(BORN, EDIT))
    second = overlay.take(2, None)
    assert (first.number, second.number) == (0, 1)
    disk.commit(first)
    overlay.committed(first)
    assert overlay.read(KEY) == after(BORN, EDIT)
    disk.commit(second)
    overlay.committed(second)
    assert list(overlay.keys()) == []
    assert overlay.read(KEY) == after(BORN, EDIT)


def test_the_digest_moves_by_the_difference() -> None:
    overlay, disk = over()
    record = after(BORN, EDIT)
    assert record is not None
    put(overlay, KEY, after(BORN))
    disk.commit(first := overlay.take(1, None))
    put(overlay, KEY, record)
    disk.commit(overlay.take(2, None))
    assert first.digest != overlay.digest == weight(KEY, encode(record)) == disk.digest
    put(overlay, KEY, None)
    assert overlay.take(3, None).digest == 0


def test_a_change_remembers_what_was_committed_before() -> None:
    overlay, disk = over()
    put(overlay, KEY, after(BORN))
    disk.commit(batch := overlay.take(1, None))
    overlay.committed(batch)
    put(overlay, KEY, after(BORN, EDIT))
    put(overlay, KEY, None)
    change = overlay.take(2, None).records[KEY]
    assert (change.before, change.after, change.data) == (after(BORN), None, None)


def test_what_came_and_went_within_a_batch_leaves_with_it() -> None:
    overlay, disk = over()
    put(overlay, KEY, after(BORN))
    put(overlay, KEY, None)
    batch = overlay.take(1, None)
    assert batch.records[KEY][:3] == (None, None, None)
    assert batch.digest == disk.digest
    disk.commit(batch)
    overlay.committed(batch)
    assert list(overlay.keys()) == []
    assert overlay.read(KEY) is None


def test_the_private_lane_is_not_in_the_digest() -> None:
    overlay, _ = over()
    put(overlay, SECRET, after(BORN))
    batch = overlay.take(1, None)
    assert (batch.digest, set(batch.records)) == (0, {SECRET})


def test_pending_operations_count_in_the_digest_like_records() -> None:
    overlay, _ = over()
    one = Pending(KEY, b"h" * 32, "ann", "human")
    two = Pending(KEY, b"h" * 32, "ann", "human", sealed=3)
    overlay.put_pending(dot(), None, one)
    overlay.put_pending(dot(), one, two)
    batch = overlay.take(1, None)
    assert batch.pending == {dot(): encode_pending(two)}
    assert batch.digest == weight(pending_key(dot()), encode_pending(two))


def test_the_first_body_under_a_retry_key_stays() -> None:
    overlay, disk = over()
    overlay.remember(Idempotency(scope=b"s" * 16, body=b"1" * 16), dot("a", 1))
    overlay.remember(Idempotency(scope=b"s" * 16, body=b"2" * 16), dot("a", 2))
    overlay.remember(Idempotency(scope=b"s" * 16, body=b"1" * 16), dot("a", 3))
    row = IdempotencyRow(b"1" * 16, (dot("a", 1), dot("a", 3)))
    assert overlay.remembered(b"s" * 16) == row
    disk.commit(batch := overlay.take(1, None))
    overlay.committed(batch)
    assert overlay.remembered(b"s" * 16) == row == disk.idempotent(b"s" * 16)


def test_a_batch_takes_everything_once() -> None:
    overlay, _ = over()
    bundle = LoggedBundle(actor(), 1, 1, b"data", (KEY,))
    row = ActorRow(1, b"h" * 32, ())
    overlay.log(bundle, row)
    put(overlay, KEY, after(BORN))
    first, second = overlay.take(1, b"genesis"), overlay.take(2, None)
    assert (first.bundles, first.actors, first.genesis) == ((bundle,), {actor(): row}, b"genesis")
    assert (second.bundles, second.actors, second.records) == ((), {}, {})
    assert overlay.empty
    assert first.size_bytes() == 4 + len(first.records[KEY].data or b"")


def test_a_record_of_many_fields_stays_at_hand_until_it_changes() -> None:
    overlay, disk = over()
    many = EDIT._replace(set={f"tags/{number}": number for number in range(40)})
    put(overlay, KEY, after(BORN, many))
    assert overlay.sized(KEY)[1] is None
    disk.commit(batch := overlay.take(1, None))
    overlay.committed(batch)
    kept = overlay.read(KEY)
    assert kept == after(BORN, many)
    assert overlay.read(KEY) is kept
    assert overlay.sized(KEY) == (kept, len(disk.record(KEY) or b""))
    overlay.forget()
    read = overlay.read(KEY)
    assert read is not kept
    assert read == kept
    assert overlay.read(KEY) is read
    put(overlay, KEY, None)
    disk.commit(batch := overlay.take(2, None))
    overlay.committed(batch)
    assert overlay.sized(KEY) == (None, 0)


def test_what_changes_while_a_batch_is_written_is_not_kept_as_it_was() -> None:
    overlay, disk = over()
    many = EDIT._replace(set={f"tags/{number}": number for number in range(40)})
    put(overlay, KEY, after(BORN, many))
    disk.commit(batch := overlay.take(1, None))
    put(overlay, KEY, after(BORN))
    overlay.committed(batch)
    assert overlay.read(KEY) == after(BORN)
    disk.commit(batch := overlay.take(2, None))
    overlay.committed(batch)
    assert overlay.read(KEY) == after(BORN)
