"""Every setting by itself: flag over environment over file over default."""

from pathlib import Path
from typing import Any, get_origin

import pytest

from node.declare import Setting
from node.errors import ConfigError
from node.paths import Paths, resolve_paths
from node.settings import SECTIONS, TABLE, Settings, load_settings
from node.settings.parse import core_type
from node.settings.toml_file import literal

SPECIAL: dict[str, tuple[Any, ...]] = {
    "listen.agent_listen": ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"),
    "listen.advertise": ("https://a:1", "https://a:2", "https://a:3"),
    "listen.probe": ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"),
    "quorum.peers": (("https://a:1",), ("https://a:2",), ("https://a:3",)),
    "quorum.reach": (("https://a:1=https://b:1",), ("https://a:2=https://b:2",), ()),
    "telemetry.otlp_endpoint": ("http://a.example/1", "http://a.example/2", ""),
}
"""Three values for settings that not every text fits."""

PAIRS = {
    "listen.tls_cert": "listen.tls_key",
    "listen.tls_key": "listen.tls_cert",
    "quorum.client_cert": "quorum.client_key",
    "quorum.client_key": "quorum.client_cert",
}
"""Settings that go together."""

SECRETS = ("api_key", "key", "token", "secret", "password", "passphrase", "credentials", "my_token")
BY_NAME = {row.name: row for row in TABLE}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return resolve_paths({}, tmp_path, data_dir=tmp_path)


def three(row: Setting) -> tuple[Any, ...]:  # noqa: PLR0911 - a line a type
    """Values for the file, the environment and the option, as different as they can be."""
    about, kind = row.about, core_type(row)
    if row.name in SPECIAL:
        return SPECIAL[row.name]
    if about.choices:
        return (*about.choices, *about.choices, *about.choices)[1:4]
    if kind is bool:
        return (not row.default, row.default, not row.default)
    if kind in (int, float):
        return _numbers(row, kind)
    if get_origin(kind) is tuple:
        return (("ai:a",), ("ai:b", "ai:c"), ("ai:d",))
    if kind is Path:
        return (Path("/srv/a"), Path("/srv/b"), Path("/srv/c"))
    return ("a1", "b2", "c3")


def _numbers(row: Setting, kind: Any) -> tuple[Any, ...]:
    """Numbers near the default, so that they fit what other settings say."""
    base = row.default if row.default is not None else 2
    span = [base, base + 1, base + 2, base + 3, base - 1, base - 2, base - 3]
    low = row.about.minimum if row.about.minimum is not None else base - 3
    high = row.about.maximum if row.about.maximum is not None else base + 3
    fit = [kind(one) for one in span[1:] if low <= one <= high]
    fit += [kind(low + (high - low) * part / 4) for part in (1, 2, 3) if len(fit) < 3]
    return tuple(fit[:3])


def said(value: Any) -> str:
    """A value as the environment and options have it."""
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def value_of(settings: Settings, row: Setting) -> Any:
    return getattr(getattr(settings, row.section), row.key)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_setting_takes_the_nearest_word(paths: Paths, row: Setting) -> None:
    in_file, in_environ, in_flag = three(row)
    environ: dict[str, str] = {}
    if row.name in PAIRS:
        environ[BY_NAME[PAIRS[row.name]].env] = "/srv/other"
    base = load_settings(paths, environ=environ | {row.env: ""}) if not environ else None
    if base is not None:
        assert base.origins[row.name] == "default"
        if row.name != "identity.name":  # the host's
            assert value_of(base, row) == row.default
    shown = literal(list(in_file) if isinstance(in_file, tuple) else in_file)
    paths.config.write_text(f"[{row.section}]\n{row.key} = {shown}\n")
    from_file = load_settings(paths, environ=environ)
    assert value_of(from_file, row) == in_file
    assert from_file.origins[row.name] == f"file {paths.config}"
    if not said(in_environ):
        return
    environ[row.env] = said(in_environ)
    from_environ = load_settings(paths, environ=environ)
    assert value_of(from_environ, row) == in_environ
    assert from_environ.origins[row.name] == f"environment {row.env}"
    if not row.about.flag or not said(in_flag):
        return
    from_flag = load_settings(paths, environ=environ, flags={row.name: said(in_flag)})
    assert value_of(from_flag, row) == in_flag
    assert from_flag.origins[row.name] == f"flag {row.about.flag}"


def test_flags_are_tried_where_there_are_some() -> None:
    assert sum(bool(row.about.flag) and bool(said(three(row)[2])) for row in TABLE) > 15


@pytest.mark.parametrize("section", [*SECTIONS, "hooks.one"])
def test_a_secret_is_refused_in_every_section_and_not_repeated(paths: Paths, section: str) -> None:
    for name in SECRETS:
        paths.config.write_text(f'\n[{section}]\n{name} = "hunter2"\n')
        with pytest.raises(ConfigError) as caught:
            load_settings(paths, environ={})
        assert "line 3" in str(caught.value)
        assert f"{name} looks like a secret" in str(caught.value)
        assert "_file" in caught.value.fix
        assert "hunter2" not in str(caught.value)
