"""A home of its own for every test, and a stand-in node where one is asked for."""

import os
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from node.cli import run
from node.lock import DirectoryLock
from node.paths import resolve_paths
from tests.unit.cli.standin import Mnemesh, Ran, StandIn, facts_of, handler_of


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("MNEMESH_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def mnemesh(capsys: pytest.CaptureFixture[str]) -> Mnemesh:
    def call(*args: object) -> Ran:
        capsys.readouterr()
        code = run([str(arg) for arg in args])
        said = capsys.readouterr()
        return Ran(code=code, out=said.out, err=said.err)

    return call


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[StandIn]:
    paths = resolve_paths({}, tmp_path, data_dir=tmp_path / "running")
    node = StandIn(paths=paths)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(node))
    node.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with DirectoryLock(paths.lock):
        paths.key_dir.mkdir()
        paths.api_key.write_text("the-key\n", encoding="utf-8")
        paths.api_key.chmod(0o600)
        facts_of(node).write(paths.facts)
        yield node
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)
