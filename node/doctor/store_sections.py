"""Sections about what is kept: the store and its disk, its integrity, its backups.

Law: pure; every function takes the facts and returns what follows from them.
"""

import time
from typing import Final

from node.doctor import finding as say
from node.doctor.facts import Facts
from node.doctor.finding import CRITICAL, INFO, WARNING, Finding, Kind, kind
from node.doctor.machine_facts import StoreFacts
from node.doctor.steps import node_command, restart, set_to
from node.integrity.facts import IntegrityFacts

_MS_PER_HOUR: Final = 3_600_000
_MAP_WARNING_RATIO: Final = 0.8
_MAP_CRITICAL_RATIO: Final = 0.95
_MAP_DEFAULT_BYTES: Final = 1 << 40
_DISK_WARNING_RATIO: Final = 0.1
_DISK_CRITICAL_BYTES: Final = 256 << 20
_INODES_WARNING_RATIO: Final = 0.05
_COMMITS_MIN: Final = 20
_COMMIT_SLOW_MS: Final = 100.0
_BACKUP_STALE_HOURS: Final = 26
_PASSES_LATE: Final = 2
# File systems of other machines: locks and memory maps hold there only by luck.
_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "fuse.sshfs"})
_MEMORY: Final = frozenset({"tmpfs", "ramfs"})

DISK_FAILED: Final = kind(
    "disk-failed",
    CRITICAL,
    means="The disk reported an error. Nothing is acknowledged any more, and the node ends with "
    "exit code 10.",
    do="Replace the disk and let the node join again; the other members hold what was confirmed.",
)
FSYNC_ERRORS: Final = kind(
    "fsync-errors",
    CRITICAL,
    means="The disk failed commits since the process started. What it said it had may not be "
    "there.",
    do="Look at the kernel's log, and replace the disk.",
)
DISK_LOW: Final = kind(
    "disk-low",
    WARNING,
    CRITICAL,
    means="Less than a tenth of the disk of the store is free (warning), or less than 256 MiB, or "
    "writes are refused already (critical). A full disk refuses writes; nothing is lost.",
    do="Make room. The node resumes by itself.",
)
INODES_LOW: Final = kind(
    "inodes-low",
    WARNING,
    means="The file system of the store has room for few more files, whatever its free bytes.",
    do="Remove files that nobody needs.",
)
MAP_FULL: Final = kind(
    "map-nearly-full",
    WARNING,
    CRITICAL,
    means="80 % of the address range of the store are in use (warning), or 95 % (critical). It "
    "grows by itself, each time with a pause.",
    do="Take [storage] map_bytes out of the configuration, or make it larger. The range is sparse "
    "and costs nothing.",
)
NETWORK_DISK: Final = kind(
    "store-on-network",
    CRITICAL,
    means="The store lies on a file system of another machine, where memory maps, locks and fsync "
    "do not hold what the store relies on.",
    do="Move the data folder to a disk of this machine while the node is stopped.",
)
MEMORY_DISK: Final = kind(
    "store-in-memory",
    INFO,
    means="The store lies in memory and is gone with the next start of the machine.",
    do="Move the data folder to a disk, unless that is meant.",
)
COMMITS_SLOW: Final = kind(
    "commits-slow",
    WARNING,
    means="Half of all commits take longer than 100 ms, fsync included. Every confirmed write "
    "waits for that on W members.",
    do="Move the store to a faster disk, or take other work from this one.",
)
SET_ASIDE: Final = kind(
    "store-set-aside",
    WARNING,
    means="A store was set aside, because it was damaged or because another took its place, and "
    "takes room. It may be the only copy of what nobody else had.",
    do="Look whether all members are level, then remove it.",
)
DAMAGED: Final = kind(
    "damage-found",
    CRITICAL,
    means="Stored rows do not match their checksums. They are not served and not sent.",
    do="Have them repaired from a peer; what no peer has comes from a backup. Then look at the "
    "disk and at the memory of this machine.",
)
MENDED: Final = kind(
    "damage-mended",
    WARNING,
    means="Rows were damaged and are whole again. Disks seldom do that once.",
    do="Look at the disk and at the memory of this machine. The finding goes with a restart.",
)
SCRUB_OFF: Final = kind(
    "scrub-off",
    WARNING,
    means="The store is never read through by itself, so damage of what nobody reads is found when "
    "it is too late.",
    do="Give [integrity] scrub_interval_hours a value above 0.",
)
SCRUB_LATE: Final = kind(
    "scrub-late",
    WARNING,
    means="The store was not read through for two intervals or longer.",
    do="Read it through now, and see the log for why it did not happen.",
)
NO_BACKUP: Final = kind(
    "backup-never",
    WARNING,
    means="There was never a backup. Members protect against the loss of machines, and not against "
    "what all of them do: a deletion by mistake is replicated, too.",
    do="Make one, and let a timer make more.",
)
BACKUP_STALE: Final = kind(
    "backup-stale",
    WARNING,
    means="The last backup that succeeded is older than 26 hours.",
    do="Make one; see why the timer did not.",
)

STORE_KINDS: Final[tuple[Kind, ...]] = (
    DISK_FAILED,
    FSYNC_ERRORS,
    DISK_LOW,
    INODES_LOW,
    MAP_FULL,
    NETWORK_DISK,
    MEMORY_DISK,
    COMMITS_SLOW,
    SET_ASIDE,
)
SCRUB_KINDS: Final[tuple[Kind, ...]] = (DAMAGED, MENDED, SCRUB_OFF, SCRUB_LATE)
BACKUP_KINDS: Final[tuple[Kind, ...]] = (NO_BACKUP, BACKUP_STALE)


