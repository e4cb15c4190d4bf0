"""What is read off a machine and a folder: made-up kernels, and this very one."""

import datetime as dt
import os
import struct
from pathlib import Path

import pytest

from node.doctor import folder_seen, time_seen
from node.doctor.host_seen import host_of
from node.facts import LastExit, ListenerFacts
from node.paths import Paths, resolve_paths
from tests.unit.doctor.healthy import settings_with
from transport.certificate import make_certificate

_GIB = 1 << 30


def host(root: Path) -> object:
    return host_of(connections_max=100, map_bytes=0, root=root)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_machine_tells_something() -> None:
    seen = host_of(connections_max=100, map_bytes=0)
    assert seen.files_open > 3
    assert 0 < seen.memory_free_ratio <= 1
    assert seen.files_wanted == 356


def test_a_machine_without_proc_is_harmless(tmp_path: Path) -> None:
    seen = host_of(connections_max=100, map_bytes=0, root=tmp_path)
    assert (seen.files_open, seen.system_files_ratio, seen.memory_free_ratio) == (0, 0.0, 1.0)
    assert seen.memory_bytes_max is None


@pytest.mark.parametrize("spoilt", ["", "x y z", "1 2", "\x00", "99999999999999999999 0 1"])
def test_files_of_the_kernel_that_say_nonsense_are_no_fault(tmp_path: Path, spoilt: str) -> None:
    names = ("proc/sys/fs/file-nr", "proc/meminfo", "proc/self/cgroup")
    host(write(tmp_path, dict.fromkeys(names, spoilt)))


@pytest.mark.parametrize("inside", [False, True])
def test_a_control_group_of_version_two(tmp_path: Path, *, inside: bool) -> None:
    place = "sys/fs/cgroup" if inside else "sys/fs/cgroup/system.slice/m.service"
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/system.slice/m.service\n",
            f"{place}/memory.max": f"{_GIB}\n",
            f"{place}/memory.current": f"{_GIB // 2}\n",
            f"{place}/memory.stat": f"anon 1\ninactive_file {_GIB // 4}\n",
        },
    )
    seen = host_of(connections_max=1, map_bytes=0, root=root)
    assert (seen.memory_bytes, seen.memory_bytes_max) == (_GIB // 4, _GIB)
    assert seen.memory_limit_file == str(tmp_path / place / "memory.max")


def test_a_group_without_a_bound_has_none(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"},
    )
    assert host_of(connections_max=1, map_bytes=0, root=root).memory_bytes_max is None
    older = write(
        tmp_path / "v1",
        {
            "proc/self/cgroup": "4:memory:/a\n1:cpu:/\n",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "4096\n",
        },
    )
    seen = host_of(connections_max=1, map_bytes=0, root=older)
    assert (seen.memory_bytes, seen.memory_bytes_max) == (4096, None)


def test_all_descriptors_of_the_system(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/sys/fs/file-nr": "950\t50\t1000\n"})
    assert host_of(connections_max=1, map_bytes=0, root=root).system_files_ratio == 0.9


# --- time ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "status", "wanted"),
    [(0, 0x2001, True), (5, 0x2001, False), (0, 0x40, False), (-1, 0, None)],
)
def test_what_the_kernel_says_of_its_clock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: int, status: int, *, wanted: bool | None
) -> None:
    class Library:
        def adjtimex(self, raw: object) -> int:
            struct.pack_into("=q", raw, 24, 7_000)
            struct.pack_into("=i", raw, 40, status)
            return state

    monkeypatch.setattr(time_seen, "_NOTE", tmp_path / "none")
    monkeypatch.setattr("ctypes.CDLL", lambda _name: Library())
    assert time_seen.synchronised() == (wanted, 7 if wanted is not None else 0)


def test_where_the_kernel_may_not_be_asked_a_note_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(time_seen, "_ask_kernel", lambda: None)
    monkeypatch.setattr(time_seen, "_NOTE", tmp_path / "note")
    assert time_seen.synchronised() == (None, 0)
    (tmp_path / "note").touch()
    assert time_seen.synchronised() == (True, 0)


# --- folders ------------------------------------------------------------------------------


def paths_in(folder: Path) -> Paths:
    return resolve_paths({}, folder, data_dir=folder)


