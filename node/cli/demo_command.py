"""`mnemesh demo`: hands over to the narrated demonstration.

Law: loads the demonstration only when it is asked for.
"""

import importlib
from pathlib import Path
from typing import Annotated

import typer

from node.cli.options import AsJson


def demo(
    *,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Work here and keep it.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Watch three nodes store real text, lose one, keep their promise and heal."""
    # By name, because the demonstration is no part of what other commands need.
    module = importlib.import_module("node.cli.demo")
    raise typer.Exit(module.run(directory=directory, as_json=as_json))