def store(facts: Facts) -> list[Finding]:
    """Whether there is room, and whether the disk does what it says."""
    about = facts.store
    if about is None:
        return []
    if about.failed:
        text = "the disk reported an error; nothing is acknowledged any more"
        return [DISK_FAILED(text, fix="Replace the disk, and let this node join again")]
    out = [*_disk(about), *_kind_of_disk(about)]
    if about.map_used_ratio >= _MAP_WARNING_RATIO:
        out.append(
            MAP_FULL(
                f"{about.map_used_ratio:.0%} of the address range of the store are in use",
                fix=set_to(facts, "storage.map_bytes", _MAP_DEFAULT_BYTES),
                severity=CRITICAL if about.map_used_ratio >= _MAP_CRITICAL_RATIO else WARNING,
            )
        )
    out += [
        SET_ASIDE(
            f"a store was set aside in {path}",
            fix=f"When {node_command(facts, 'node list')} shows all members level: `rm -r {path}`",
        )
        for path in about.aside
    ]
    if out:
        return out
    said = f"{_size(about.size_bytes)} in use, {_size(about.disk_free_bytes)} free"
    speed = f", half of the commits within {about.commit_ms_median:g} ms" if about.commits else ""
    return [say.ok(said + speed)]


def _disk(about: StoreFacts) -> list[Finding]:
    out = []
    free = about.disk_free_bytes
    text = f"{_size(free)} are free on the disk of the store"
    fix = "Make room on the disk of the store; a full disk refuses writes"
    if about.full or free < _DISK_CRITICAL_BYTES:
        out.append(DISK_LOW(text, fix=fix, severity=CRITICAL))
    elif free < about.disk_bytes * _DISK_WARNING_RATIO:
        out.append(DISK_LOW(text, fix=fix))
    if about.inodes_free_ratio < _INODES_WARNING_RATIO:
        text = f"{about.inodes_free_ratio:.1%} of the files that the disk can hold are left"
        out.append(INODES_LOW(text, fix="Remove files that nobody needs"))
    if about.fsync_errors:
        text = f"the disk failed {about.fsync_errors} commits"
        out.append(FSYNC_ERRORS(text, fix="See the log of the kernel, and replace the disk"))
    if about.commits >= _COMMITS_MIN and about.commit_ms_median > _COMMIT_SLOW_MS:
        text = f"half of the commits take longer than {_COMMIT_SLOW_MS:g} ms"
        out.append(COMMITS_SLOW(text, fix="Use a faster disk, or take other work from this one"))
    return out


def _kind_of_disk(about: StoreFacts) -> list[Finding]:
    if about.file_system in _NETWORK:
        text = f"the store lies on {about.file_system}, a disk of another machine"
        return [NETWORK_DISK(text, fix="Stop the node and move its folder to a disk of its own")]
    if about.file_system in _MEMORY:
        return [MEMORY_DISK(f"the store lies in memory ({about.file_system})")]
    return []


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:  # noqa: PLR2004 - the step between these units
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.0f} TiB"


def scrub(facts: Facts) -> list[Finding]:
    """Whether what is stored is whole, and read through often enough to know."""
    about = facts.integrity
    if about is None:
        return []
    out = [*_damage(facts, about)]
    if not about.scrub_interval_hours:
        fix = set_to(facts, "integrity.scrub_interval_hours", 24)
        out.append(SCRUB_OFF("the store is never read through by itself", fix=fix))
    elif not about.running:
        out += _late(facts, about)
    if out:
        return out
    when = "not yet" if about.last_pass_ms is None else _when(about.last_pass_ms)
    return [say.ok(f"nothing damaged is known; read through last: {when}")]


def _damage(facts: Facts, about: IntegrityFacts) -> list[Finding]:
    if not about.whole:
        left = sum(about.left.values())
        said = f"{left} stored rows are damaged, {about.quarantined} records are not served"
        trouble = f" ({about.trouble})" if about.trouble else ""
        fix = node_command(facts, "scrub --repair")
        if about.no_peer:
            fix += f"; {about.no_peer} records no peer has: only a backup brings them back"
        return [DAMAGED(f"{said}{trouble}", fix=fix)]
    if about.corrupt:
        text = f"{about.corrupt} stored rows were damaged and are whole again"
        return [
            MENDED(text, fix=f"Look at the disk and the memory of this machine, {restart(facts)}")
        ]
    return []


def _late(facts: Facts, about: IntegrityFacts) -> list[Finding]:
    patience_ms = about.scrub_interval_hours * _PASSES_LATE * _MS_PER_HOUR
    fix = node_command(facts, "scrub")
    if about.last_pass_ms is None:
        if facts.node.up_ms <= patience_ms:
            return []
        return [SCRUB_LATE("the store was never read through", fix=fix)]
    age_ms = facts.now_ms - about.last_pass_ms
    if age_ms <= patience_ms:
        return []
    text = f"the store was read through last {age_ms / _MS_PER_HOUR:.0f} hours ago"
    return [SCRUB_LATE(text, fix=fix)]


def backups(facts: Facts) -> list[Finding]:
    """Whether there is a backup, and a young one."""
    about = facts.backup
    if about is None:
        return []
    fix = node_command(facts, "backup --to DIR")
    if about.at_ms is None:
        return [NO_BACKUP("this node was never backed up", fix=fix)]
    age_hours = (facts.now_ms - about.at_ms) / _MS_PER_HOUR
    if age_hours > _BACKUP_STALE_HOURS:
        return [BACKUP_STALE(f"the last backup is {age_hours:.0f} hours old", fix=fix)]
    return [say.ok(f"the last backup is of {_when(about.at_ms)}, in {about.path}")]


def _when(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at_ms / 1000))
