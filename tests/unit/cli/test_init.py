"""`init`, `node fingerprint`, `allow` and `deny`: files only, nothing runs."""

import os
import signal
import ssl
from pathlib import Path

import pytest

from node.lock import DirectoryLock
from node.paths import resolve_paths
from node.settings import load_settings
from tests.unit.cli.standin import Mnemesh, StandIn
from transport import allowlist
from transport.certificate import fingerprint, load_der
from transport.identity import NodeKey

FRIEND = "ab" * 32


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "d"


def init(mnemesh: Mnemesh, home: Path, *more: object) -> dict[str, object]:
    ran = mnemesh("init", "--name", "node-a", "--data-dir", home, "--json", *more)
    assert ran.code == 0, ran.err
    found: dict[str, object] = ran.json
    return found


def test_init_makes_an_identity_that_works(mnemesh: Mnemesh, home: Path) -> None:
    made = init(mnemesh, home, "--advertise", "https://a.example:9443", "--san", "10.0.0.1")
    keys = home / "keys"
    assert made["node_id"] == NodeKey.load(keys / "node.key").node_id.hex()
    assert made["fingerprint"] == fingerprint(load_der(keys / "tls.crt"))
    assert made["api_key_file"] == str(keys / "api_key")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(keys / "tls.crt", keys / "tls.key")
    settings = load_settings(resolve_paths({}, home, data_dir=home), environ={})
    assert settings.identity.name == "node-a"
    assert settings.listen.advertise == "https://a.example:9443"
    assert settings.identity.sans[:2] == ("a.example", "10.0.0.1")


def test_secrets_are_private_and_never_shown(mnemesh: Mnemesh, home: Path) -> None:
    ran = mnemesh("init", "--name", "a", "--data-dir", home)
    keys = home / "keys"
    assert keys.stat().st_mode & 0o777 == 0o700
    for name in ("node.key", "tls.key", "api_key"):
        assert (keys / name).stat().st_mode & 0o777 == 0o600
        assert (keys / name).read_text(encoding="utf-8").strip() not in ran.out + ran.err


def test_init_shows_fingerprint_and_next_step(mnemesh: Mnemesh, home: Path) -> None:
    ran = mnemesh("init", "--name", "a", "--data-dir", home)
    shown = mnemesh("node", "fingerprint", "--data-dir", home)
    assert shown.out.strip() in ran.out
    assert f"mnemesh serve --data-dir {home}" in ran.out
    assert f"mnemesh node allow {shown.out.strip()} --name a" in ran.out


def test_an_identity_is_never_overwritten_silently(mnemesh: Mnemesh, home: Path) -> None:
    first = init(mnemesh, home)
    ran = mnemesh("init", "--name", "b", "--data-dir", home, "--json")
    assert ran.code == 4
    assert ran.json["error"] == "refused"
    assert "--force" in ran.err
    ran = mnemesh("init", "--name", "b", "--data-dir", home, "--force")
    assert ran.code == 2
    assert "--yes" in ran.err
    assert mnemesh("node", "fingerprint", "--data-dir", home).out.strip() == first["fingerprint"]
    second = init(mnemesh, home, "--force", "--yes")
    assert second["fingerprint"] != first["fingerprint"]