def listener(started_at: int) -> ListenerFacts:
    words = dict.fromkeys(
        (
            *("node_id", "name", "cluster", "agent_url", "peer_url", "fingerprint"),
            *("api_key_file", "key_dir", "allowlist", "config"),
        ),
        "",
    )
    return ListenerFacts(pid=1, argv=(), started_at=started_at, **words)


@pytest.mark.parametrize(
    ("started", "ended", "wanted"),
    [
        (None, None, False),
        (100, None, True),
        (100, 90, True),
        (100, 110, False),
        (900, None, False),
    ],
)
def test_a_process_that_ended_without_a_word(
    tmp_path: Path, started: int | None, ended: int | None, *, wanted: bool
) -> None:
    paths = paths_in(tmp_path)
    if started is not None:
        listener(started).write(paths.facts)
    if ended is not None:
        LastExit(code=0, at_ms=ended).write(paths.last_exit)
    assert folder_seen.killed(paths, since_ms=500) is wanted


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ('{"at_ms": 5, "path": "/b", "id": "x"}', 5),
        ('{"at_ms": "5"}', None),
        ('{"at_ms": true}', None),
        ("[]", None),
        ("{", None),
    ],
)
def test_the_note_of_the_last_backup(tmp_path: Path, text: str, at_ms: int | None) -> None:
    (tmp_path / "last_backup.json").write_text(text)
    assert folder_seen.backup_of(paths_in(tmp_path)).at_ms == at_ms


def test_the_file_system_of_a_folder(tmp_path: Path) -> None:
    inner = tmp_path / "a b" / "c"
    inner.mkdir(parents=True)
    mounts = tmp_path / "mountinfo"
    named = str(tmp_path / "a b").replace(" ", "\\040")
    mounts.write_text(
        "1 0 0:1 / / rw - ext4 /dev/a rw\n"
        f"2 1 0:2 / {named} rw - nfs4 host:/ rw\n"
        f"3 1 0:3 / {tmp_path}/other rw - tmpfs t rw\nbroken\n"
    )
    assert folder_seen.file_system_of(inner, mounts) == "nfs4"
    assert folder_seen.file_system_of(tmp_path, mounts) == "ext4"
    assert folder_seen.file_system_of(tmp_path, tmp_path / "none") == ""


def test_stores_that_were_set_aside(tmp_path: Path) -> None:
    (tmp_path / "aside-1").mkdir()
    (tmp_path / "aside-2").mkdir()
    (tmp_path / "aside-2" / "replaced").touch()
    seen = folder_seen.store_of(tmp_path)
    assert seen.aside == (str(tmp_path / "aside-1"),)
    assert seen.disk_bytes >= seen.disk_free_bytes > 0
    assert 0 < seen.inodes_free_ratio <= 1


def test_certificates_as_their_files_stand(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    settings = settings_with()
    settings = type(settings)(
        **{
            **{name: getattr(settings, name) for name in settings.__slots__},
            "paths": paths_in(tmp_path),
        }
    )
    (keys / "node.key").touch(0o600)
    now = dt.datetime.now(dt.UTC)
    made = make_certificate("a", ["localhost"], now, os.urandom)
    made.save(keys / "tls.crt", keys / "tls.key")
    seen = folder_seen.identity_of(settings)
    assert seen.certificate_trouble == ""
    assert seen.certificate_expires_ms is not None
    assert {Path(key.path).name: key.mode for key in seen.keys} == {
        "node.key": 0o600,
        "tls.key": 0o600,
        "keys": 0o700,
    }
    seen = folder_seen.identity_of(settings, in_force="ab" * 32, expires_ms=1)
    assert seen.certificate_waits
    assert seen.certificate_expires_ms == 1
    other = make_certificate("b", ["localhost"], now, os.urandom)
    other.save(tmp_path / "b.crt", keys / "tls.key", force=True)
    assert "match" in folder_seen.identity_of(settings).certificate_trouble.lower()
    (keys / "tls.key").chmod(0o644)
    assert folder_seen.identity_of(settings).certificate_trouble == ""
    (keys / "tls.crt").unlink()
    assert "gone" in folder_seen.identity_of(settings, in_force="ab" * 32).certificate_trouble
