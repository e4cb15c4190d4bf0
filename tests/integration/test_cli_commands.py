"""Every command once, against a real mesh made by `mesh up`; with `--json` stdout is JSON alone."""

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node import __version__
from node.cli import run
from node.cli.client import running_facts
from node.facts import LastExit
from node.paths import resolve_paths
from tests.integration.rig import clean_environment, free_ports, until

pytestmark = [pytest.mark.integration, pytest.mark.thorough]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def mnemesh(*args: object, code: int = 0) -> Ran:
    """Run a command and expect its exit code; what it says goes nowhere else."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        ended = run([str(arg) for arg in args])
    return checked(args, Ran(code=ended, out=out.getvalue(), err=err.getvalue()), code)


def process(*args: object, stdin: str = "", code: int = 0) -> Ran:
    """The same as a process of its own, for what starts others or reads its stdin."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "node", *map(str, args)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=clean_environment() | {"NO_COLOR": "1"},
    )
    assert "Traceback" not in ran.stderr
    return checked(args, Ran(code=ran.returncode, out=ran.stdout, err=ran.stderr), code)


def checked(args: tuple[object, ...], ran: Ran, code: int) -> Ran:
    assert ran.code == code, f"{args}: {ran.code}\n{ran.out}\n{ran.err}"
    assert "\x1b[" not in ran.out + ran.err
    return ran


@pytest.fixture(autouse=True)
def _no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ.keys() - clean_environment().keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")


def base_port(count: int) -> int:
    """The first of so many free ports in a row."""
    for _ in range(200):
        (port,) = free_ports(1)
        try:
            found = [free_ports_at(port + offset) for offset in range(count)]
        except OSError:
            continue
        return found[0]
    pytest.fail("no free ports in a row")


def free_ports_at(port: int) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
    return port


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """What `mesh up` answered."""

    folder: Path
    base: int
    nodes: list[dict[str, Any]]

    def dir(self, number: int) -> tuple[str, str]:
        return ("--data-dir", self.nodes[number - 1]["data_dir"])