def test_init_keeps_what_the_configuration_already_says(mnemesh: Mnemesh, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[quorum]\nwrites = 2\n", encoding="utf-8")
    init(mnemesh, home)
    settings = load_settings(resolve_paths({}, home, data_dir=home), environ={})
    assert (settings.quorum.writes, settings.identity.name) == (2, "node-a")


def test_init_does_not_touch_a_running_node(mnemesh: Mnemesh, home: Path) -> None:
    with DirectoryLock(home / "lock"):
        ran = mnemesh("init", "--name", "a", "--data-dir", home)
    assert ran.code == 4
    assert str(os.getpid()) in ran.err
    assert not (home / "keys").exists()


def test_a_wildcard_bind_needs_an_address_to_tell(mnemesh: Mnemesh, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('[listen]\nhost = "0.0.0.0"\n', encoding="utf-8")
    ran = mnemesh("init", "--name", "a", "--data-dir", home)
    assert ran.code == 2
    assert "--advertise" in ran.err
    init(mnemesh, home, "--advertise", "https://a:1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "a", "--advertise", "http://a:1"], "https://"),
        (["--name", "a", "--san", "not a name"], "--san"),
        (["--name", "a/b"], "--name"),
        (["--name", " "], "--name"),
        ([], "--name"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(
    mnemesh: Mnemesh, home: Path, arguments: list[str], words: str
) -> None:
    ran = mnemesh("init", "--data-dir", home, *arguments)
    assert ran.code == 2
    assert words in ran.err
    assert not home.exists()


def test_a_folder_that_cannot_be_made_is_refused_in_words(mnemesh: Mnemesh, home: Path) -> None:
    home.write_text("a file", encoding="utf-8")
    ran = mnemesh("init", "--name", "a", "--data-dir", home)
    assert ran.code == 4
    assert "--data-dir" in ran.err


def test_a_dry_run_makes_nothing(mnemesh: Mnemesh, home: Path) -> None:
    assert init(mnemesh, home, "--dry-run")["dry_run"] is True
    assert not home.exists()


def test_fingerprint_without_an_identity_says_how_to_make_one(mnemesh: Mnemesh, home: Path) -> None:
    ran = mnemesh("node", "fingerprint", "--data-dir", home)
    assert ran.code == 2
    assert "mnemesh init" in ran.err


def test_allow_and_deny_edit_the_file_and_keep_comments(mnemesh: Mnemesh, home: Path) -> None:
    init(mnemesh, home)
    path = home / "keys" / "allowlist"
    path.write_text("# friends\n", encoding="utf-8")
    spelled = "sha256:" + ":".join(["AB"] * 32)
    ran = mnemesh("node", "allow", spelled, "--name", "b", "--data-dir", home, "--json")
    assert ran.code == 0
    assert (ran.json["fingerprint"], ran.json["changed"]) == (FRIEND, True)
    assert allowlist.load(path).entries == {FRIEND: "b"}
    again = mnemesh("node", "allow", FRIEND, "--data-dir", home, "--json")
    assert again.json["changed"] is False
    gone = mnemesh("node", "deny", "b", "--data-dir", home, "--json")
    assert (gone.json["fingerprint"], gone.json["changed"]) == (FRIEND, True)
    assert path.read_text(encoding="utf-8") == "# friends\n"
    assert mnemesh("node", "deny", FRIEND, "--data-dir", home, "--json").json["changed"] is False


def test_allow_keeps_a_certificate_only_under_its_own_fingerprint(
    mnemesh: Mnemesh, home: Path, tmp_path: Path
) -> None:
    init(mnemesh, home)
    other = tmp_path / "other"
    made = init(mnemesh, other)
    cert = other / "keys" / "tls.crt"
    ran = mnemesh("node", "allow", FRIEND, "--cert", cert, "--data-dir", home)
    assert ran.code == 2
    assert not (home / "keys" / "allowlist").exists()
    ran = mnemesh("node", "allow", made["fingerprint"], "--cert", cert, "--data-dir", home)
    assert ran.code == 0
    assert (home / "keys" / "peers" / f"{made['fingerprint']}.pem").exists()


def test_a_bad_fingerprint_and_a_bad_line_are_usage_errors(mnemesh: Mnemesh, home: Path) -> None:
    assert mnemesh("node", "allow", "xyz", "--data-dir", home).code == 2
    init(mnemesh, home)
    (home / "keys" / "allowlist").write_text("\nnonsense\n", encoding="utf-8")
    ran = mnemesh("node", "allow", FRIEND, "--data-dir", home)
    assert ran.code == 2
    assert "line 2" in ran.err


def test_the_list_that_the_configuration_names_is_the_one_edited(
    mnemesh: Mnemesh, home: Path
) -> None:
    home.mkdir()
    (home / "config.toml").write_text('[listen]\nmtls_allowlist = "l"\n', encoding="utf-8")
    mnemesh("node", "allow", FRIEND, "--data-dir", home)
    assert FRIEND in allowlist.load(home / "l")


def test_a_running_node_is_told_of_a_change(mnemesh: Mnemesh, standin: StandIn) -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _frame: told.append(number))
    try:
        home = standin.paths.data_dir
        ran = mnemesh("node", "allow", FRIEND, "--data-dir", home, "--json")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert ran.json["node_told"] is True
    assert told == [signal.SIGHUP]
