"""The keys of a node come back to whoever knows the passphrase, and to nobody else."""

import os
import random
import stat
from pathlib import Path

import pytest
from nacl import pwhash

from node.backup.identity_file import Cost, Kept, check_free, gather, opened, put, sealed
from node.errors import IntegrityError, Refused, UsageError

CHEAP = Cost(ops=pwhash.argon2id.OPSLIMIT_MIN, mem_bytes=pwhash.argon2id.MEMLIMIT_MIN)
WORDS = b"correct horse battery staple"
FILES = {
    "node.key": (b"the key", 0o600),
    "tls.crt": (b"a certificate", 0o644),
    "allowlist": (b"# nobody\n", 0o600),
    "identities/agent.key": (os.urandom(40), 0o600),
    "peers/ab.pem": (b"of a peer", 0o644),
}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    for name, (data, mode) in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
    (folder / "something else").write_bytes(b"of the operator")
    return folder


def test_everything_comes_back_with_its_mode(keys: Path, tmp_path: Path) -> None:
    data = sealed(gather(keys), WORDS, os.urandom, CHEAP)
    assert not any(content in data for content, _ in FILES.values())
    back = tmp_path / "back"
    put(opened(data, WORDS), back)
    there = {p.relative_to(back).as_posix(): p for p in back.rglob("*") if p.is_file()}
    assert there.keys() == FILES.keys()
    for name, (content, mode) in FILES.items():
        assert there[name].read_bytes() == content
        assert stat.S_IMODE(there[name].stat().st_mode) == mode
    assert stat.S_IMODE(back.stat().st_mode) == 0o700


def test_a_wrong_passphrase_and_a_damaged_file_are_told(keys: Path) -> None:
    data, rng = sealed(gather(keys), WORDS, os.urandom, CHEAP), random.Random(3)
    for wrong in (WORDS + b" ", WORDS[:-1], b""):
        with pytest.raises(IntegrityError, match="passphrase"):
            opened(data, wrong)
    for at in rng.sample(range(len(data) * 8), 60):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(IntegrityError):
            opened(bytes(flipped), WORDS)
    for other in (b"", data[:40], b"something else"):
        with pytest.raises(IntegrityError):
            opened(other, WORDS)


def test_a_short_passphrase_is_refused(keys: Path) -> None:
    with pytest.raises(UsageError, match="shorter"):
        sealed(gather(keys), b"elevenchars", os.urandom, CHEAP)


def test_no_key_is_written_over_unawares(keys: Path) -> None:
    kept = gather(keys)
    check_free(kept, keys, force=False)  # the same keys are there
    (keys / "node.key").write_bytes(b"another")
    with pytest.raises(Refused, match="is there already"):
        check_free(kept, keys, force=False)
    check_free(kept, keys, force=True)


@pytest.mark.parametrize(
    "name", ["../node.key", "identities/../../x", "cron", "/etc/x", "peers/a/b"]
)
def test_nothing_is_written_elsewhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        put({name: Kept(mode=0o600, data=b"x")}, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_there_must_be_a_node_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no node key"):
        gather(tmp_path)
