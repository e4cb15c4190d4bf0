"""What the system lets this process have, read from the kernel.

Law: looks and changes nothing. What the system does not tell, or tells in a form not known here,
is left at its harmless value: a doctor must not fail where a file of /proc is missing.
"""

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

from node.doctor.machine_facts import HostFacts

_SPARE_FILES: Final = 256
# Above this a bound of a control group is none: version 1 writes "no limit" as a huge number.
_UNBOUNDED: Final = 1 << 60
_KIB: Final = 1024


def host_of(*, connections_max: int, map_bytes: int, root: Path = Path("/")) -> HostFacts:
    """The limits of this very process.

    Args:
        connections_max: connections that the settings allow.
        map_bytes: address range of the store.
        root: where /proc and /sys are.
    """
    group = _memory_group(root)
    used, most, file = (0, None, "") if group is None else group
    return HostFacts(
        files_max=_soft(resource.RLIMIT_NOFILE),
        files_open=_count(root / "proc/self/fd"),
        files_wanted=connections_max + _SPARE_FILES,
        system_files_ratio=_system_files(root),
        core_bytes_max=_soft(resource.RLIMIT_CORE),
        address_bytes_max=_soft(resource.RLIMIT_AS),
        file_bytes_max=_soft(resource.RLIMIT_FSIZE),
        map_bytes=map_bytes,
        memory_bytes_max=most,
        memory_bytes=used,
        memory_limit_file=file,
        memory_free_ratio=_memory_free(root),
        overcommit=_number(root / "proc/sys/vm/overcommit_memory") or 0,
        root=os.geteuid() == 0,
    )


def _soft(which: int) -> int | None:
    soft = resource.getrlimit(which)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdigit() else None


def _count(folder: Path) -> int:
    with suppress(OSError):
        return len(os.listdir(folder))  # noqa: PTH208 - names are all that is wanted
    return 0


def _system_files(root: Path) -> float:
    parts = _read(root / "proc/sys/fs/file-nr").split()
    if len(parts) < 3 or not all(part.isdigit() for part in parts[:3]):  # noqa: PLR2004 - used, free, most
        return 0.0
    return (int(parts[0]) - int(parts[1])) / max(int(parts[2]), 1)


def _memory_free(root: Path) -> float:
    known = {}
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        amount = rest.split()[:1]
        if amount and amount[0].isdigit():
            known[name] = int(amount[0]) * _KIB
    total, free = known.get("MemTotal"), known.get("MemAvailable")
    return free / total if total and free is not None else 1.0


def _memory_group(root: Path) -> tuple[int, int | None, str] | None:
    """Used and allowed bytes of the control group, and the file of the bound; None without one."""
    places = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if number == "0" and not kinds:
            places["unified"] = path
        elif "memory" in kinds.split(","):
            places["memory"] = path
    found = _group_v1(root, places["memory"]) if "memory" in places else None
    if found is None and "unified" in places:
        found = _group_v2(root, places["unified"])
    return found


def _group_v2(root: Path, path: str) -> tuple[int, int | None, str] | None:
    for mount in ("sys/fs/cgroup", "sys/fs/cgroup/unified"):
        folder = _nearest(root / mount, path, "memory.max")
        if folder is not None:
            used = _number(folder / "memory.current") or 0
            cache = _stat(folder, "inactive_file")
            return (
                max(used - cache, 0),
                _number(folder / "memory.max"),
                str(folder / "memory.max"),
            )
    return None


def _group_v1(root: Path, path: str) -> tuple[int, int | None, str] | None:
    folder = _nearest(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")
    if folder is None:
        return None
    most = _number(folder / "memory.limit_in_bytes")
    used = _number(folder / "memory.usage_in_bytes") or 0
    cache = _stat(folder, "total_inactive_file")
    bounded = most if most is not None and most < _UNBOUNDED else None
    return max(used - cache, 0), bounded, str(folder / "memory.limit_in_bytes")


def _nearest(mount: Path, path: str, name: str) -> Path | None:
    """The folder of the group; in a container its own group is the root of the mount."""
    for folder in (mount / path.lstrip("/"), mount):
        if (folder / name).is_file():
            return folder
    return None


def _stat(folder: Path, name: str) -> int:
    for line in _read(folder / "memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return 0
