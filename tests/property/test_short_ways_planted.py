"""One short way broken at a time: the test that guards it must notice.

Law: what was made faster has a test that fails when the short way says something else than
the long one, or forgets a bound. Each bug is planted for the length of one test, which passes
again without it.
"""

import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from crdt import holding, record_codec, relay, stream, view
from crdt.admission import Fit
from crdt.claims import Claims
from crdt.header import Header, peek
from crdt.holding import Holding
from crdt.layered import Layered
from crdt.record import Record
from node.http import strict_json
from node.replication.pressure import Pressure, Queue
from tests.planting import Patch, planted
from tests.property import test_crdt_short_ways as short_ways
from tests.unit.crdt import test_claims as claiming
from tests.unit.crdt import test_holding as held
from tests.unit.crdt import test_layered as layers
from tests.unit.crdt import test_relay as relaying
from tests.unit.crdt import test_stream as streaming
from tests.unit.http import test_http_strict_json as reading
from tests.unit.node import test_pressure as pressing

pytestmark = pytest.mark.thorough

# --- records ---------------------------------------------------------------------


def shown_unapproved() -> Patch:
    """A created record shows before it is approved."""
    plain = view._created

    def created(record: Any, origin: Any, approvals: Any) -> Any:
        return plain(record, origin._replace(pending=False), approvals)

    return view, "_created", created


def stamped_twice() -> Patch:
    """The short way of reading takes the stamp of the birth for that of what it wrote."""
    plain = record_codec._created

    def created(*parts: Any) -> Any:
        record = plain(*parts)
        if record is None or record.origin is None:
            return record
        (birth,) = record.births.values()
        origin = record.origin._replace(hlc=birth.hlc + 1)
        return Record.created(birth, origin, record.values)

    return record_codec, "_created", created


def in_place() -> Patch:
    """What extends a mapping changes the one that it extends."""

    def put(self: Layered[Any, Any], key: Any, value: Any) -> Layered[Any, Any]:
        self._over[key] = value
        return Layered(self._base, self._over)

    return Layered, "put", put


def last_wins() -> Patch:
    """The quick reader takes the last of two keys of one name."""
    return strict_json, "_quickly", orjson.loads


# --- relay, holding, claims ------------------------------------------------------


def piece_lost() -> Patch:
    """The last piece of a ring is given to nobody."""
    plain = relay._cut

    def cut(*parts: Any) -> Any:
        found = plain(*parts)
        return found[:-1] if len(found) > 1 else found

    return relay, "_cut", cut


def to_all() -> Patch:
    """A relay passes on to all that it knows, whatever its part."""
    return relay.Relay, "_between", lambda self, _until: self.ring()


def never_again() -> Patch:
    """What waits is not looked at again."""
    return Holding, "retry", lambda _self: None


def at_once_or_never() -> Patch:
    """What waits is looked at although what it lacks has not come."""

    def retry(self: Holding) -> None:
        for key, one in list(self._held.items()):
            fit = self._exchange.try_take(one.link, one.peer, one.bundle)
            if fit is not Fit.BEHIND:
                self._drop(key)
                self._taken(one)

    return Holding, "retry", retry


def unsigned() -> Patch:
    """A forgery is kept in the place of the genuine one."""
    return holding, "proves", lambda *_: None


def unbounded() -> Patch:
    """Operations that wait are not counted."""
    return holding, "_HELD_OPS_MAX", 2**40


def first_change_only() -> Patch:
    """A claim names the last change alone."""
    plain = Claims._since

    def since(self: Claims, version: int) -> Any:
        return dict(list(plain(self, version).items())[:1])

    return Claims, "_since", since


def off_by_one() -> Patch:
    """A header tells a last operation that is one too many."""

    def beyond(data: bytes) -> Header | None:
        found = peek(data)
        return None if found is None else found._replace(last=found.last + 1)

    return stream, "peek", beyond


# --- back-pressure ---------------------------------------------------------------


def idle_counts() -> Patch:
    """An idle hour makes the pace look slow."""

    def settled(self: Pressure, writes: int, since: float, now: float) -> None:
        del since
        busy = max(now - max(self._last, 0.0), 0.0)
        self._writes, self._seconds, self._last = writes, self._seconds + busy + 1, now

    return Pressure, "settled", settled


def weightless() -> Patch:
    """However much waits, only the number counts."""
    plain = Pressure.refuses

    def refuses(self: Pressure, queue: Queue, now: float) -> Any:
        return plain(self, queue._replace(size_bytes=0), now)

    return Pressure, "refuses", refuses


Check = Callable[[], None]
BUGS: dict[str, tuple[Callable[[], Patch], Check]] = {
    "a record shows before it is approved": (
        shown_unapproved,
        short_ways.test_a_created_record_reads_as_any_other,
    ),
    "a stamp is taken for another": (
        stamped_twice,
        short_ways.test_a_created_record_reads_as_any_other,
    ),
    "a version of a mapping changes": (in_place, layers.test_it_holds_what_a_dictionary_would),
    "the last of two keys counts": (
        last_wins,
        lambda: reading.test_ambiguous_or_broken_json_is_refused(b'{"a":1,"a":1}'),
    ),
    "a piece of the ring is lost": (
        piece_lost,
        relaying.test_each_node_gets_a_bundle_once_and_the_writer_sends_few,
    ),
    "a relay tells all": (
        to_all,
        relaying.test_each_node_gets_a_bundle_once_and_the_writer_sends_few,
    ),
    "what waits waits for ever": (
        never_again,
        held.test_a_bundle_that_overtook_what_it_rests_on_waits_for_it,
    ),
    "what waits is looked at for nothing": (
        at_once_or_never,
        lambda: _with_patches(held.test_what_waits_is_looked_at_when_what_it_lacks_has_come),
    ),
    "a forgery is kept": (unsigned, held.test_a_forgery_takes_the_place_of_nothing),
    "what is held has no bound": (
        unbounded,
        held.test_what_is_held_is_bounded_by_its_operations_too,
    ),
    "a claim forgets": (
        first_change_only,
        claiming.test_a_claim_names_every_change_since_the_last_one,
    ),
    "a header says too much": (off_by_one, streaming.test_a_duplicate_is_dropped_by_its_header),
    "idle time counts as work": (idle_counts, pressing.test_an_idle_hour_changes_nothing),
    "bytes do not count": (weightless, pressing.test_bytes_are_bounded_however_few_they_are_of),
}


def _with_patches(test: Callable[[pytest.MonkeyPatch], None]) -> None:
    with pytest.MonkeyPatch.context() as patches:
        test(patches)


def notices(check: Check) -> bool:
    """Whether a check fails; with hypothesis several failures come as a group."""
    random.seed(0)
    try:
        check()
    except (AssertionError, ExceptionGroup, pytest.fail.Exception):
        return True
    return False


@pytest.mark.parametrize("bug", BUGS)
def test_the_guard_of_a_short_way_notices(bug: str) -> None:
    plant, check = BUGS[bug]
    with planted(plant()):
        assert notices(check), "the test sleeps"
    check()
