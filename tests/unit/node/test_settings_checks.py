"""Settings that contradict each other, and what a node may listen on."""

# ruff: noqa: S104 -- addresses are judged here, never bound

import os
from pathlib import Path

import pytest

from node.errors import ConfigError, ImpossibleQuorum, LooseModes
from node.paths import Paths, resolve_paths
from node.settings import (
    Settings,
    check_quorum_possible,
    find_material,
    is_loopback,
    is_wildcard,
    load_settings,
    plan_listeners,
    read_api_key,
)
from node.settings.checks import reach_of


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return resolve_paths({}, tmp_path, data_dir=tmp_path / "d")


def load(paths: Paths, **flags: str) -> Settings:
    dotted = {name.replace("__", "."): text for name, text in flags.items()}
    return load_settings(paths, environ={}, flags=dotted)


def plan(settings: Settings, environ: dict[str, str] | None = None) -> object:
    return plan_listeners(settings, find_material(settings, environ or {}))


def give(path: Path, mode: int = 0o600, text: str = "secret\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def give_identity(paths: Paths) -> None:
    for path in (paths.tls_cert, paths.tls_key, paths.api_key):
        give(path)


def test_peer_addresses_have_one_spelling(paths: Paths) -> None:
    settings = load(paths, quorum__peers="https://Node-A:9077/ , https://[::1]:1")
    assert settings.quorum.peers == ("https://node-a:9077", "https://[::1]:1")


@pytest.mark.parametrize(
    "url",
    ["http://a:1", "a:1", "https://", "https://a:99999", "https://a:1/x", "https://a:1?k=v", "//a"],
)
def test_what_is_no_peer_address_is_refused(paths: Paths, url: str) -> None:
    with pytest.raises(ConfigError, match="expected https://host:port"):
        load(paths, quorum__peers=url)


def test_a_peer_named_twice_is_refused_in_any_spelling(paths: Paths) -> None:
    with pytest.raises(ConfigError, match="twice"):
        load(paths, quorum__peers="https://a:1,https://A:1/")


def test_another_way_to_a_member_is_a_pair_of_addresses(paths: Paths) -> None:
    settings = load(paths, quorum__reach="https://Node-B:9077/=https://127.0.0.1:19077")
    assert reach_of(settings) == {"https://node-b:9077": "https://127.0.0.1:19077"}
    for wrong in ("https://a:1", "https://a:1=", "=https://a:1", "https://a:1=http://b:2"):
        with pytest.raises(ConfigError, match="--reach"):
            load(paths, quorum__reach=wrong)


def test_the_own_address_among_the_peers_is_refused(paths: Paths) -> None:
    with pytest.raises(ConfigError, match="this node itself"):
        load(paths, listen__host="127.0.0.2", listen__port="5", quorum__peers="https://127.0.0.2:5")
    with pytest.raises(ConfigError, match="this node itself"):
        load(paths, listen__advertise="https://a:1", quorum__peers="https://A:1")


def test_half_a_pair_of_certificate_and_key_is_refused(paths: Paths) -> None:
    with pytest.raises(ConfigError, match="--tls-cert and --tls-key"):
        load(paths, listen__tls_cert="x")
    with pytest.raises(ConfigError, match="--quorum-client-cert"):
        load(paths, quorum__client_key="x")


@pytest.mark.parametrize("address", ["0.0.0.0:1", "192.0.2.1:1", "127.0.0.1", "127.0.0.1:x"])
def test_the_agent_listener_is_loopback_with_a_port(paths: Paths, address: str) -> None:
    with pytest.raises(ConfigError, match="--agent-listen"):
        load(paths, listen__agent_listen=address)


def test_both_listeners_may_share_a_port_on_different_addresses_only(paths: Paths) -> None:
    load(paths, listen__host="192.0.2.1", listen__agent_listen="127.0.0.1:9077")
    for host in ("127.0.0.1", "0.0.0.0"):
        with pytest.raises(ConfigError, match="too"):
            load(paths, listen__host=host, listen__agent_listen="127.0.0.1:9077")


def test_limits_must_fit_into_each_other(paths: Paths) -> None:
    paths.config.parent.mkdir(parents=True)
    paths.config.write_text("[limits]\nframe_bytes_max = 65536\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="message_bytes_max is larger than frame_bytes_max"):
        load(paths)


def test_a_quorum_larger_than_the_mesh_is_refused() -> None:
    for writes, members in ((None, 1), (0, 1), (1, 1), (3, 3), (1, 0)):
        check_quorum_possible(writes, members)
    with pytest.raises(ImpossibleQuorum) as caught:
        check_quorum_possible(4, 3)
    assert caught.value.exit_code == 4


def test_loopback_and_wildcard_are_told_apart() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org")))
    assert all(map(is_wildcard, ("0.0.0.0", "::", "[::]")))


def test_without_tls_only_loopback_is_served(paths: Paths) -> None:
    plan(load(paths))
    with pytest.raises(ConfigError, match="without TLS"):
        plan(load(paths, listen__host="0.0.0.0"))
    with pytest.raises(ConfigError, match="without TLS"):
        plan(load(paths, listen__host="127.0.0.1,192.0.2.1"))


def test_beyond_loopback_a_key_or_an_allowlist_is_needed(paths: Paths) -> None:
    give(paths.tls_cert)
    give(paths.tls_key)
    with pytest.raises(ConfigError, match="without an API key or an allowlist"):
        plan(load(paths, listen__host="0.0.0.0"))
    give(paths.api_key)
    plan(load(paths, listen__host="0.0.0.0"))
    paths.api_key.unlink()
    give(paths.allowlist)
    plan(load(paths, listen__host="0.0.0.0"))


def test_peers_need_a_certificate(paths: Paths) -> None:
    with pytest.raises(ConfigError, match="needs a certificate"):
        plan(load(paths, quorum__peers="https://a:1"))


def test_a_demanded_key_is_demanded_on_loopback_too(paths: Paths) -> None:
    settings = load_settings(paths, environ={"MNEMESH_REQUIRE_API_KEY": "1"})
    with pytest.raises(ConfigError, match="an API key is demanded"):
        plan(settings)
    give(paths.api_key)
    plan(settings)


def test_brought_certificates_win_and_bring_no_key_along(paths: Paths, tmp_path: Path) -> None:
    give_identity(paths)
    cert, key = give(tmp_path / "c"), give(tmp_path / "k")
    material = find_material(load(paths, listen__tls_cert=str(cert), listen__tls_key=str(key)), {})
    assert (material.tls_cert, material.client_key, material.has_api_key) == (cert, key, False)
    assert material.founded_by_flags


def test_a_named_file_that_is_absent_is_refused(paths: Paths, tmp_path: Path) -> None:
    settings = load(paths, listen__mtls_allowlist=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="there is no file"):
        find_material(settings, {})


def test_loose_modes_of_a_secret_are_refused_with_the_command_that_mends_them(
    paths: Paths,
) -> None:
    give_identity(paths)
    paths.tls_key.chmod(0o640)
    with pytest.raises(LooseModes, match="chmod 600") as caught:
        find_material(load(paths), {})
    assert caught.value.exit_code == 4


def test_the_key_comes_from_a_variable_when_one_is_named(paths: Paths) -> None:
    paths.config.parent.mkdir(parents=True)
    paths.config.write_text('[admin]\napi_key_env = "MY_KEY"\n', encoding="utf-8")
    settings = load(paths)
    with pytest.raises(ConfigError, match="MY_KEY"):
        find_material(settings, {})
    material = find_material(settings, {"MY_KEY": " k "})
    assert read_api_key(settings, material, {"MY_KEY": " k "}) == "k"


def test_an_empty_key_file_is_refused(paths: Paths) -> None:
    give(paths.api_key, text="\n")
    settings = load(paths)
    with pytest.raises(ConfigError, match="is empty"):
        read_api_key(settings, find_material(settings, {}), os.environ)
