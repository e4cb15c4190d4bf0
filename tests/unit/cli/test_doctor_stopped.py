"""What the files of a stopped node show: planted, found as exactly that, mended as printed."""

import datetime as dt
import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from node.errors import Exit
from node.facts import LastExit
from tests.unit.cli.standin import Mnemesh
from transport.certificate import make_certificate

Deed = Callable[[Path], object]
Found = set[tuple[str, str, str]]


@pytest.fixture
def home(mnemesh: Mnemesh, tmp_path: Path) -> Path:
    """A node that ran, was backed up, and was stopped in good order."""
    folder = tmp_path / "n"
    assert mnemesh("init", "--name", "a", "--data-dir", folder).code == 0
    (folder / "CURRENT").write_text("store-0123456789abcdef\n")
    (folder / "store-0123456789abcdef").mkdir()
    LastExit(code=0, at_ms=1).write(folder / "last_exit.json")
    backed_up(hours=1)(folder)
    return folder


def backed_up(*, hours: float) -> Deed:
    at_ms = int((time.time() - hours * 3600) * 1000)
    note = json.dumps({"at_ms": at_ms, "path": "/b", "id": "x"})
    return lambda home: (home / "last_backup.json").write_text(note)


def certificate(*, age_days: int) -> Deed:
    now = dt.datetime.now(dt.UTC) - dt.timedelta(days=age_days)
    made = make_certificate("a", ["localhost"], now, os.urandom)
    return lambda home: made.save(home / "keys/tls.crt", home / "keys/tls.key", force=True)


def other_key(home: Path) -> None:
    made = make_certificate("b", ["localhost"], dt.datetime.now(dt.UTC), os.urandom)
    made.save(home / "b.crt", home / "keys/tls.key", force=True)


def exited(code: int) -> Deed:
    return lambda home: LastExit(code=code, at_ms=1).write(home / "last_exit.json")


def listed(text: str, mode: int) -> Deed:
    def plant(home: Path) -> None:
        (home / "keys/allowlist").write_text(text)
        (home / "keys/allowlist").chmod(mode)

    return plant


# what is planted -> section, severity, a word; None: the words of the fix alone say what to do
PLANTED: dict[str, tuple[Deed, tuple[str, str, str], Deed | None]] = {
    "key": (
        lambda home: (home / "keys/node.key").chmod(0o644),
        ("identity", "critical", "node.key has mode 0644"),
        None,
    ),
    "key-of-certificate": (
        lambda home: (home / "keys/tls.key").chmod(0o640),
        ("identity", "critical", "tls.key has mode 0640"),
        None,
    ),
    "api-key": (
        lambda home: (home / "keys/api_key").chmod(0o604),
        ("identity", "critical", "api_key has mode 0604"),
        None,
    ),
    "folder": (
        lambda home: (home / "keys").chmod(0o750),
        ("identity", "warning", "keys has mode 0750"),
        None,
    ),
    "expired": (
        certificate(age_days=8000),
        ("identity", "critical", "the certificate has expired"),
        certificate(age_days=0),
    ),
    "expires": (
        certificate(age_days=7280),
        ("identity", "warning", "the certificate expires in"),
        certificate(age_days=0),
    ),
    "mismatch": (
        other_key,
        ("identity", "critical", "cannot be used together"),
        certificate(age_days=0),
    ),
    "list-writable": (
        listed("# nobody\n", 0o622),
        ("allowlist", "critical", "can write the allowlist"),
        None,
    ),
    "list-unreadable": (
        listed("nobody\n", 0o600),
        ("allowlist", "critical", "cannot be read"),
        lambda home: (home / "keys/allowlist").unlink(),
    ),
    "config-writable": (
        lambda home: (home / "config.toml").chmod(0o666),
        ("config", "warning", "other users can write"),
        None,
    ),
    "debug": (
        lambda home: (home / "config.toml").write_text('[logging]\nlevel = "debug"\n'),
        ("config", "info", "the log level is debug"),
        lambda home: (home / "config.toml").write_text('[logging]\nlevel = "info"\n'),
    ),
    "mode": (
        lambda home: (home / "config.toml").write_text('[permissions]\nmode = "off"\n'),
        ("governance", "critical", "permissions.mode is off"),
        lambda home: (home / "config.toml").write_text(""),
    ),
    "no-backup": (
        lambda home: (home / "last_backup.json").unlink(),
        ("backups", "warning", "never backed up"),
        backed_up(hours=0),
    ),
    "old-backup": (
        backed_up(hours=100),
        ("backups", "warning", "100 hours old"),
        backed_up(hours=0),
    ),
    "aside": (
        lambda home: (home / "aside-0123456789abcdef-1").mkdir(),
        ("store", "warning", "was set aside"),
        None,
    ),
    "recovering": (
        lambda home: (home / "recovering.json").write_text("{}"),
        ("node", "warning", "was restored"),
        lambda home: (home / "recovering.json").unlink(),
    ),
    "damaged": (exited(5), ("node", "warning", "stored bytes were damaged"), exited(0)),
    "disk": (exited(10), ("node", "warning", "the disk reported an error"), exited(0)),
}


def look(mnemesh: Mnemesh, home: Path) -> tuple[Found, dict[str, str]]:
    """What is found, and the fix of each; that no node runs, and the time of day, left out."""
    ran = mnemesh("doctor", "--data-dir", home, "--json")
    assert ran.code == Exit.UNREACHABLE
    rows = [
        (section["name"], finding["severity"], finding["text"], finding["fix"])
        for section in ran.json["sections"]
        for finding in section["findings"]
        if finding["severity"] != "ok"
        and section["name"] != "time"
        and not finding["text"].startswith("no node runs")
    ]
    return {row[:3] for row in rows}, {text: fix for _, _, text, fix in rows}


@pytest.mark.parametrize("planted", PLANTED)
def test_it_is_found_as_what_it_is_and_mended_by_what_is_printed(
    mnemesh: Mnemesh, home: Path, planted: str
) -> None:
    plant, (section, severity, words), mend = PLANTED[planted]
    usual, _ = look(mnemesh, home)
    assert not {found for found in usual if found[1] in {"warning", "critical"}}
    plant(home)
    found, fixes = look(mnemesh, home)
    ((where, how, text),) = found - usual
    assert (where, how) == (section, severity)
    assert words in text
    assert fixes[text]
    if mend is not None:
        mend(home)
    else:
        for command in re.findall(r"`((?:chmod|rm) [^`]+)`", fixes[text]):
            subprocess.run(["/bin/sh", "-c", command], check=True)
    assert look(mnemesh, home)[0] == usual
