"""Sections about the machine: what it lets the process have, and the time it tells.

Law: pure; every function takes the facts and returns what follows from them.
"""

from typing import Final

from node.doctor import finding as say
from node.doctor.facts import Facts
from node.doctor.finding import CRITICAL, INFO, WARNING, Finding, Kind, kind
from node.doctor.machine_facts import HostFacts
from node.doctor.peer_sections import all_here

_MIB: Final = 1 << 20
_FILES_MIN: Final = 1024
_NEARLY: Final = 0.8
_SYSTEM_FILES_NEARLY: Final = 0.9
_MEMORY_WARNING: Final = 0.9
_MEMORY_CRITICAL: Final = 0.97
_MEMORY_FREE_MIN: Final = 0.05
_STRICT_OVERCOMMIT: Final = 2

FILES_LOW: Final = kind(
    "nofile-low",
    WARNING,
    means="The process may hold fewer than 1024 descriptors, or 80 % of what it may hold are in "
    "use. When they run out, connections of agents and members are refused.",
    do="Raise the limit: LimitNOFILE= in the unit, `ulimit -n` in a shell, prlimit for the running "
    "process.",
)
FILES_FEWER: Final = kind(
    "nofile-below-connections",
    INFO,
    means="The process may hold fewer descriptors than [limits] connections_max allows "
    "connections.",
    do="Raise the limit, or lower connections_max.",
)
SYSTEM_FILES: Final = kind(
    "file-max-near",
    WARNING,
    means="Nearly all descriptors of the system are in use (fs.file-max).",
    do="Find who holds them, or raise fs.file-max.",
)
CORE_DUMPS: Final = kind(
    "core-dumps",
    INFO,
    means="When the process crashes, the system may write its memory to a file: keys and content "
    "of memories.",
    do="Set the limit to 0: LimitCORE=0 in the unit, or prlimit for the running process.",
)
ADDRESS_SPACE: Final = kind(
    "address-space-limited",
    WARNING,
    means="The address space of the process is bounded below what the store maps. Its next start, "
    "or its next growth, fails.",
    do="Take the bound away (LimitAS=infinity), or lower [storage] map_bytes.",
)
FILE_SIZE: Final = kind(
    "file-size-limited",
    WARNING,
    means="Files of the process may not grow beyond a bound. The store is one file: at the bound "
    "writes are refused as on a full disk.",
    do="Take the bound away: LimitFSIZE=infinity in the unit, or prlimit for the running process.",
)
MEMORY_NEAR: Final = kind(
    "memory-limit-near",
    WARNING,
    CRITICAL,
    means="The control group of the process uses more than 90 % (warning) or 97 % (critical) of "
    "what it may, page cache that can be given back not counted. At the bound the kernel kills it.",
    do="Raise the bound: MemoryMax= in the unit, the memory limit of the container.",
)
MEMORY_SHORT: Final = kind(
    "memory-short",
    WARNING,
    means="The machine has less than 5 % of its memory left.",
    do="Stop what is not needed there, or give it more memory.",
)
OVERCOMMIT: Final = kind(
    "overcommit-strict",
    INFO,
    means="With vm.overcommit_memory = 2 programs that the node starts (hooks) may not come up for "
    "want of memory that nobody uses. The map of the store does not count.",
    do="Nothing, unless hooks fail.",
)
ROOT: Final = kind(
    "runs-as-root",
    INFO,
    means="The node runs as root and needs none of its rights.",
    do="Run it as a user of its own, as the unit in `deploy/` does.",
)
NOT_TRUSTED: Final = kind(
    "clock-not-trusted",
    CRITICAL,
    means="The clock of this machine is further from the median of the mesh than is tolerated. The "
    "node takes no writes, for their stamps would be wrong.",
    do="Set the clock of this machine.",
)
LEAP: Final = kind(
    "clock-leapt",
    WARNING,
    means="The clock of this machine leapt, and the mesh does not agree with where it went. The "
    "node goes on by the time it had.",
    do="Set the clock of this machine; a restart takes it as it is.",
)
NOT_SYNCHRONISED: Final = kind(
    "clock-not-synchronised",
    WARNING,
    INFO,
    means="The kernel says that no time source disciplines the clock. Sooner or later it is "
    "further from the others than is tolerated (warning). With all members on one machine there is "
    "one clock, and nothing to differ (info).",
    do="Run chrony, ntpd or systemd-timesyncd; in a container it is the host's.",
)

HOST_KINDS: Final[tuple[Kind, ...]] = (
    FILES_LOW,
    FILES_FEWER,
    SYSTEM_FILES,
    CORE_DUMPS,
    ADDRESS_SPACE,
    FILE_SIZE,
    MEMORY_NEAR,
    MEMORY_SHORT,
    OVERCOMMIT,
    ROOT,
)
TIME_KINDS: Final[tuple[Kind, ...]] = (NOT_TRUSTED, LEAP, NOT_SYNCHRONISED)


