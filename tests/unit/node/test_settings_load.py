"""Where a value comes from, and what a person is told when it cannot be used."""

import dataclasses
from pathlib import Path

import pytest

from node.errors import ConfigError, DowngradeRefused
from node.paths import Paths, resolve_paths
from node.settings import (
    SCHEMA_VERSION,
    TABLE,
    Settings,
    load_settings,
    reload_differences,
    reload_settings,
    reloaded,
)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return resolve_paths({}, tmp_path, data_dir=tmp_path / "d")


def configured(paths: Paths, text: str) -> Paths:
    paths.config.parent.mkdir(parents=True, exist_ok=True)
    paths.config.write_text(text, encoding="utf-8")
    return paths


def load(paths: Paths, environ: dict[str, str] | None = None, **flags: str) -> Settings:
    dotted = {name.replace("__", "."): text for name, text in flags.items()}
    return load_settings(paths, environ=environ or {}, flags=dotted)


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(paths: Paths) -> None:
    assert load(paths).quorum.timeout_ms == 2000
    configured(paths, "[quorum]\ntimeout_ms = 3000\n")
    from_file = load(paths)
    assert from_file.quorum.timeout_ms == 3000
    assert from_file.origins["quorum.timeout_ms"] == f"file {paths.config}"
    environ = {"MNEMESH_QUORUM_TIMEOUT_MS": "4000"}
    from_environ = load(paths, environ)
    assert from_environ.quorum.timeout_ms == 4000
    assert from_environ.origins["quorum.timeout_ms"] == "environment MNEMESH_QUORUM_TIMEOUT_MS"
    from_flag = load(paths, environ, quorum__timeout_ms="5000")
    assert from_flag.quorum.timeout_ms == 5000
    assert from_flag.origins["quorum.timeout_ms"] == "flag --quorum-timeout-ms"


def test_every_setting_is_read_from_the_environment_and_from_the_file(paths: Paths) -> None:
    samples: dict[object, tuple[str, str]] = {
        "int": ("", ""),
        "str": ("text", '"text"'),
        "Path": ("/srv/x", '"/srv/x"'),
        "tuple": ("a.example,b.example", '["a.example", "b.example"]'),
        "bool": ("true", "true"),
    }
    special = {
        "listen.agent_listen": ("127.0.0.1:1", '"127.0.0.1:1"'),
        "listen.probe": ("127.0.0.1:1", '"127.0.0.1:1"'),
        "listen.advertise": ("https://a:1", '"https://a:1"'),
        "quorum.reach": ("https://a:1=https://b:2", '["https://a:1=https://b:2"]'),
        "quorum.peers": ("https://a:1,https://b:2", '["https://a:1", "https://b:2"]'),
    }
    paired = {"listen.tls_cert", "listen.tls_key", "quorum.client_cert", "quorum.client_key"}
    for row in TABLE:
        if row.name in paired:
            continue
        words = str(row.type)
        kind = next((k for k in ("tuple", "Path", "bool", "str") if k in words), "int")
        text, toml = special.get(row.name, samples[kind])
        if row.about.choices:
            text, toml = row.about.choices[-1], f'"{row.about.choices[-1]}"'
        if kind == "int":
            number = row.default if row.default is not None else 2
            text = toml = str(number)
        configured(paths, f"[{row.section}]\n{row.key} = {toml}\n")
        one = getattr(getattr(load(paths), row.section), row.key)
        paths.config.unlink()
        other_settings = load(paths, {row.env: text})
        assert one == getattr(getattr(other_settings, row.section), row.key), row.name
        assert other_settings.origins[row.name] == f"environment {row.env}"


def test_names_are_unique_and_every_setting_has_help() -> None:
    assert len({row.env for row in TABLE}) == len(TABLE)
    assert len({row.name for row in TABLE}) == len(TABLE)
    assert all(row.about.help.endswith(".") for row in TABLE)


