"""The tables of hooks in the configuration file: read whole, or refused with a line."""

from pathlib import Path
from typing import Any

import pytest

from node.errors import ConfigError
from node.paths import resolve_paths
from node.settings import Settings, load_settings, reload_differences, reloaded
from node.settings.hook_tables import HOOKS_MAX
from node.settings.toml_file import read_config, write_config

HOOK = """schema_version = 1

[hooks.audit-log]
on = ["before_store", "after_delete"]
command = ["/bin/true", "--strict"]
timeout_ms = 500
on_failure = "open"
"""


def loaded(folder: Path, text: str) -> Settings:
    (folder / "config.toml").write_text(text)
    paths = resolve_paths({}, folder, data_dir=folder)
    return load_settings(paths, environ={})


def test_a_hook_is_read_with_its_events(tmp_path: Path) -> None:
    (hook,) = loaded(tmp_path, HOOK).hooks
    assert (hook.name, hook.asked, hook.told) == (
        "audit-log", frozenset({"before_store"}), frozenset({"memory_delete"}),
    )  # fmt: skip
    assert hook.table.command == ("/bin/true", "--strict")
    assert (hook.table.timeout_ms, hook.table.on_failure) == (500, "open")


def test_without_hooks_there_are_none(tmp_path: Path) -> None:
    assert loaded(tmp_path, "schema_version = 1\n").hooks == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("timeout_ms", "timeot_ms", 6, "Did you mean timeout_ms?"),
        ("before_store", "befor_store", 4, "Did you mean before_store?"),
        ("timeout_ms = 500", 'secret = "x"', 6, "looks like a secret"),
        ("timeout_ms = 500", "timeout_ms = 5", 6, "from 10 to 60000"),
        ("timeout_ms = 500", 'timeout_ms = "5"', 6, "from 10 to 60000"),
        ('"open"', '"ajar"', 7, "one of open, closed"),
        ('"/bin/true"', '"true"', 5, "no full path"),
        ('["/bin/true", "--strict"]', '"/bin/true"', 5, "a list of texts"),
        ("command = [", 'url = "https://example.org/"\ncommand = [', 6, "and not both"),
        ("command =", "environment =", 3, "needs one thing to run"),
        ("timeout_ms = 500", 'environment = ["A=b"]', 6, "without their values"),
        ("timeout_ms = 500", "secret_file = 's'", 6, "only webhooks are signed"),
        ('"before_store", ', "", None, ""),
        ('["before_store", "after_delete"]', "[]", 4, "Name at least one"),
        ("[hooks.audit-log]", '[hooks."Audit Log"]', 3, "cannot be called"),
        ("[hooks.audit-log]", "[hooks]", 4, "every hook has a table of its own"),
    ],
)
def test_what_cannot_be_a_hook_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, line: int | None, words: str
) -> None:
    text = HOOK.replace(old, new, 1)
    assert text != HOOK
    if line is None:
        assert loaded(tmp_path, text).hooks
        return
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert f"line {line}" in str(caught.value)
    assert words in str(caught.value)


def test_content_is_shown_only_where_something_can_be_refused(tmp_path: Path) -> None:
    text = HOOK.replace('"before_store", ', "") + "content = true\n"
    with pytest.raises(ConfigError, match=r"line 8.*content without a before_"):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("url", "further", "words"),
    [
        ("http://127.0.0.1:8080/", "", "set loopback = true"),
        ("http://127.0.0.1:8080/", "loopback = true", ""),
        ("https://user:pw@example.org/", "", "must not carry"),
        ("ftp://example.org/", "", "http or https"),
    ],
)
def test_a_webhook_is_judged_as_it_is_read(
    tmp_path: Path, url: str, further: str, words: str
) -> None:
    text = f'[hooks.a]\non = ["before_store"]\nurl = "{url}"\n{further}\n'
    if not words:
        assert loaded(tmp_path, text).hooks[0].table.url == url
        return
    with pytest.raises(ConfigError, match=words) as caught:
        loaded(tmp_path, text)
    assert "line 3" in str(caught.value)
    assert "pw" not in str(caught.value) or "user" not in str(caught.value)


def test_there_is_a_bound(tmp_path: Path) -> None:
    one = '[hooks.h{}]\non = ["before_store"]\ncommand = ["/bin/true"]\n'
    text = "".join(one.format(number) for number in range(HOOKS_MAX + 1))
    with pytest.raises(ConfigError, match=f"At most {HOOKS_MAX}"):
        loaded(tmp_path, text)


def test_a_file_with_hooks_is_written_again_as_it_was(tmp_path: Path) -> None:
    before: Any = loaded(tmp_path, HOOK).hooks
    values = read_config(tmp_path / "config.toml")
    write_config(tmp_path / "config.toml", values)
    again = (tmp_path / "config.toml").read_text()
    assert loaded(tmp_path, again).hooks == before


def test_a_reload_takes_hooks(tmp_path: Path) -> None:
    old = loaded(tmp_path, HOOK)
    new = loaded(tmp_path, HOOK.replace("500", "700"))
    assert reload_differences(old, new) == (("hooks",), ())
    assert reloaded(old, new).hooks == new.hooks