def host(facts: Facts) -> list[Finding]:
    """What the system lets the process have."""
    about = facts.host
    if about is None:
        return []
    out = [*_files(facts, about), *_bounds(facts, about), *_memory(about)]
    if about.overcommit == _STRICT_OVERCOMMIT:
        out.append(OVERCOMMIT("vm.overcommit_memory is 2"))
    if about.root:
        out.append(ROOT("the node runs as root"))
    return out or [say.ok(f"{about.files_open} descriptors in use, no bound is near")]


def _limit(facts: Facts, what: str) -> str:
    return f"`prlimit --pid {facts.node.pid} --{what}`, and in the unit for the next start"


def _files(facts: Facts, about: HostFacts) -> list[Finding]:
    out = []
    most = about.files_max
    if most is not None and (most < _FILES_MIN or about.files_open > most * _NEARLY):
        wanted = max(_FILES_MIN, about.files_wanted)
        out.append(
            FILES_LOW(
                f"the process may hold {most} descriptors and holds {about.files_open}",
                fix=f"{_limit(facts, f'nofile={wanted}:{wanted}')} (LimitNOFILE={wanted})",
            )
        )
    elif most is not None and most < about.files_wanted:
        text = f"the process may hold {most} descriptors, its connections may want "
        out.append(FILES_FEWER(f"{text}{about.files_wanted}"))
    if about.system_files_ratio > _SYSTEM_FILES_NEARLY:
        text = f"{about.system_files_ratio:.0%} of all descriptors of the system are in use"
        out.append(SYSTEM_FILES(text, fix="Raise it: `sysctl -w fs.file-max=N`"))
    return out


def _bounds(facts: Facts, about: HostFacts) -> list[Finding]:
    out = []
    if about.core_bytes_max != 0:
        fix = f"{_limit(facts, 'core=0:0')} (LimitCORE=0)"
        out.append(CORE_DUMPS("a crash may write keys and memories into a core file", fix=fix))
    if about.address_bytes_max is not None and about.address_bytes_max < about.map_bytes:
        fix = f"{_limit(facts, 'as=unlimited:unlimited')} (LimitAS=infinity)"
        text = f"the address space is bounded to {about.address_bytes_max // _MIB} MiB, the store "
        out.append(ADDRESS_SPACE(f"{text}maps {about.map_bytes // _MIB} MiB", fix=fix))
    if about.file_bytes_max is not None:
        fix = f"{_limit(facts, 'fsize=unlimited:unlimited')} (LimitFSIZE=infinity)"
        text = f"files may not grow beyond {about.file_bytes_max // _MIB} MiB"
        out.append(FILE_SIZE(text, fix=fix))
    return out


def _memory(about: HostFacts) -> list[Finding]:
    out = []
    most = about.memory_bytes_max
    if most and about.memory_bytes > most * _MEMORY_WARNING:
        used = about.memory_bytes / most
        out.append(
            MEMORY_NEAR(
                f"{used:.0%} of the {most // _MIB} MiB that the control group may use are in use",
                fix=f"Raise it: `echo {2 * most} > {about.memory_limit_file}`, and where the unit "
                "or the container sets it",
                severity=CRITICAL if used > _MEMORY_CRITICAL else WARNING,
            )
        )
    if about.memory_free_ratio < _MEMORY_FREE_MIN:
        text = f"{about.memory_free_ratio:.1%} of the memory of this machine are left"
        out.append(MEMORY_SHORT(text, fix="Stop what is not needed there, or add memory"))
    return out


def clock(facts: Facts) -> list[Finding]:
    """Whether the time is right, and stays so."""
    about = facts.time
    if about is None:
        return []
    out = []
    off = f"{about.skew_ms / 1000:+.1f} s"
    if not about.trusted:
        text = f"the clock of this node is off by {off} from the median of the mesh: it takes no "
        out.append(NOT_TRUSTED(f"{text}writes", fix="Set the clock: `chronyc makestep`"))
    if about.ahead_ms:
        text = f"the clock leapt by {about.ahead_ms / 1000:+.1f} s, which the mesh does not follow"
        out.append(LEAP(text, fix="Set the clock: `chronyc makestep`"))
    if about.synchronised is False:
        members = facts.mesh.members if facts.mesh is not None else ()
        out.append(
            NOT_SYNCHRONISED(
                "no time source disciplines the clock of this machine",
                fix="Run a time source: `systemctl enable --now chrony`",
                severity=INFO if all_here(members) else WARNING,
            )
        )
    if out:
        return out
    known = "a time source disciplines the clock" if about.synchronised else "the clock is in time"
    return [say.ok(f"{known}, {off} from the median of the mesh")]