def test_settings_cannot_be_changed(paths: Paths) -> None:
    settings = load(paths)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.listen.port = 1  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("text", "line", "near"),
    [
        ("[quorum]\n\nwritse = 2\n", 3, "Did you mean writes?"),
        ("[listen]\nport = 1\n[quorm]\nwrites = 2\n", 3, "Did you mean quorum?"),
        ("[listen]\ntimeout_ms = 5\n", 2, "Did you mean timeout_ms in [quorum]?"),
        ("quorum.writse = 3\n", 1, "Did you mean writes?"),
        ("port = 3\n", 1, "Did you mean port in [listen]?"),
    ],
)
def test_an_unknown_name_is_refused_with_its_line_and_the_nearest_real_one(
    paths: Paths, text: str, line: int, near: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(configured(paths, text))
    assert f"line {line}" in caught.value.what
    assert near in caught.value.fix
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        '[admin]\napi_key = "hunter2"\n',
        '[listen]\npassword = "hunter2"\n',
        '[webhook]\nsecret = "hunter2"\n',
        'token = "hunter2"\n',
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(paths: Paths, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(configured(paths, text))
    assert "hunter2" not in str(caught.value)
    if "webhook" not in text:
        assert "secret" in str(caught.value)
        assert "api_key_file" in caught.value.fix


def test_a_key_pasted_where_its_path_belongs_is_refused_and_not_repeated(paths: Paths) -> None:
    pem = "-----BEGIN PRIVATE KEY-----abc"
    with pytest.raises(ConfigError, match="the path of a file") as caught:
        load(paths, listen__tls_key=pem)
    assert "abc" not in str(caught.value)
    with pytest.raises(ConfigError, match="the path of a file"):
        load(configured(paths, f'[listen]\ntls_key = "{pem}"\n'))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("listen.port", "65536", "whole number from 0 to 65535"),
        ("listen.port", "http", "whole number from 0 to 65535"),
        ("quorum.writes", "-1", "whole number from 0 to 1000"),
        ("quorum.timeout_ms", "2.5", "whole number"),
        ("federation.catchup_interval_secs", "nan", "number from"),
        ("federation.catchup_interval_secs", "inf", "number from"),
        ("logging.level", "loud", "one of debug, info, warning, error"),
    ],
)
def test_a_value_that_does_not_fit_says_what_would(
    paths: Paths, name: str, text: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(paths, environ={}, flags={name: text})
    assert expected in caught.value.why


def test_a_value_of_another_type_names_its_line(paths: Paths) -> None:
    with pytest.raises(ConfigError, match="line 2") as caught:
        load(configured(paths, '[listen]\nport = "9077"\n'))
    assert "whole number" in caught.value.why
    with pytest.raises(ConfigError, match="true or false"):
        load(configured(paths, "[listen]\nrequire_api_key = 1\n"))


def test_what_is_no_toml_is_refused_and_nothing_is_read(paths: Paths) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        load(configured(paths, "[listen]\nport = = 3\n"))


def test_a_named_file_that_is_absent_is_refused(paths: Paths) -> None:
    assert load(paths).listen.port == 9077
    with pytest.raises(ConfigError, match="No such file"):
        load_settings(paths, environ={}, config_required=True)


def test_a_newer_file_is_refused_as_a_downgrade(paths: Paths) -> None:
    with pytest.raises(DowngradeRefused) as caught:
        load(configured(paths, f"schema_version = {SCHEMA_VERSION + 1}\n"))
    assert caught.value.exit_code == 7


def test_paths_in_the_file_are_relative_to_it(paths: Paths, tmp_path: Path) -> None:
    configured(paths, '[listen]\nmtls_allowlist = "friends"\n')
    assert load(paths).listen.mtls_allowlist == paths.config.parent / "friends"
    settings = load_settings(
        paths, environ={}, flags={"listen.mtls_allowlist": "friends"}, folder=tmp_path
    )
    assert settings.listen.mtls_allowlist == tmp_path / "friends"


def test_an_empty_variable_is_an_unset_one(paths: Paths) -> None:
    assert load(paths, {"MNEMESH_PORT": ""}).listen.port == 9077


def test_a_stray_variable_is_told_and_harmless(paths: Paths) -> None:
    settings = load(paths, {"MNEMESH_QUORUM_WRITE": "2", "MNEMESH_DATA_DIR": "/x", "HOME": "/"})
    assert len(settings.warnings) == 1
    assert "MNEMESH_QUORUM_WRITES?" in settings.warnings[0]


def test_require_api_key_has_its_short_variable(paths: Paths) -> None:
    assert load(paths, {"MNEMESH_REQUIRE_API_KEY": "1"}).listen.require_api_key


def test_a_reload_takes_what_may_change_and_names_the_rest(paths: Paths) -> None:
    old = load(paths)
    new = load(paths, quorum__writes="1", listen__port="1", logging__level="debug")
    assert reload_differences(old, new) == (("quorum.writes", "logging.level"), ("listen.port",))
    both = reloaded(old, new)
    assert (both.quorum.writes, both.logging.level, both.listen.port) == (1, "debug", 9077)


def test_sighup_reads_the_file_again_and_keeps_the_flags(paths: Paths) -> None:
    old = load(paths, quorum__timeout_ms="50")
    configured(paths, "[quorum]\nwrites = 1\ntimeout_ms = 9\n[listen]\nport = 1\n")
    new, live, restart = reload_settings(old, {})
    assert (live, restart) == (("quorum.writes",), ("listen.port",))
    assert (new.quorum.writes, new.quorum.timeout_ms, new.listen.port) == (1, 50, 9077)
    configured(paths, "[quorum]\nwrites = -1\n")
    with pytest.raises(ConfigError):
        reload_settings(new, {})
