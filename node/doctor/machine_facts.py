"""What the doctor knows of the machine: disk and store, backups, limits, time.

Law: as of all facts; plain values, gathered once. What the system does not tell is None.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """The store and its disk.

    Attributes:
        map_used_ratio: how much of its address range is in use, 0 to 1.
        size_bytes: of the store.
        disk_free_bytes: that this user may fill.
        disk_bytes: of the whole file system.
        inodes_free_ratio: how many more files there may be, 0 to 1; 1 where there is no bound.
        file_system: its type, as the kernel names it; empty when unknown.
        full: writes are refused for want of room.
        failed: the disk reported an error.
        fsync_errors: commits that the disk failed.
        commits: since the process started.
        commit_ms_median: bound under which half of them took, in milliseconds.
        aside: folders of stores that were set aside and are not swept by themselves.
    """

    disk_free_bytes: int
    disk_bytes: int
    map_used_ratio: float = 0.0
    size_bytes: int = 0
    inodes_free_ratio: float = 1.0
    file_system: str = ""
    full: bool = False
    failed: bool = False
    fsync_errors: int = 0
    commits: int = 0
    commit_ms_median: float = 0.0
    aside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFacts:
    """The last backup that succeeded; None when there never was one.

    Attributes:
        at_ms: when, milliseconds since the epoch.
        path: where it was put.
    """

    at_ms: int | None = None
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What the system lets this process have. A bound that is not there is None.

    Attributes:
        files_max: descriptors that it may hold.
        files_open: that it holds.
        files_wanted: that its settings allow it to want.
        system_files_ratio: how many of all descriptors of the system are in use, 0 to 1.
        core_bytes_max: largest core dump; 0 for none.
        address_bytes_max: address space.
        file_bytes_max: largest file.
        map_bytes: address range that the store wants.
        memory_bytes_max: of its control group.
        memory_bytes: that the group uses and cannot give back at once.
        memory_limit_file: where that bound is written; empty without one.
        memory_free_ratio: of the whole machine, 0 to 1.
        overcommit: `vm.overcommit_memory`.
        root: whether it runs as root.
    """

    files_max: int | None = None
    files_open: int = 0
    files_wanted: int = 0
    system_files_ratio: float = 0.0
    core_bytes_max: int | None = 0
    address_bytes_max: int | None = None
    file_bytes_max: int | None = None
    map_bytes: int = 0
    memory_bytes_max: int | None = None
    memory_bytes: int = 0
    memory_limit_file: str = ""
    memory_free_ratio: float = 1.0
    overcommit: int = 0
    root: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFacts:
    """The clock that the node goes by.

    Attributes:
        synchronised: whether the kernel says that a time source disciplines it.
        error_ms: how far off it may be, as the kernel estimates.
        skew_ms: it minus the median of the mesh.
        trusted: whether the node believes it enough to write.
        ahead_ms: a leap of it that is not followed.
    """

    synchronised: bool | None = None
    error_ms: int = 0
    skew_ms: int = 0
    trusted: bool = True
    ahead_ms: int = 0
