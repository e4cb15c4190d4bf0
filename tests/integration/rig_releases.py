"""Programs of earlier releases, taken from the history of this repository, as nodes.

Law: a release is a commit (`tests/releases.toml`), for a clone may lack its tags. Where the
commit is not there, as in a source archive or a shallow clone, the test is skipped and says so.
"""

import io
import shutil
import subprocess
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.rig import RealNode
from tests.integration.rig_mesh import founded

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT / "tests" / "releases.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A program that there was; see the table."""

    name: str
    version: str
    commit: str
    about: str
    protocol: int
    store_schema: int
    config_schema: int


RELEASES = [Release(**row) for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["release"]]
LATEST = RELEASES[-1]


def program_of(release: Release, folder: Path) -> Path:
    """The source of a release, in a folder; made once."""
    target = folder / release.name
    if target.exists():
        return target
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip(f"the program of {release.name} is in the history, which is not here")
    done = subprocess.run(
        [git, "archive", release.commit, "node", "crdt", "transport"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"commit {release.commit[:12]} ({release.name}) is not in this clone")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(target, filter="data")
    return target


def founded_of(release: Release, program: Path, folder: Path, count: int = 3) -> list[RealNode]:
    """A mesh of nodes that run the program of a release; none is started."""
    nodes = founded(folder, count)
    for node in nodes:
        config = node.data_dir / "config.toml"
        config.write_text(
            f'schema_version = {release.config_schema}\n[logging]\nfile = "every.log"\n',
            encoding="utf-8",
        )
        run_release(node, program)
    return nodes


def run_release(node: RealNode, program: Path | None) -> None:
    """Let a node run another program from its next start on; today's without one."""
    node.environment = {"PYTHONPATH": str(program)} if program else {}


def version_of(node: RealNode) -> str:
    """What the program that runs says it is."""
    return str(node.events("node_started")[-1]["version"])
