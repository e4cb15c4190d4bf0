"""`mnemesh chaos`: break a mesh of real nodes on purpose.

Law: the harness stands outside. It shares no code with a node, so this process becomes the
harness and is a node's program no longer.
"""

import importlib.util
import os
import sys
from typing import Annotated

import typer

from node.errors import UsageError


def chaos(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="A command of the harness and its options; --help lists them."),
    ] = None,
) -> None:
    """Break a mesh of real nodes on purpose, and judge what is left: mnemesh chaos --help."""
    if importlib.util.find_spec("chaos") is None or importlib.util.find_spec("trio") is None:
        raise UsageError(
            "the chaos harness is not installed",
            why="it is an extra, for a node does not need it",
            fix="Install mnemesh[chaos]",
        )
    words = [sys.executable, "-P", "-m", "chaos", *(arguments or ["--help"])]
    sys.stdout.flush()
    os.execv(sys.executable, words)  # noqa: S606 - our own interpreter
