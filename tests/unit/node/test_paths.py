"""Where a node keeps its things."""

from pathlib import Path

from node.paths import resolve_paths

HOME = Path("/home/u")


def test_a_data_dir_alone_names_the_whole_node() -> None:
    paths = resolve_paths({}, HOME, data_dir=Path("/d"))
    assert (paths.data_dir, paths.key_dir, paths.config) == (
        Path("/d"),
        Path("/d/keys"),
        Path("/d/config.toml"),
    )
    assert resolve_paths({"MNEMESH_DATA_DIR": "/d"}, HOME) == paths


def test_without_one_the_platform_folders_are_used() -> None:
    paths = resolve_paths({}, HOME)
    assert paths.data_dir == Path("/home/u/.local/share/mnemesh")
    assert paths.config == Path("/home/u/.config/mnemesh/config.toml")
    assert paths.key_dir == Path("/home/u/.config/mnemesh/keys")
    xdg = resolve_paths({"XDG_DATA_HOME": "/x", "XDG_CONFIG_HOME": "/y"}, HOME)
    assert (xdg.data_dir, xdg.config) == (Path("/x/mnemesh"), Path("/y/mnemesh/config.toml"))


def test_options_win_over_the_environment() -> None:
    environ = {"MNEMESH_KEY_DIR": "/ek", "MNEMESH_CONFIG": "/ec", "MNEMESH_DATA_DIR": "/ed"}
    from_environ = resolve_paths(environ, HOME)
    assert (from_environ.data_dir, from_environ.key_dir, from_environ.config) == (
        Path("/ed"),
        Path("/ek"),
        Path("/ec"),
    )
    named = resolve_paths(environ, HOME, data_dir=Path("/d"), key_dir=Path("/k"), config=Path("/c"))
    assert (named.data_dir, named.key_dir, named.config) == (Path("/d"), Path("/k"), Path("/c"))


def test_paths_are_absolute() -> None:
    assert resolve_paths({}, HOME, data_dir=Path("here")).lock == Path.cwd() / "here" / "lock"
