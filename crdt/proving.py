"""Whether the governance that came in a snapshot is what its authors signed.

Law: governance is believed on signatures alone, whichever way it comes. What arrives in a snapshot
goes through the same checks as on a link, from the founding on: the next of its actor, chained to
the last, below heads that are known, signed by the key that the history below names for that
node. A snapshot may lack governance and it may hold some that is new here; it may not hold any
that nobody signed, nor claim any that it does not show.
"""

from collections.abc import Iterable, Mapping

from crdt.admission import Fit, fit
from crdt.bundle import Bundle, BundleError, cluster_hash, read_bundle
from crdt.dot import GOVERNANCE, Actor, lane_of
from crdt.governance import Genesis, Governance
from crdt.identity import Verify
from crdt.state import ActorRow


class UnprovenError(ValueError):
    """What a snapshot holds of governance does not follow from signatures.

    `reason` is a short label for counting.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Proof:
    """A history of governance that is taken bundle by bundle, each of them verified.

    Args:
        genesis: the founding that all of it stems from.
        verify: Ed25519.
        ops_max: most operations in a bundle.
    """

    def __init__(self, genesis: Genesis, verify: Verify, ops_max: int) -> None:
        self.governance = Governance(genesis)
        self.actors: dict[Actor, ActorRow] = {}
        self._clock: dict[Actor, int] = {}
        self._cluster = cluster_hash(genesis.cluster)
        self._verify = verify
        self._ops_max = ops_max

    def trust(self, bundles: Iterable[bytes]) -> None:
        """Take what this node verified when it arrived, in its order of arrival."""
        for data in bundles:
            self._take(self._read(data))

    def take(self, bundles: Iterable[bytes]) -> None:
        """Take what a snapshot holds, in its order; what is known already is passed over.

        Raises:
            UnprovenError: one of them would be refused on a link.
        """
        for data in bundles:
            bundle = self._read(data)
            found = fit(bundle, self.actors, self._clock, self.governance, self._verify)
            if found is Fit.NEXT:
                self._take(bundle)
            elif found is not Fit.KNOWN:
                raise UnprovenError(found.value, "a bundle of governance would not be taken so")

    def covers(self, rows: Mapping[Actor, ActorRow]) -> None:
        """Hold what a snapshot claims of its actors against the governance that was taken.

        Raises:
            UnprovenError: it claims governance that it does not show, or shows some that it
                does not claim, or names some that nobody knows.
        """
        for actor, row in rows.items():
            if not self.governance.knows(row.heads):
                raise UnprovenError("heads", "an actor names governance that is not there")
            if lane_of(actor) != GOVERNANCE:
                continue
            held = self.actors.get(actor)
            if held is None or held.seq < row.seq:
                raise UnprovenError("claimed", "it claims governance that it does not show")
            if held.seq == row.seq and held.hash != row.hash:
                raise UnprovenError("fork", "two bundles of governance have one place")

    def only(self, bundles: Iterable[bytes], rows: Mapping[Actor, ActorRow]) -> None:
        """Make sure that nothing is shown above what is claimed.

        Raises:
            UnprovenError: something is.
        """
        for data in bundles:
            bundle = self._read(data)
            row = rows.get(bundle.actor)
            if row is None or bundle.last > row.seq:
                raise UnprovenError("unclaimed", "it shows governance that it does not claim")

    def _read(self, data: bytes) -> Bundle:
        try:
            bundle = read_bundle(data, cluster=self._cluster, ops_max=self._ops_max)
        except BundleError as error:
            raise UnprovenError(error.reason, str(error)) from error
        if lane_of(bundle.actor) != GOVERNANCE:
            raise UnprovenError("wrong_lane", "a bundle of another lane among the governance")
        return bundle

    def _take(self, bundle: Bundle) -> None:
        for op in bundle.ops:
            self.governance.apply(op)
        self._clock[bundle.actor] = bundle.last
        heads = bundle.ops[-1].heads
        self.actors[bundle.actor] = ActorRow(bundle.last, bundle.hash, heads)
