"""Planted bugs of what keeps a node running for years: integrity, backups, upgrades, hooks, doctor.

Law: as of `tests.planted.bug`; numbers from 41.
"""

from typing import Final

from tests.planted.bug import Planted
from tests.planted.layers import Watch

OPERATIONS: Final = (
    Planted(
        name="41-record-is-shown-unchecked",
        meaning="a record read by its id is not held to its checksum",
        watch=Watch(property=("tests/property/test_integrity_bits.py",)),
    ),
    Planted(
        name="42-repair-takes-what-does-not-add-up",
        meaning="a damaged record is replaced by whatever a peer answers",
        watch=Watch(
            property=(
                "tests/property/test_repair_forgery.py",
                "tests/property/test_integrity_bits.py",
            )
        ),
    ),
    Planted(
        name="43-page-keys-are-not-held-to-their-order",
        meaning="pages of the store whose keys are out of order count as sound",
        watch=Watch(property=("tests/unit/integrity/test_integrity_pages.py",)),
    ),
    Planted(
        name="44-sum-proves-any-number-of-pieces",
        meaning="many rows from one peer are taken because their checksums add up",
        watch=Watch(property=("tests/property/test_repair_forgery.py",)),
    ),
    Planted(
        name="45-witness-tells-of-private-records",
        meaning="a member that names a private record is told what its checksum is",
        watch=Watch(property=("tests/unit/node/test_witness.py",)),
    ),
    Planted(
        name="46-key-on-the-list-is-a-licence",
        meaning="a certificate that a stranger made around an allowed key is kept on the disk",
        watch=Watch(property=("tests/unit/transport/test_forged_certificates.py",)),
    ),
    Planted(
        name="47-clock-that-went-back-prunes-the-newest",
        meaning="after the clock went back a new backup is the oldest, and is pruned at once",
        watch=Watch(property=("tests/unit/backup/test_backup_misled.py",)),
    ),
    Planted(
        name="48-scrub-keeps-its-places",
        meaning="pieces of a scrub hold their places among the readers until garbage is looked for",
        watch=Watch(property=("tests/unit/store/test_store_reader_slots.py",)),
    ),
    Planted(
        name="61-flipped-backup-is-restored",
        meaning="a file of a backup is restored although it is not the one that was signed",
        watch=Watch(property=("tests/property/test_backup_flips.py",)),
    ),
    Planted(
        name="62-restored-members-do-not-wait-for-all",
        meaning="restored members take writes although one of them may know more",
        watch=Watch(
            property=("tests/unit/backup/test_backup_recovering.py",),
            integration=("tests/integration/test_restore_mesh.py",),
        ),
    ),
    Planted(
        name="63-replaced-file-keeps-its-lock",
        meaning="a file replaced under a reader of another process is read one commit too early",
        watch=Watch(property=("tests/unit/store/test_store_outside_reader.py",)),
    ),
    Planted(
        name="71-migration-of-an-unread-snapshot",
        meaning="a store is migrated although nobody read the snapshot of it",
        watch=Watch(property=("tests/unit/store/test_migrations.py",)),
    ),
    Planted(
        name="72-migration-forgets-deletions",
        meaning="what was deleted leaves the feed with a migration, and indexes never hear of it",
        watch=Watch(property=("tests/property/test_migrations.py",)),
    ),
    Planted(
        name="73-migrated-store-is-used-unread",
        meaning="a migrated store is used although the reading of it was cut short",
        watch=Watch(property=("tests/unit/store/test_migrations.py",)),
    ),
    Planted(
        name="81-settled-conflict-is-still-counted",
        meaning="a memory that was in conflict and is settled is taken for one in conflict",
        watch=Watch(property=("tests/property/test_conflicts_open.py",)),
    ),
    Planted(
        name="82-budget-takes-what-nobody-else-holds",
        meaning="the size of the log alone decides what leaves it, be it the only copy",
        watch=Watch(
            property=("tests/unit/crdt/test_log_rule.py", "tests/unit/store/test_store_upkeep.py"),
            simulation=("tests/simulation/test_only_copy.py",),
        ),
    ),
    Planted(
        name="86-doctor-ends-at-the-first-bad-section",
        meaning="the doctor looks no further when one section is critical",
        watch=Watch(property=("tests/unit/doctor/test_doctor_sections.py",)),
    ),
    Planted(
        name="87-doctor-believes-any-answer",
        meaning="what a member says to another question, or without being asked, is believed",
        watch=Watch(property=("tests/unit/doctor/test_doctor_telling.py",)),
    ),
    Planted(
        name="91-hook-is-asked-about-something-else",
        meaning="a write rests on what changed while its hook was asked",
        watch=Watch(
            property=("tests/property/test_hooks_agree.py",),
        ),
    ),
    Planted(
        name="92-hook-that-failed-has-agreed",
        meaning="a hook that must agree and gives no answer lets the write pass",
        watch=Watch(property=("tests/unit/hooks/test_hooks_asking.py",)),
    ),
    Planted(
        name="93-hook-is-killed-without-its-children",
        meaning="at its deadline a hook leaves what it started behind",
        watch=Watch(property=("tests/unit/hooks/test_hooks_command.py",)),
    ),
    Planted(
        name="94-listed-key-admits-every-key",
        meaning="as soon as a list names one key, every certificate is on it",
        watch=Watch(property=("tests/unit/transport/test_pins.py",)),
    ),
    Planted(
        name="95-authority-is-not-asked",
        meaning="a listed certificate gets in though the operator's authority did not sign it",
        watch=Watch(property=("tests/integration/test_certificates_table.py",)),
    ),
    Planted(
        name="96-request-log-tells-the-address",
        meaning="the line of a request holds its address, and with it what somebody looked for",
        watch=Watch(property=("tests/unit/http/test_http_request_log.py",)),
    ),
    Planted(
        name="97-private-write-is-traced-to-peers",
        meaning="peers are told of the traces of writes that stay on this node",
        watch=Watch(property=("tests/unit/telemetry/test_tracing.py",)),
    ),
    Planted(
        name="98-certificate-is-told-once",
        meaning="that a certificate ends soon is told once and never again",
        watch=Watch(property=("tests/unit/node/test_expiry.py",)),
    ),
)
