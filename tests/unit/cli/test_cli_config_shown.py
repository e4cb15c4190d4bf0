"""`mnemesh config check`, `show` and `schema`."""

import json
from pathlib import Path

import pytest

from node.cli.app import dispatch
from node.settings import TABLE
from node.settings.json_schema import config_schema


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for row in TABLE:
        monkeypatch.delenv(row.env, raising=False)
    monkeypatch.setenv("MNEMESH_QUORUM_TIMEOUT_MS", "2500")
    (tmp_path / "config.toml").write_text("[listen]\nport = 9999\n")
    return tmp_path


def ran(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = dispatch(["config", *args])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_show_tells_every_setting_and_where_it_came_from(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = ran(
        capsys, "show", "--origin", "--json", "--data-dir", str(here), "--name", "desk"
    )
    data = json.loads(out)
    assert code == 0
    assert set(data["settings"]) == {row.name for row in TABLE}
    assert data["settings"]["listen.port"] == 9999
    assert data["origins"]["listen.port"] == f"file {here / 'config.toml'}"
    assert data["origins"]["quorum.timeout_ms"] == "environment MNEMESH_QUORUM_TIMEOUT_MS"
    assert data["origins"]["identity.name"] == "flag --name"
    assert data["origins"]["listen.host"] == "default"


def test_show_for_people_may_leave_the_defaults_out(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = ran(capsys, "show", "--changed", "--data-dir", str(here))
    lines = out.splitlines()
    assert lines[0].split() == ["SETTING", "VALUE"]
    assert [line.split() for line in lines[1:]] == [
        ["listen.port", "9999"],
        ["quorum.timeout_ms", "2500"],
    ]


@pytest.mark.parametrize("secret", ["ann:hunter2", "ann:p@hunter2", "hunter2@"])
def test_what_is_secret_in_an_address_is_blotted_out(
    here: Path, capsys: pytest.CaptureFixture[str], secret: str
) -> None:
    (here / "config.toml").write_text(f'[llm]\nurl = "https://{secret}@example.org/v1"\n')
    _, out, err = ran(capsys, "show", "--origin", "--data-dir", str(here))
    assert "***@example.org" in out
    assert "hunter2" not in out + err
    code, out, err = ran(capsys, "check", "--data-dir", str(here))
    assert (code, "hunter2" in out + err) == (2, False)


def test_check_says_what_is_good(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ran(capsys, "check", "--data-dir", str(here), "--json")
    data = json.loads(out)
    assert (code, data["ok"], data["exists"]) == (0, True, True)
    assert (data["settings"]["file"], data["settings"]["environment"]) == (1, 1)


@pytest.mark.parametrize(
    ("text", "args", "code", "words"),
    [
        ("[listen]\nprot = 1\n", (), 2, ["line 2", "Did you mean port?"]),
        ("[listen]\nport = 70000\n", (), 2, ["line 2", "0 to 65535"]),
        ("[listen\n", (), 2, ["line 1"]),
        ('[admin]\napi_key = "hunter2"\n', (), 2, ["line 2", "looks like a secret"]),
        ("", ("--port", "70000"), 2, ["--port", "0 to 65535"]),
        ("", ("--host", "0.0.0.0"), 2, ["without TLS"]),  # noqa: S104 - refused
        ('[admin]\napi_key_file = "none"\n', (), 2, ["there is no file"]),
        ("schema_version = 99\n", (), 7, ["schema_version 99"]),
        ('[hooks.a]\non = ["before_stor"]\n', (), 2, ["line 1", "needs one thing to run"]),
        (
            '[hooks.a]\non = ["before_stor"]\ncommand = ["/bin/true"]\n',
            (),
            2,
            ["line 2", "Did you mean before_store?"],
        ),
        (
            '[hooks.a]\non = ["before_store"]\ncommand = ["/none/such"]\n',
            (),
            2,
            ["/none/such cannot be run"],
        ),
        ('[llm]\nurl = "nowhere"\n', (), 2, ["url is no address"]),
    ],
)
def test_check_refuses_what_a_start_would(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    args: tuple[str, ...],
    code: int,
    words: list[str],
) -> None:
    (here / "config.toml").write_text(text)
    given, _, err = ran(capsys, "check", "--data-dir", str(here), *args)
    assert given == code, err
    assert all(word in err for word in words), err
    assert "hunter2" not in err


def test_a_variable_that_cannot_be_used_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNEMESH_PORT", "http")
    code, _, err = ran(capsys, "check", "--data-dir", str(here))
    assert (code, "environment MNEMESH_PORT" in err) == (2, True)


def test_a_secret_that_others_can_read_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = here / "key"
    key.write_text("k")
    key.chmod(0o644)
    (here / "config.toml").write_text('[admin]\napi_key_file = "key"\n')
    code, _, err = ran(capsys, "check", "--data-dir", str(here))
    assert (code, "chmod 600" in err) == (4, True)


def test_the_schema_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ran(capsys, "schema")
    assert code == 0
    assert json.loads(out) == json.loads(json.dumps(config_schema()))
