"""`mnemesh backup`, `restore` and `identity backup`, from the outside."""

from pathlib import Path

import pytest

from node.lock import DirectoryLock
from tests.unit.backup.rig import Home
from tests.unit.cli.standin import Mnemesh


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "node")
    made.write(3)
    return made


def test_a_backup_and_the_way_back(mnemesh: Mnemesh, home: Home, tmp_path: Path) -> None:
    kept, node = tmp_path / "kept", ("--data-dir", home.data_dir, "--json")
    planned = mnemesh("backup", "--to", kept, "--dry-run", *node).json
    assert planned["would_prune"] == []
    assert planned["files"] == ["allowlist", "config.toml"]
    assert not kept.exists()
    made = mnemesh("backup", "--to", kept, *node).json
    assert (made["records"], made["source"], made["kept"], made["pruned"]) == (3, "stopped", 1, [])
    second = mnemesh("backup", "--to", kept, "--keep", "1", *node).json
    assert second["pruned"] == [made["id"]]
    listed = mnemesh("backup", "list", "--from", kept, "--json").json
    assert [row["id"] for row in listed["backups"]] == [second["id"]]
    assert mnemesh("backup", "verify", "--from", kept, "--all", "--json").json["holds"]
    drilled = mnemesh("backup", "drill", "--from", kept, *node).json
    assert (drilled["id"], drilled["operations_behind"]) == (second["id"], None)
    plan = mnemesh("restore", "--from", kept, "--dry-run", *node).json
    assert (plan["id"], plan["would_set_aside"]) == (second["id"], str(home.live()))
    done = mnemesh("restore", "--from", kept, "--yes", *node).json
    assert (done["backup"], done["verified"], done["put"]) == (second["id"], True, [])
    status = mnemesh("status", *node)
    assert status.code == 6
    assert second["id"] in status.json["recovering"]
    begun = mnemesh("restore", "--as-founder", *node).json
    assert begun["was_recovering"]
    assert mnemesh("status", *node).json["recovering"] is None


def test_people_are_told_in_words(mnemesh: Mnemesh, home: Home, tmp_path: Path) -> None:
    kept, node = tmp_path / "kept", ("--data-dir", home.data_dir)
    assert "3 records" in mnemesh("backup", "--to", kept, *node).out
    assert "ok" in mnemesh("backup", "list", "--from", kept).out
    assert "holds (3 records)" in mnemesh("backup", "verify", "--from", kept).out
    assert "no node runs here" in mnemesh("backup", "drill", "--from", kept, *node).out
    ran = mnemesh("restore", "--from", kept, "--yes", "--skip-verify", *node)
    assert "NO, as was asked for" in ran.out
    assert "mnemesh restore --as-founder" in ran.out


def test_damage_is_exit_code_five(mnemesh: Mnemesh, home: Home, tmp_path: Path) -> None:
    kept, node = tmp_path / "kept", ("--data-dir", home.data_dir, "--json")
    made = mnemesh("backup", "--to", kept, *node).json
    (Path(made["path"]) / "node" / "config.toml").write_bytes(b"x")
    ran = mnemesh("backup", "verify", "--from", kept, "--json")
    assert (ran.code, ran.json["holds"]) == (5, False)
    assert mnemesh("backup", "drill", "--from", kept, *node).code == 5
    ran = mnemesh("restore", "--from", kept, "--yes", *node)
    assert ran.code == 5
    assert made["id"] in ran.json["why"]
    assert mnemesh("restore", "--from", kept, "--dry-run", *node).json["id"] is None


def test_what_is_refused(mnemesh: Mnemesh, home: Home, tmp_path: Path) -> None:
    kept, node = tmp_path / "kept", ("--data-dir", home.data_dir)
    for wrong in (
        ("backup", *node),
        ("restore", *node),
        ("backup", "list", "--from", tmp_path / "nowhere"),
        ("restore", "--from", tmp_path / "nowhere", "--yes", *node),
        ("backup", "--to", kept, "--data-dir", tmp_path / "nobody"),
    ):
        assert mnemesh(*wrong).code == 2, wrong
    mnemesh("backup", "--to", kept, *node)
    assert mnemesh("restore", "--from", kept, *node).code == 2, "nobody can be asked"
    with DirectoryLock(home.data_dir / "lock"):
        assert mnemesh("restore", "--from", kept, "--yes", *node).code == 4
    (home.data_dir / "keys" / "node.key").unlink()
    assert mnemesh("backup", "--to", kept, *node).code == 4


def test_without_the_key_it_is_said_what_to_do(
    mnemesh: Mnemesh, home: Home, tmp_path: Path
) -> None:
    kept, node = tmp_path / "kept", ("--data-dir", home.data_dir, "--json")
    mnemesh("backup", "--to", kept, *node)
    (home.data_dir / "keys" / "node.key").unlink()
    done = mnemesh("restore", "--from", kept, "--yes", *node).json
    assert "mnemesh identity restore" in done["to_do"][0]
    assert "a new member" in done["to_do"][0]


@pytest.mark.slow
def test_keys_go_out_and_come_back(mnemesh: Mnemesh, home: Home, tmp_path: Path) -> None:
    node, file = ("--data-dir", home.data_dir, "--json"), tmp_path / "node.keys"
    words = tmp_path / "passphrase"
    words.write_text("several words that fit\n", encoding="ascii")
    secret = ("--passphrase-file", words)
    assert mnemesh("identity", "backup", "--to", file, *secret, *node).code == 4, "it is loose"
    words.chmod(0o600)
    assert mnemesh("identity", "backup", "--to", file, *secret, "--dry-run", *node).json["dry_run"]
    assert not file.exists()
    made = mnemesh("identity", "backup", "--to", file, *secret, *node).json
    assert made["files"] == ["allowlist", "api_key", "node.key", "tls.key"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert mnemesh("identity", "backup", "--to", file, *secret, *node).code == 4, "it is there"
    key = home.data_dir / "keys" / "node.key"
    before = key.read_bytes()
    key.write_bytes(b"another")
    assert mnemesh("identity", "restore", "--from", file, *secret, *node).code == 4
    assert key.read_bytes() == b"another"
    words.write_text("several words that do not fit\n", encoding="ascii")
    forced = ("identity", "restore", "--from", file, *secret, "--force", *node)
    assert mnemesh(*forced).code == 5
    words.write_text("several words that fit", encoding="ascii")
    assert mnemesh(*forced).json["files"] == made["files"]
    assert key.read_bytes() == before