def end(pid: int) -> None:
    """A process that a command left running, for a test that failed half way."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("cli") / "mesh"
    base = base_port(9)
    up = ("mesh", "up", "--nodes", 3, "--dir", folder, "--base-port", base, "--json")
    nodes = process(*up).json["nodes"]
    try:
        yield Mesh(folder=folder, base=base, nodes=nodes)
    finally:
        stopped = mnemesh("mesh", "down", "--dir", folder, "--force", "--json").json
        for node in stopped["nodes"]:
            if node["pid"]:
                end(node["pid"])
        notes = [LastExit.read(Path(node["data_dir"]) / "last_exit.json") for node in nodes]
        assert all(note and note.code == 0 for note in notes), "cut short, not drained"


# --- the local mesh ---------------------------------------------------------------------


def test_mesh_up_prints_one_object_that_leads_to_every_node(mesh: Mesh) -> None:
    keys = {
        "name", "node_id", "fingerprint", "url", "peer_url", "api_key_file", "data_dir", "pid",
    }  # fmt: skip
    assert [node["name"] for node in mesh.nodes] == ["node-1", "node-2", "node-3"]
    for node in mesh.nodes:
        assert set(node) == keys
        for url in (node["url"], node["peer_url"]):
            assert mesh.base <= int(url.rpartition(":")[2]) < mesh.base + 9
        assert Path(node["api_key_file"]).stat().st_mode & 0o077 == 0
        lock = json.loads((Path(node["data_dir"]) / "lock").read_text())
        assert lock["pid"] == node["pid"]
    told = mnemesh("mesh", "status", "--dir", mesh.folder, "--json").json["nodes"]
    assert [(n["name"], n["running"], n["ready"]) for n in told] == [
        (f"node-{number}", True, True) for number in (1, 2, 3)
    ]
    assert "node-2" in mnemesh("mesh", "status", "--dir", mesh.folder).out


def test_a_killed_node_is_started_again_by_mesh_up_or_by_its_own_command_line(
    mesh: Mesh,
) -> None:
    pid = mesh.nodes[2]["pid"]
    argv = Path(f"/proc/{pid}/cmdline")
    line = argv.read_bytes().split(b"\0")[:-1] if argv.exists() else None
    os.kill(pid, signal.SIGKILL)
    until(lambda: mnemesh_status(mesh) == [True, True, False], "it is seen to be gone")
    again = process("mesh", "up", "--dir", mesh.folder, "--json").json["nodes"]
    assert [n["pid"] == m["pid"] for n, m in zip(again, mesh.nodes, strict=True)] == [
        True, True, False,
    ]  # fmt: skip
    mesh.nodes[2]["pid"] = again[2]["pid"]
    if line is None:
        return
    os.kill(again[2]["pid"], signal.SIGKILL)
    until(lambda: mnemesh_status(mesh) == [True, True, False], "it is gone again")
    with subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment()
    ) as running:
        until(lambda: mnemesh_status(mesh) == [True, True, True], "its command line starts it")
        running.kill()
    mesh.nodes[2]["pid"] = process("mesh", "up", "--dir", mesh.folder, "--json").json["nodes"][2][
        "pid"
    ]


def mnemesh_status(mesh: Mesh) -> list[bool]:
    home = Path("/nonexistent")
    dirs = [Path(node["data_dir"]) for node in mesh.nodes]
    return [running_facts(resolve_paths({}, home, data_dir=one)) is not None for one in dirs]


# --- memories ---------------------------------------------------------------------------


def test_store_get_list_update_delete(mesh: Mesh) -> None:
    stored = mnemesh(
        "store", "A title", "Some content", "-n", "cli", "--tags", "a,b", "--metadata",
        '{"k": [1]}', "--agent-id", "ai:cli", "--idempotency-key", "once", "--json", *mesh.dir(1),
    )  # fmt: skip
    ident = stored.json["id"]
    assert stored.json["durability"]["acks"] >= 2
    # Found on another node, by the beginning of its id too.
    got = until(lambda: try_get(mesh.dir(2), ident), "it reaches node-2")
    assert got["memory"]["content"] == "Some content"
    assert mnemesh("get", ident[:8], "--json", *mesh.dir(2)).json["memory"]["id"] == ident
    assert "Some content" in mnemesh("get", ident, *mesh.dir(1)).out
    listed = mnemesh("list", "-n", "cli", "--tags", "a", "--json", *mesh.dir(1)).json
    assert [memory["id"] for memory in listed["memories"]] == [ident]
    assert ident in mnemesh("list", "-n", "cli", *mesh.dir(1)).out
    changed = mnemesh("update", ident, "--title", "Another", "--json", *mesh.dir(3)).json
    assert changed["memory"]["title"] == "Another"
    again = mnemesh("delete", ident, "--yes", "--json", *mesh.dir(3)).json
    assert again["deleted"] is True
    gone = mnemesh("get", ident, "--json", *mesh.dir(3), code=1)
    assert gone.json["error"] == "not_found"
    assert gone.json["status"] == 404
    assert "not_found" in gone.err


def try_get(where: tuple[object, object], ident: str) -> Any:
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()),
    ):
        code = run(["get", ident, "--json", *map(str, where)])
    return json.loads(out.getvalue()) if code == 0 else None


def test_content_comes_from_stdin_and_files(mesh: Mesh, tmp_path: Path) -> None:
    piped = process("store", "Piped", "-", "--json", *mesh.dir(1), stdin="from a pipe\n").json
    assert mnemesh("get", piped["id"], "--json", *mesh.dir(1)).json["content"].startswith("from a")
    (tmp_path / "note.txt").write_text("from a file")
    filed = mnemesh("store", "Filed", "--file", tmp_path / "note.txt", "--json", *mesh.dir(1)).json
    assert mnemesh("get", filed["id"], "--json", *mesh.dir(1)).json["content"] == "from a file"


def test_what_cannot_be_meant_is_exit_2_and_changes_nothing(mesh: Mesh) -> None:
    missing = mnemesh("store", "--json", *mesh.dir(1), code=2)
    assert missing.json["exit_code"] == 2
    bad = mnemesh("store", "t", "c", "--tier", "eternal", "--json", *mesh.dir(1), code=2)
    assert "tier" in json.dumps(bad.json)
    dry = mnemesh("store", "t", "c", "-n", "dry", "--dry-run", "--json", *mesh.dir(1)).json
    assert dry["dry_run"] is True
    assert mnemesh("list", "-n", "dry", "--json", *mesh.dir(1)).json["count"] == 0
    unconfirmed = mnemesh("delete", "whatever", "--json", *mesh.dir(1), code=2)
    assert "--yes" in json.dumps(unconfirmed.json)


def test_export_and_import(mesh: Mesh, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("# One\n\nfirst\n\n## Two\n\nsecond\n")
    (notes / "b.txt").write_text("third")
    taken = mnemesh("import", notes, "-n", "imported", "--json", *mesh.dir(2)).json
    assert taken["imported"] == 3
    # Once more stores nothing twice.
    mnemesh("import", notes, "-n", "imported", "--json", *mesh.dir(2))
    assert mnemesh("list", "-n", "imported", "--json", *mesh.dir(2)).json["count"] == 3
    for name in ("all.json", "all.jsonl"):
        file = tmp_path / name
        mnemesh("export", file, "--json", *mesh.dir(2))
        assert file.stat().st_mode & 0o077 == 0
        back = mnemesh("import", file, "--json", *mesh.dir(3)).json
        assert back["errors"] == []
        assert back["skipped"] >= 3
    lines = tmp_path / "some.jsonl"
    lines.write_text('{"title": "l1", "content": "x"}\n{"title": "l2", "content": "y"}\n')
    assert mnemesh("import", lines, "--json", *mesh.dir(1)).json["imported"] == 2
    (tmp_path / "broken.jsonl").write_text('{"title": "l1", "content": "x"}\n{"title\n')
    broken = mnemesh("import", tmp_path / "broken.jsonl", "--json", *mesh.dir(1), code=2)
    assert "line 2" in json.dumps(broken.json)


# --- the node -----------------------------------------------------------------------------


def test_version_and_status(mesh: Mesh, tmp_path: Path) -> None:
    assert mnemesh("version", "--json").json["version"] == __version__
    assert __version__ in mnemesh("version").out
    told = mnemesh("status", "--json", *mesh.dir(1)).json
    assert told["pid"] == mesh.nodes[0]["pid"]
    assert mesh.nodes[0]["url"] in mnemesh("status", *mesh.dir(1)).out
    mnemesh("status", "--live", "--json", *mesh.dir(1))
    mnemesh("status", "--ready", "--json", *mesh.dir(1))
    never = mnemesh("status", "--json", "--data-dir", tmp_path / "none", code=6)
    assert "why" in json.dumps(never.json)
    unreached = mnemesh("list", "--json", "--data-dir", tmp_path / "none", code=6)
    assert unreached.json["error"] == "unreachable"


def test_fingerprints_and_members(mesh: Mesh) -> None:
    for number, node in enumerate(mesh.nodes, start=1):
        told = mnemesh("node", "fingerprint", "--json", *mesh.dir(number)).json
        assert (told["fingerprint"], told["node_id"]) == (node["fingerprint"], node["node_id"])
    assert mnemesh("node", "fingerprint", *mesh.dir(1)).out.strip() == mesh.nodes[0]["fingerprint"]
    listed = mnemesh("node", "list", "--json", *mesh.dir(1)).json
    assert listed["quorum"] == {"n": 3, "w": 2}
    assert {m["name"] for m in listed["members"]} == {"node-1", "node-2", "node-3"}
    assert "node-3" in mnemesh("node", "list", *mesh.dir(1)).out


def test_allow_and_deny_a_stranger(mesh: Mesh) -> None:
    spelled = ":".join(["ab"] * 32)
    allowed = mnemesh("node", "allow", f"sha256:{spelled}", "--name", "friend", "--json",
                      *mesh.dir(1)).json  # fmt: skip
    assert (allowed["fingerprint"], allowed["changed"], allowed["node_told"]) == (
        "ab" * 32, True, True,
    )  # fmt: skip
    twice = mnemesh("node", "allow", "ab" * 32, "--json", *mesh.dir(1)).json
    assert twice["changed"] is False
    denied = mnemesh("node", "deny", "friend", "--json", *mesh.dir(1)).json
    assert (denied["fingerprint"], denied["changed"]) == ("ab" * 32, True)
    nonsense = mnemesh("node", "allow", "nonsense", "--json", *mesh.dir(1), code=2)
    assert "64" in json.dumps(nonsense.json)


def test_a_member_is_removed_and_joins_again_with_an_empty_store(mesh: Mesh) -> None:
    kept = mnemesh("store", "Kept", "through it all", "--json", *mesh.dir(1)).json["id"]
    removed = mnemesh("node", "remove", "node-3", "--yes", "--json", *mesh.dir(1)).json
    assert removed["removed"] is True
    quorum = mnemesh("node", "list", "--json", *mesh.dir(2)).json["quorum"]
    assert quorum == {"n": 2, "w": 2}
    third = Path(mesh.nodes[2]["data_dir"])
    first = mesh.nodes[0]
    target = (first["peer_url"], "--fingerprint", first["fingerprint"])
    full = mnemesh("node", "join", *target, "--json", *mesh.dir(3), code=4)
    assert "already holds a store" in full.json["what"]
    mnemesh("stop", "--json", *mesh.dir(3))
    for path in third.iterdir():
        if path.name not in {"keys", "config.toml"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    joined = mnemesh("node", "join", *target, "--json", *mesh.dir(3)).json
    assert joined["sponsor"]["fingerprint"] == first["fingerprint"]
    started = process("serve", "--detach", "--json", *mesh.dir(3)).json
    mesh.nodes[2]["pid"] = started["pid"]
    back = until(lambda: try_get(mesh.dir(3), kept), "it has everything again")
    assert back["memory"]["content"] == "through it all"

    def whole() -> bool:
        told = mnemesh("node", "list", "--json", *mesh.dir(1)).json
        return bool(told["quorum"] == {"n": 3, "w": 2})

    until(whole, "the mesh counts three again")


def test_a_machine_joins_another_step_by_step(tmp_path: Path) -> None:
    """The steps of the README: init, serve, allow, join, serve; no mesh.json involved."""
    ports = free_ports(2)
    dirs = [("--data-dir", tmp_path / name) for name in ("a", "b")]
    pids = []
    try:
        prints = []
        for name, port, where in zip("ab", ports, dirs, strict=True):
            url = f"https://127.0.0.1:{port}"
            made = mnemesh("init", "--name", name, "--advertise", url, "--json", *where).json
            prints.append(made["fingerprint"])
        serve = ("serve", "--detach", "--json")
        started = process(*serve, "--port", ports[0], *dirs[0]).json
        pids.append(started["pid"])
        mnemesh("store", "Before", "anybody joined", "--id", "before", "--json", *dirs[0])
        target = (f"https://127.0.0.1:{ports[0]}", "--fingerprint", prints[0])
        # Not before it is allowed; the words say what to type there.
        early = mnemesh("node", "join", *target, "--json", *dirs[1], code=4)
        assert f"mnemesh node allow {prints[1]}" in early.json["fix"]
        mnemesh("node", "allow", prints[1], "--name", "b", "--json", *dirs[0])
        wrong = ("node", "join", target[0], "--fingerprint", "0" * 64, "--json")
        mnemesh(*wrong, *dirs[1], code=6)
        mnemesh("node", "join", *target, "--json", *dirs[1])
        pids.append(process(*serve, "--port", ports[1], *dirs[1]).json["pid"])

        until(lambda: try_get(dirs[1], "before"), "the newcomer has what was there before")
        both = mnemesh("store", "Both", "hold this", "--json", *dirs[1]).json
        assert both["durability"]["acks"] == 2
        exists = mnemesh("init", "--name", "b", "--json", *dirs[1], code=4)
        assert exists.json["exit_code"] == 4
        for where in dirs:
            assert mnemesh("stop", "--json", *where).json["stopped"] is True
            assert mnemesh("status", "--json", *where, code=6).json
    finally:
        for pid in pids:
            end(pid)


def test_the_console_script_and_the_module_are_one_command() -> None:
    script = Path(sys.executable).with_name("mnemesh")
    if not script.exists():
        pytest.skip("the package is not installed")
    said = subprocess.run([script, "version", "--json"], capture_output=True, check=True)
    assert json.loads(said.stdout) == mnemesh("version", "--json").json
