"""A configuration of an older version: read as it was meant, written anew, never guessed at."""

import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import ConfigError, DowngradeRefused
from node.paths import resolve_paths
from node.settings import SCHEMA_VERSION, TABLE, Settings, load_settings
from node.settings.config_steps import STEPS, brought, old_names, version_of
from node.settings.migrating import migrate_file, notice_of, plan_migration

OLD = """\
# Configuration of this mnemesh node.
schema_version = 1

[listen]
port = 9100        # the usual one

[logging]
# where the lines go
file = "node.log"   # beside the store
level = "debug"
file_bytes_max = 65536
files_kept_max = 3
"""
NEW = """\
# Configuration of this mnemesh node.
schema_version = 2

[listen]
port = 9100        # the usual one

[logging]
# where the lines go
path = "node.log"   # beside the store
level = "debug"
rotate_bytes = 65536
files_kept_max = 3
"""


def at() -> datetime:
    return datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o640)
    return path


def load(path: Path, **environ: str) -> Settings:
    paths = resolve_paths({}, path.parent, data_dir=path.parent, config=path)
    return load_settings(paths, environ=environ)


def test_every_step_leads_to_names_that_there_are() -> None:
    assert list(STEPS) == list(range(1, SCHEMA_VERSION))
    known = {(row.section, row.key) for row in TABLE}
    for renames in STEPS.values():
        for rename in renames:
            assert (rename.section, rename.new) in known
            assert (rename.section, rename.old) not in known
            assert old_names(rename.section, rename.new) == [rename.old]


def test_names_change_and_comments_order_and_values_stay(tmp_path: Path) -> None:
    path = written(tmp_path, OLD)
    plan = plan_migration(path)
    assert path.read_text() == OLD, "planning writes nothing"
    copy = migrate_file(plan, at)
    assert path.read_text() == NEW
    assert copy == tmp_path / "config.toml.20260504T030201Z.v1"
    assert copy.read_text() == OLD
    assert path.stat().st_mode & 0o777 == copy.stat().st_mode & 0o777 == 0o640


def test_doing_it_again_changes_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, OLD)
    migrate_file(plan_migration(path), at)
    assert plan_migration(path).changes == ()
    assert len(list(tmp_path.iterdir())) == 2


def test_an_old_file_is_read_as_it_was_meant_with_a_warning(tmp_path: Path) -> None:
    read = load(written(tmp_path, OLD))
    assert read.logging.path == tmp_path / "node.log"
    assert read.logging.rotate_bytes == 65536
    (warning,) = read.warnings
    assert "[logging] file is path now" in warning
    assert "mnemesh config migrate" in warning
    (tmp_path / "config.toml").write_text(NEW)
    after = load(tmp_path / "config.toml")
    assert after.logging == read.logging
    assert after.warnings == ()


@pytest.mark.parametrize("text", ["", "schema_version = 1\n[listen]\nport = 1\n", "[listen]\n"])
def test_a_file_without_old_names_says_nothing(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    assert notice_of(path) == ""
    assert load(path).warnings == ()


def test_a_file_without_a_version_is_known_by_its_names(tmp_path: Path) -> None:
    assert version_of(tomllib.loads('[logging]\nfile = "x"\n')) == 1
    assert version_of(tomllib.loads('[logging]\npath = "x"\n')) == SCHEMA_VERSION
    path = written(tmp_path, '# mine\n\n[logging]\nfile = "x"\n')
    migrate_file(plan_migration(path), at)
    assert path.read_text() == '# mine\n\nschema_version = 2\n[logging]\npath = "x"\n'


@pytest.mark.parametrize(
    "text",
    [
        'logging.file = "x"\n',
        '["logging"]\n"file" = "x"\n',
        "[logging]\nfile='x'",
        '[logging]\n  file  =  "file = 3"\n',
        '[identity]\nname = "file"\n[logging]\nfile = "x"\n[listen]\nport = 4\n',
    ],
)
def test_the_ways_to_write_a_name(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    data = tomllib.loads(text)
    migrate_file(plan_migration(path), at)
    after = tomllib.loads(path.read_text())
    assert after.pop("schema_version") == SCHEMA_VERSION
    assert after == brought(data, 1)


def test_what_is_too_clever_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    text = 'logging = { file = "x" }\n'
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=r"by hand: \[logging\] file is path now"):
        plan_migration(path)
    assert path.read_text() == text
    assert load(path).logging.path == tmp_path / "x", "and a start reads it all the same"


def test_both_names_at_once_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, 'schema_version = 1\n[logging]\nfile = "a"\npath = "b"\n')
    with pytest.raises(ConfigError, match="file and path"):
        load(path)
    with pytest.raises(ConfigError, match="file and path"):
        plan_migration(path)


def test_a_new_file_does_not_know_old_names(tmp_path: Path) -> None:
    path = written(tmp_path, 'schema_version = 2\n[logging]\nfile = "a"\n')
    with pytest.raises(ConfigError, match="line 3: there is no setting file"):
        load(path)


def test_a_newer_file_is_a_downgrade_and_stays(tmp_path: Path) -> None:
    text = f"schema_version = {SCHEMA_VERSION + 1}\n"
    path = written(tmp_path, text)
    with pytest.raises(DowngradeRefused):
        plan_migration(path)
    assert path.read_text() == text


def test_a_value_under_an_old_name_is_refused_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, 'schema_version = 1\n[logging]\nfile_bytes_max = "many"\n')
    with pytest.raises(ConfigError, match="line 3"):
        load(path)


def test_the_environment_may_use_old_names_too(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    read = load(path, MNEMESH_LOGGING_FILE_BYTES_MAX="8192")
    assert read.logging.rotate_bytes == 8192
    (warning,) = read.warnings
    assert "MNEMESH_LOGGING_FILE_BYTES_MAX is MNEMESH_LOGGING_ROTATE_BYTES now" in warning
    both = load(path, MNEMESH_LOGGING_FILE_BYTES_MAX="8192", MNEMESH_LOGGING_ROTATE_BYTES="9000")
    assert both.logging.rotate_bytes == 9000


LINES = st.lists(
    st.sampled_from(
        ["# a comment", "", 'name = "file"', "files_kept_max = 3", 'level = "info"', "  # file = 1"]
    ),
    max_size=4,
    unique=True,
)


@given(
    LINES,
    LINES,
    st.sampled_from(["", 'file = "x"']),
    st.sampled_from(["", "file_bytes_max = 8192  # big"]),
    st.sampled_from(["", "schema_version = 1\n"]),
)
@settings(max_examples=20, deadline=None)
def test_what_was_said_is_said_and_other_lines_stay(
    above: list[str], between: list[str], path_line: str, size_line: str, version: str
) -> None:
    names = [line for line in (*above, *between) if line.startswith("name")]
    above = [line for line in above if line not in names]
    between = [line for line in between if line not in names and line not in above]
    lines = ["[logging]", *above, path_line, *between, size_line]
    text = version + "\n".join(lines) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), text)
        plan = plan_migration(path)
        if plan.changes:
            migrate_file(plan, at)
        after = path.read_text()
        said = tomllib.loads(after)
        said.pop("schema_version", None)
        before = tomllib.loads(text)
        before.pop("schema_version", None)
        assert said == brought(before, 1)
        untouched = [line for line in lines if not line.startswith("file")]
        left = [line for line in after.splitlines() if line in untouched]
        assert left == untouched or sorted(left) == sorted(untouched)
        assert plan_migration(path).changes == ()
