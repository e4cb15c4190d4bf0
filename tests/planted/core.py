"""Planted bugs of replication, storage and governance.

Law: as of `tests.planted.bug`; numbers below 41, 69 and 70.
"""

from typing import Final

from tests.planted.bug import Planted
from tests.planted.layers import Campaign, Watch

_LAWS: Final = "tests/property/test_crdt_laws.py"
_VALUES: Final = "tests/property/test_crdt_values.py"
_VERDICTS: Final = "tests/property/test_crdt_verdicts.py"
_STORE: Final = "tests/property/test_store_properties.py"
_ADOPTING: Final = "tests/property/test_store_adopting.py"
_COUNTING: Final = "tests/property/test_counting.py"
_DISKS: Final = "tests/integration/test_bad_input_disks.py"
_MESH: Final = "tests/integration/test_mesh"
_SEEDS: Final = 100
"""Worlds that each bug of the core is shown to; most fall within the first ten."""

CORE: Final = (
    Planted(
        name="01-acknowledge-before-sync",
        meaning="a write is confirmed before the commit that makes it durable",
        watch=Watch(
            integration=(
                "tests/integration/test_store_faults.py::test_the_committer_waits_for_room_and_confirms_then",
                f"{_DISKS}::test_an_eio_ends_the_node_with_its_own_code",
                f"{_MESH}_kill.py::test_all_nodes_killed_at_once_come_back_with_everything",
            ),
            chaos=(Campaign(faults="F17,F23"),),
        ),
    ),
    Planted(
        name="02-claim-what-is-in-memory",
        meaning="an acknowledgement speaks of what is applied, not of what is on the disk",
        watch=Watch(
            seeds=_SEEDS,
            integration=(
                f"{_MESH}_kill.py::test_all_nodes_killed_at_once_come_back_with_everything",
            ),
            chaos=(Campaign(faults="F19,F17"),),
        ),
    ),
    Planted(
        name="03-same-peer-counted-twice",
        meaning="two acknowledgements of one member count as two disks",
        watch=Watch(
            property=(_COUNTING,),
            seeds=_SEEDS,
            integration=(
                f"{_MESH}_quorum.py::test_a_node_cut_off_keeps_its_writes_says_so_and_spreads_them_later",
            ),
            chaos=(Campaign(faults="F01", nodes=5),),
        ),
    ),
    Planted(
        name="04-half-is-a-majority",
        meaning="a majority of four is two",
        watch=Watch(
            property=("tests/property/test_majorities.py",),
            seeds=_SEEDS,
            integration=(f"{_MESH}_flags.py",),
            chaos=(Campaign(faults="F02", nodes=4),),
        ),
    ),
    Planted(
        name="05-fan-out-ends-at-quorum",
        meaning="a bundle goes to as many members as the quorum needs and to no more",
        watch=Watch(seeds=_SEEDS, chaos=(Campaign(faults="F08"),)),
    ),
    Planted(
        name="06-cursor-past-what-was-refused",
        meaning="the clock moves past a bundle that was refused for its future stamp",
        watch=Watch(seeds=_SEEDS, chaos=(Campaign(faults="F32"),)),
    ),
    Planted(
        name="07-one-page-only",
        meaning="a catch-up session ends after its first page",
        watch=Watch(
            property=("tests/property/test_one_session.py",),
            seeds=_SEEDS,
            chaos=(Campaign(faults="F21"),),
        ),
    ),
    Planted(
        name="08-actor-kept-over-restart",
        meaning="a process goes on under the actor of an earlier one",
        watch=Watch(
            seeds=_SEEDS,
            integration=(
                f"{_MESH}_disk.py::test_an_old_copy_of_the_data_reuses_no_name_and_converges",
            ),
            chaos=(Campaign(faults="F38"),),
        ),
    ),
    Planted(
        name="09-wall-clock-over-causality",
        meaning="an edit replaces whatever has an older stamp, seen or not",
        watch=Watch(
            property=("tests/property/test_supersedes.py",),
            seeds=_SEEDS,
            integration=(
                f"{_MESH}_causality.py::test_edits_on_two_sides_of_a_cut_are_both_kept_until_one_settles_it",
            ),
            chaos=(Campaign(faults="F30"),),
        ),
    ),
    Planted(
        name="10-deletion-forgotten-in-a-join",
        meaning="a snapshot brings back what the other side had deleted",
        watch=Watch(
            property=(
                f"{_LAWS}::test_i7_a_deleted_birth_never_lives_again",
                f"{_LAWS}::test_i5_join_is_commutative_associative_and_idempotent",
            ),
            seeds=_SEEDS,
            chaos=(Campaign(faults="F47"),),
        ),
    ),
    Planted(
        name="11-latest-policy-wins",
        meaning="of concurrent policies the latest counts, not the strictest",
        watch=Watch(
            property=(f"{_VERDICTS}::test_the_strictest_of_concurrent_versions_counts",),
            seeds=_SEEDS,
            chaos=(Campaign(faults="F50"),),
        ),
    ),
    Planted(
        name="12-requester-approves",
        meaning="the vote of whoever asked counts",
        watch=Watch(
            property=("tests/property/test_requester_votes.py",),
            seeds=_SEEDS,
            integration=(
                "tests/integration/test_attacks_keys.py::test_nobody_decides_about_a_request_of_their_own",
            ),
        ),
    ),
    Planted(
        name="13-nonce-before-signature",
        meaning="a nonce is used up before its signature was verified",
        watch=Watch(
            property=(
                "tests/property/test_signed_messages.py::test_every_changed_message_of_an_agent_is_refused",
            ),
            integration=(
                "tests/integration/test_auth_signatures.py::test_a_bound_name_is_used_with_its_signature_or_not_at_all",
            ),
        ),
    ),
    Planted(
        name="14-removed-peer-keeps-its-link",
        meaning="a fingerprint taken off the allowlist keeps its open connections",
        watch=Watch(
            integration=(
                "tests/integration/test_transport_tls.py",
                f"{_MESH}_members.py::test_taking_a_peer_off_the_list_cuts_it_within_a_second",
            ),
            chaos=(Campaign(faults="F36"),),
        ),
    ),
    Planted(
        name="15-retry-known-on-one-node",
        meaning="an idempotency key is known only on the node that took the request",
        watch=Watch(
            property=("tests/property/test_retries_everywhere.py",),
            seeds=_SEEDS,
            integration=(
                f"{_MESH}_causality.py::test_a_retry_on_another_node_gives_the_same_answer",
            ),
            chaos=(Campaign(faults="F13"),),
        ),
    ),
    Planted(
        name="16-resumed-snapshot-skips-rows",
        meaning="a snapshot that goes on in the middle of a table skips the rest of it",
        watch=Watch(
            property=(f"{_ADOPTING}::test_both_ways_build_one_store",),
            integration=(
                f"{_MESH}_disk.py::test_a_node_behind_the_log_joins_a_snapshot_and_keeps_its_own_writes",
            ),
            chaos=(Campaign(faults="F47"),),
        ),
    ),
    Planted(
        name="17-shortfall-is-undone",
        meaning="a 503 takes the local write back",
        watch=Watch(
            integration=(
                f"{_MESH}_quorum.py::test_a_node_cut_off_keeps_its_writes_says_so_and_spreads_them_later",
            ),
            chaos=(
                Campaign(faults="F02"),
                Campaign(faults="F01", nodes=5),
            ),
        ),
    ),
    Planted(
        name="18-digest-leaves-out-links",
        meaning="one collection is not part of the digest",
        watch=Watch(
            property=("tests/property/test_digest_everything.py",),
            seeds=_SEEDS,
            integration=("tests/integration/test_every_mutation.py",),
        ),
    ),
    Planted(
        name="19-erased-text-stays-in-the-feed",
        meaning="what was erased keeps its row in the feed",
        watch=Watch(
            property=("tests/property/test_store_forgets.py",),
            integration=(
                "tests/integration/test_erasing_mesh.py::test_what_is_forgotten_is_in_no_byte_of_any_member",
            ),
        ),
    ),
    Planted(
        name="20-chunked-body-without-limit",
        meaning="a body of undeclared length is read to its end",
        watch=Watch(
            integration=(
                "tests/integration/test_bodies_without_length.py",
                "tests/integration/test_bad_input_requests.py",
            ),
            chaos=(Campaign(faults="F42"),),
        ),
    ),
    Planted(
        name="21-clock-follows-a-future-stamp",
        meaning="the local clock follows any stamp it sees",
        watch=Watch(
            property=(f"{_VALUES}::test_i16_the_clock_is_monotone_and_at_most_the_skew_ahead",),
            seeds=_SEEDS,
            chaos=(Campaign(faults="F32"),),
        ),
    ),
    Planted(
        name="22-private-lane-leaves",
        meaning="clocks that are sent name the private lane",
        watch=Watch(
            property=(f"{_VALUES}::test_lanes_and_groups_part_a_clock_without_loss",), seeds=_SEEDS
        ),
    ),
    Planted(
        name="23-failed-sync-is-tried-again",
        meaning="an EIO is taken for a full disk, and the next sync believed",
        watch=Watch(
            integration=(f"{_DISKS}::test_an_eio_ends_the_node_with_its_own_code",),
            chaos=(Campaign(faults="F23"),),
        ),
    ),
    Planted(
        name="24-flipped-bit-is-served",
        meaning="what is read is not held against its checksum",
        watch=Watch(
            property=(f"{_STORE}::test_no_flipped_bit_goes_unseen",),
            chaos=(Campaign(faults="F26"),),
        ),
    ),
    Planted(
        name="25-unknown-author-is-believed",
        meaning="a bundle whose author no key is known of passes for signed",
        watch=Watch(
            property=("tests/property/test_strangers_bundles.py",),
            seeds=_SEEDS,
            chaos=(Campaign(faults="F43"),),
        ),
    ),
    Planted(
        name="26-data-before-governance",
        meaning="a page begins with data that refers to governance behind it",
        watch=Watch(
            property=("tests/property/test_store_pages.py",), chaos=(Campaign(faults="F21"),)
        ),
    ),
    Planted(
        name="27-two-processes-on-one-store",
        meaning="the lock of a data directory is shared",
        watch=Watch(
            integration=(
                "tests/integration/test_bad_input.py::test_a_second_process_on_one_data_directory",
            ),
            chaos=(Campaign(faults="F40"),),
        ),
    ),
    Planted(
        name="28-removal-counted-by-those-who-stay",
        meaning="a removal is counted by the members after it, not before",
        watch=Watch(
            seeds=_SEEDS,
            integration=(f"{_MESH}_members.py::test_a_removal_needs_a_quorum_unless_it_is_forced",),
        ),
    ),
    Planted(
        name="29-acknowledgements-outlive-their-link",
        meaning="what a peer said on a link counts after the link is gone",
        watch=Watch(property=(_COUNTING,), seeds=_SEEDS),
    ),
    Planted(
        name="30-join-keeps-my-own-edit-only",
        meaning="a join drops concurrent values of the other side",
        watch=Watch(
            property=(
                f"{_LAWS}::test_i5_join_is_commutative_associative_and_idempotent",
                f"{_LAWS}::test_i6_the_op_path_and_the_snapshot_path_meet",
            ),
            seeds=_SEEDS,
            chaos=(Campaign(faults="F47"),),
        ),
    ),
    Planted(
        name="31-clock-ahead-is-followed",
        meaning="a clock that leaps ahead is followed without the mesh's consent",
        watch=Watch(
            property=("tests/property/test_clock_jumps.py",),
            chaos=(Campaign(faults="F32"),),
        ),
    ),
    Planted(
        name="33-letters-are-weighed-not-bytes",
        meaning="what is minted at once is measured in letters, and may fit no message",
        watch=Watch(
            property=("tests/unit/crdt/test_replica.py", "tests/unit/crdt/test_op_codec.py")
        ),
    ),
    Planted(
        name="34-every-question-freezes-a-copy",
        meaning="each question for a snapshot makes a copy of the store",
        watch=Watch(property=("tests/unit/erasing/test_erasing_copies.py",)),
    ),
    Planted(
        name="35-what-one-alone-claims-is-adopted",
        meaning="a snapshot is adopted although members are there that do not claim as much",
        watch=Watch(
            property=("tests/unit/crdt/test_weighing.py",),
            integration=("tests/integration/test_hostile_snapshot.py",),
        ),
    ),
    Planted(
        name="36-governance-of-a-snapshot-needs-no-signature",
        meaning="governance is taken from a snapshot whoever signed it",
        watch=Watch(
            property=("tests/unit/crdt/test_proving.py",),
            integration=("tests/integration/test_hostile_snapshot.py",),
        ),
    ),
    Planted(
        name="37-rows-that-the-witness-lacks-are-not-asked-about",
        meaning="a snapshot may hold records that no other member has",
        watch=Watch(property=("tests/property/test_compared_snapshots.py",)),
    ),
    Planted(
        name="38-rows-are-compared-by-their-names",
        meaning="a snapshot may hold other content under a name that is known",
        watch=Watch(property=("tests/property/test_compared_snapshots.py",)),
    ),
    Planted(
        name="69-what-is-half-made-is-gone-on-from",
        meaning="records whose operations could not be sealed go to the disk with the next commit",
        watch=Watch(property=("tests/unit/crdt/test_whole.py",)),
    ),
    Planted(
        name="70-want-of-memory-is-a-refusal",
        meaning="an operation is refused on the one member that had no memory to judge it",
        watch=Watch(property=("tests/unit/crdt/test_whole.py",)),
    ),
)
