"""What bad input gets: a word, a code, and no harm. Real processes, real disks."""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import lmdb
import pytest

from tests.integration.conftest import Found
from tests.integration.rig import (
    clean_environment,
)
from tests.integration.rig_mesh import founded, list_of, self_signed

pytestmark = [pytest.mark.integration, pytest.mark.thorough]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a `serve` ended that should not have begun."""

    code: int
    said: str


def serve(data_dir: Path, *flags: object, **environment: str) -> Ended:
    """Run `mnemesh serve` to its end, which it is expected to reach by itself."""
    command = [sys.executable, "-P", "-m", "node", "serve", "--data-dir", str(data_dir)]
    ran = subprocess.run(
        [*command, *map(str, flags)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=clean_environment() | environment,
    )
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
    return Ended(code=ran.returncode, said=ran.stderr)


# --- the command line and the files -------------------------------------------------------


def test_a_second_process_on_one_data_directory(found: Found) -> None:
    (one,) = found(1)
    ended = serve(one.data_dir, *one.flags)
    assert ended.code == 4
    assert str(one.pid) in ended.said
    assert one.store("goes on")["durability"]["local"] is True


@pytest.mark.parametrize("which", ["node.key", "tls.key", "api_key"])
def test_a_secret_with_loose_modes(tmp_path: Path, which: str) -> None:
    subprocess.run(
        [sys.executable, "-P", "-m", "node", "init", "--name", "a", "--data-dir", str(tmp_path)],
        check=True,
        capture_output=True,
        env=clean_environment(),
    )
    (tmp_path / "keys" / which).chmod(0o644)
    ended = serve(tmp_path, "--port", 0)
    assert ended.code == 4
    assert f"chmod 600 {tmp_path / 'keys' / which}" in ended.said
    assert not (tmp_path / "CURRENT").exists()


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = serve(tmp_path, "--port", port)
    assert ended.code == 1
    assert f"127.0.0.1:{port}" in ended.said or f"port {port}" in ended.said
    # Nothing was founded: the listeners come before the store.
    assert not (tmp_path / "CURRENT").exists()


def test_a_port_without_permission(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may bind every port")
    ended = serve(tmp_path, "--port", 1)
    assert ended.code != 0
    assert "port 1" in ended.said or ":1" in ended.said


def test_a_directory_without_permission() -> None:
    ended = serve(Path("/proc/self/mnemesh"), "--port", 0)
    assert ended.code == 4
    assert "/proc/self/mnemesh" in ended.said


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--quorum-writes", "4", "PEERS"), 4, "3 members"),
        (("--quorum-peers", "https://127.0.0.1:9,https://127.0.0.1:9"), 2, "twice"),
        (("--quorum-peers", "OWN"), 2, "this node itself"),
        (("--quorum-peers", "http://127.0.0.1:9"), 2, "https://"),
        (("--quorum-peers", "https://127.0.0.1:9/path"), 2, "https://host:port"),
        (("--quorum-timeout-ms", "soon"), 2, "timeout"),
        (("--agent-listen", "192.0.2.1:9077"), 2, "loopback"),
        (("--tls-key", "/nowhere/tls.key"), 2, "/nowhere/tls.key"),
    ],
)
def test_flags_that_cannot_be_meant(
    tmp_path: Path, flags: tuple[str, ...], code: int, words: str
) -> None:
    (node,) = founded(tmp_path, 1)
    peers = ("--quorum-peers", "https://127.0.0.1:9,https://127.0.0.1:10")
    spelled: list[str] = []
    for flag in flags:
        spelled += peers if flag == "PEERS" else [node.url if flag == "OWN" else flag]
    ended = serve(node.data_dir, *node.flags, *spelled)
    assert ended.code == code, ended.said
    assert words in ended.said
    assert not (node.data_dir / "CURRENT").exists()


def test_a_quorum_above_the_members_of_a_mesh_that_exists(found: Found) -> None:
    (one,) = found(1)
    one.store("something")
    assert one.stop() == 0
    ended = serve(one.data_dir, *one.flags, "--quorum-writes", "2")
    assert ended.code == 4
    assert "no write could ever be confirmed" in ended.said


def test_listening_beyond_loopback_without_protection(tmp_path: Path) -> None:
    plain = serve(tmp_path, "--host", "0.0.0.0", "--port", 0)  # noqa: S104 -- to be refused
    assert plain.code == 2
    assert "without TLS" in plain.said
    pair = self_signed(tmp_path / "certs", "a")
    tls = ("--tls-cert", pair.certificate, "--tls-key", pair.key)
    everybody = serve(tmp_path, "--host", "0.0.0.0", "--port", 0, *tls)  # noqa: S104 -- as above
    assert everybody.code == 2
    assert "allowlist" in everybody.said
    keyless = serve(tmp_path, "--port", 0, MNEMESH_REQUIRE_API_KEY="1")
    assert keyless.code == 2
    assert "API key" in keyless.said


def test_an_allowlist_line_that_cannot_be_read(tmp_path: Path) -> None:
    (node,) = founded(tmp_path, 1)
    with list_of(node).open("a") as listed:
        listed.write("# a comment\nnot-a-fingerprint node-b\n")
    ended = serve(node.data_dir, *node.flags)
    assert ended.code == 2
    assert "line 3" in ended.said
    assert "64" in ended.said


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("[quorum]\nwrits = 2\n", 2, ("line 2", "writes")),
        ("[quorum\n", 2, ("line 1",)),
        ('[admin]\napi_key = "hunter-2"\n', 2, ("api_key",)),
        ("schema_version = 99\n", 7, ("99",)),
    ],
)
def test_a_configuration_that_cannot_be_meant(
    tmp_path: Path, text: str, code: int, words: tuple[str, ...]
) -> None:
    (tmp_path / "config.toml").write_text(text)
    ended = serve(tmp_path, "--port", 0)
    assert ended.code == code, ended.said
    assert all(word in ended.said for word in words), ended.said
    assert "hunter-2" not in ended.said


def test_a_store_of_a_newer_version_is_left_untouched(found: Found) -> None:
    (one,) = found(1)
    one.store("something")
    assert one.stop() == 0
    folder = one.data_dir / (one.data_dir / "CURRENT").read_text().strip()
    from crdt.digest import checksum  # noqa: PLC0415

    env = lmdb.open(str(folder), max_dbs=64)
    meta = env.open_db(b"meta")
    with env.begin(write=True) as txn:
        rows = {k: v for k, v in txn.cursor(meta) if b"schema" in k or b"version" in k}
        assert len(rows) == 1, rows
        for key, row in rows.items():
            newer = (int.from_bytes(row[16:], "big") + 1).to_bytes(len(row) - 16, "big")
            txn.put(key, checksum(key, newer) + newer, db=meta)
    env.close()
    before = (folder / "data.mdb").read_bytes()
    ended = serve(one.data_dir, *one.flags)
    assert ended.code == 7, ended.said
    assert "newer" in ended.said
    assert (folder / "data.mdb").read_bytes() == before
