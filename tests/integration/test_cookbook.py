"""The cookbook is run as it stands: what it makes is secured, and nothing is left behind."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from node.lock import find_holder
from tests.architecture.docs_blocks import ROOT
from tests.architecture.docs_shell import Stage

SCRIPT: Final = ROOT / "docs" / "cookbook" / "01-secure-bootstrap.sh"
NODES: Final = ("node-1", "node-2", "node-3")
# Some sixty commands, each a process of its own, on a machine that may be busy.
_SECONDS: Final = 240.0

pytestmark = [pytest.mark.integration]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as made:
        yield made


def run(stage: Stage, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The script in the folder of the stage; whatever it ends with."""
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}:{stage.tools}"
    return subprocess.run(
        ["/bin/sh", SCRIPT, *map(str, arguments)],
        cwd=stage.folder,
        env={"PATH": path, "HOME": str(stage.folder), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def running(folder: Path) -> list[str]:
    """Nodes below a folder whose process lives."""
    return [node for node in NODES if find_holder(folder / node / "lock") is not None]


@pytest.mark.slow
def test_a_mesh_is_secured_from_nothing_and_the_doctor_is_silent(stage: Stage) -> None:
    made = run(stage, "--base-port", stage.base)
    folder = stage.folder / "secure-mesh"
    assert made.returncode == 0, made.stdout + made.stderr
    for node in NODES:
        assert f"{node}: the doctor is silent" in made.stdout
    for said in ("elsewhere: 403", "dashboard writes: 403", "without a key, reads memories: 401"):
        assert said in made.stdout
    assert running(folder) == list(NODES)
    names = {path.name for path in (folder / "backups").rglob("*")}
    assert "manifest.json" in names
    assert not names & {"node.key", "tls.key", "api_key", "api_keys.json"}
    # Nobody else on the machine reads a thing of it, keys above all.
    assert [path for path in folder.rglob("*.key") if path.stat().st_mode & 0o077] == []
    assert folder.stat().st_mode & 0o077 == 0

    again = run(stage, "--base-port", stage.base)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert running(folder) == list(NODES), "a second run must not stop the first one's mesh"

    cleaned = run(stage, "--clean")
    assert cleaned.returncode == 0, cleaned.stderr
    assert not folder.exists()


@pytest.mark.slow
def test_what_was_started_is_stopped_when_a_step_fails(stage: Stage) -> None:
    # The second node's port is somebody else's: the founder runs by then.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", stage.base + 2))
        taken.listen()
        made = run(stage, "--base-port", stage.base)
    assert made.returncode not in {0, 127}
    assert "stopping what was started" in made.stderr
    assert running(stage.folder / "secure-mesh") == []


def test_a_folder_that_it_did_not_make_is_not_removed(stage: Stage) -> None:
    (stage.folder / "precious").mkdir()
    cleaned = run(stage, "--clean", "--dir", "precious")
    assert cleaned.returncode == 1
    assert "was not made by this script" in cleaned.stderr
    assert (stage.folder / "precious").is_dir()
    assert run(stage, "--frobnicate").returncode == 2
