"""`mnemesh mcp`: what it prints for clients, and how it ends when it cannot work."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.standin import Mnemesh

ADA = '{"type":"entity","name":"Ada","entityType":"person","observations":["a","b"]}'
ENGINE = '{"type":"entity","name":"Engine","entityType":"machine","observations":[]}'
WORKS = '{"type":"relation","from":"Ada","to":"Engine","relationType":"works on"}'


def printed(mnemesh: Mnemesh, *args: object) -> Any:
    ran = mnemesh("mcp", "config", *args, "--json")
    assert ran.code == 0, ran.err
    return ran.json


def test_the_entry_names_absolute_places_and_no_secret(mnemesh: Mnemesh, tmp_path: Path) -> None:
    told = printed(mnemesh, "--client", "zed", "--data-dir", tmp_path, "--profile", "full")
    server = told["entry"]["context_servers"]["mnemesh"]
    assert Path(server["command"]).is_absolute()
    assert server["args"][-1] == "mcp"
    assert server["env"] == {
        "MNEMESH_DATA_DIR": str(tmp_path),
        "MNEMESH_KEY_DIR": str(tmp_path / "keys"),
        "MNEMESH_CONFIG": str(tmp_path / "config.toml"),
        "MNEMESH_AGENT_ID": "ai:zed",
        "MNEMESH_MCP_PROFILE": "full",
    }


def test_a_node_elsewhere_is_named_by_address_and_certificate(
    mnemesh: Mnemesh, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    far = ("--url", "https://node-a.example:9077", "--fingerprint", "ab" * 32)
    told = printed(
        mnemesh, "--client", "cursor", *far, "--api-key-file", key, "--agent-id", "ai:me"
    )
    env = told["entry"]["mcpServers"]["mnemesh"]["env"]
    assert env == {
        "MNEMESH_URL": "https://node-a.example:9077",
        "MNEMESH_FINGERPRINT": "ab" * 32,
        "MNEMESH_API_KEY_FILE": str(key),
        "MNEMESH_AGENT_ID": "ai:me",
        "MNEMESH_MCP_PROFILE": "core",
    }


def test_the_profile_of_the_settings_holds_where_nobody_names_one(
    mnemesh: Mnemesh, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text('schema_version = 1\n[mcp]\nprofile = "full"\n')
    told = printed(mnemesh, "--client", "other", "--data-dir", tmp_path)
    assert told["entry"]["mcpServers"]["mnemesh"]["env"]["MNEMESH_MCP_PROFILE"] == "full"


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("--client", "nobody"), "claude-code"),
        (("--client", "zed", "--profile", "most"), "knowledge-graph"),
        (("--client", "zed", "--agent-id", "no spaces"), "agent-id"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(
    mnemesh: Mnemesh, args: tuple[str, ...], named: str
) -> None:
    ran = mnemesh("mcp", "config", *args)
    assert ran.code == 2
    assert named in ran.err


def test_a_profile_that_does_not_exist_does_not_start_a_server(mnemesh: Mnemesh) -> None:
    ran = mnemesh("mcp", "--profile", "most")
    assert ran.code == 2
    assert ran.out == ""


def test_a_dry_run_counts_and_asks_nobody(mnemesh: Mnemesh, tmp_path: Path) -> None:
    file = tmp_path / "memory.jsonl"
    file.write_text(f"{ADA}\n{ENGINE}\n{WORKS}\nnonsense\n")
    ran = mnemesh("mcp", "import-graph", file, "--dry-run", "--data-dir", tmp_path, "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["entities"], ran.json["relations"]) == (2, 1)
    assert ran.json["skipped"][0]["line"] == 4


def test_an_import_without_a_node_ends_with_its_code(mnemesh: Mnemesh, tmp_path: Path) -> None:
    file = tmp_path / "memory.jsonl"
    file.write_text(ADA)
    ran = mnemesh("mcp", "import-graph", file, "--data-dir", tmp_path / "none", "--json")
    assert ran.code == 6
    assert ran.json["error"] == "import_stopped"
    assert mnemesh("mcp", "import-graph", tmp_path / "missing").code == 2
