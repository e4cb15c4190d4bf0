"""Copies of the tree in which something is broken.

Law: the tree itself is never changed. A copy holds one commit, or what stands on the disk and git
does not ignore; whatever runs in a copy, and every process it starts, imports the copy. A copy
with a patch is made from one that was compiled once, so that what is measured is the test.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from tests.architecture.tree import ROOT

PACKAGES: Final = ("crdt", "transport", "node")
_PLACES: Final = (
    "import crdt, node, transport as t; print(crdt.__file__, node.__file__, t.__file__)"
)
_SECONDS: Final = 300.0


class ScratchError(RuntimeError):
    """A copy cannot be made, or is not what its processes import."""


def apply(patch: Path, tree: Path, *, check: bool = False) -> str:
    """Apply a unified diff to a tree.

    Args:
        patch: the file.
        tree: paths in the diff are below it.
        check: only see whether it would apply.

    Returns:
        Why it does not apply; empty when it does.
    """
    command = ["git", "apply", *(["--check"] if check else []), str(patch)]
    # In a folder below a repository git would take the paths for the repository's.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    done = subprocess.run(
        command, cwd=tree, capture_output=True, text=True, check=False, env=environment
    )
    return "" if done.returncode == 0 else done.stderr.strip() or "git apply failed"


def environment_of(tree: Path) -> Mapping[str, str]:
    """Variables under which a command, and each node process it starts, imports a copy."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MNEMESH_", "PYTEST_"))}
    ours = {"PYTHONPATH": str(tree), "NO_COLOR": "1", "PYTHONHASHSEED": "0"}
    return {**kept, **ours, "HYPOTHESIS_PROFILE": "planted"}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)  # noqa: S607 - whichever git there is
    except OSError as error:
        raise ScratchError(f"git cannot be run: {error}") from error
    if done.returncode:
        raise ScratchError(f"git {' '.join(arguments)}: {done.stderr.decode().strip()}")
    return done.stdout.decode()


def described(commit: str) -> str:
    """What was measured: the short name of a commit, and whether the disk differs from it."""
    name = _git("rev-parse", "--short", commit or "HEAD").strip()
    return name if commit or not _git("status", "--porcelain", *PACKAGES).strip() else f"{name}+"


class Workshop:
    """Makes copies of the tree below one folder, and takes them away again."""

    def __init__(self, folder: Path, commit: str) -> None:
        self._folder = folder
        self._commit = commit
        self.clean = folder / "clean"

    def prepare(self) -> None:
        """Make the clean copy and compile it.

        Raises:
            ScratchError: its processes would import something else.
        """
        self.clean.mkdir(parents=True)
        if self._commit:
            packed = self._folder / "tree.tar"
            _git("archive", "--format=tar", f"--output={packed}", self._commit)
            shutil.unpack_archive(packed, self.clean, filter="data")
            packed.unlink()
        else:
            self._copy_files()
        self._run("-m", "compileall", "-q", *PACKAGES, "tests")
        # As a node is started: without the folder it stands in.
        places = self._run("-P", "-c", _PLACES).split()
        strange = [place for place in places if not place.startswith(f"{self.clean}{os.sep}")]
        if strange or len(places) != len(PACKAGES):
            raise ScratchError(f"a process in {self.clean} imports {strange or places}")

    def _copy_files(self) -> None:
        for name in _git("ls-files", "-z", "-co", "--exclude-standard").split("\0"):
            source, target = ROOT / name, self.clean / name
            if name and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.clean,
            env=dict(environment_of(self.clean)),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        if done.returncode:
            raise ScratchError(f"{' '.join(arguments)}: {done.stderr[-500:]}")
        return done.stdout

    @contextmanager
    def patched(self, patch: Path) -> Iterator[Path]:
        """A copy with one patch; gone after the block.

        Raises:
            ScratchError: the patch does not apply.
        """
        tree = self._folder / patch.stem
        shutil.copytree(self.clean, tree)
        try:
            trouble = apply(patch, tree)
            if trouble:
                raise ScratchError(f"{patch.name} does not apply: {trouble}")
            yield tree
        finally:
            shutil.rmtree(tree, ignore_errors=True)


@contextmanager
def workshop(commit: str) -> Iterator[Workshop]:
    """A workshop with its clean copy made, in a temporary folder that goes with the block.

    Args:
        commit: whose tree; empty for the one on the disk.

    Raises:
        ScratchError: there is no git, no such commit, or the copy does not stand on its own.
    """
    folder = Path(mkdtemp(prefix="mnemesh-planted-"))
    try:
        made = Workshop(folder, commit)
        made.prepare()
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)
