"""The wheel of this tree, as `make wheel` builds it."""

import subprocess
import sys
from pathlib import Path

from tests.architecture.docs_blocks import ROOT


def wheel_in(folder: Path) -> Path:
    """Build it into a folder; returns its path."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel
