"""Options made from the table of settings, for the commands that take settings.

Law: an option that is not in the table does not exist, and none is described twice.
"""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from node.settings import TABLE
from node.settings.parse import core_type

_METAVARS: Final = {int: "N", float: "SECONDS", Path: "FILE"}


def _option_of(row: Any) -> inspect.Parameter:
    text = row.about.help
    if row.default not in (None, (), ""):
        text = f"{text.rstrip('.')} (default {row.default})."
    metavar = {"--quorum-peers": "URL,URL", "--host": "ADDR", "--port": "PORT"}.get(row.about.flag)
    option = typer.Option(
        row.about.flag,
        help=f"{text} (env {row.env})",
        metavar=metavar or _METAVARS.get(core_type(row), "TEXT"),
        show_default=False,
    )
    return inspect.Parameter(
        _parameter_name(row.about.flag),
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, option],
    )


def _parameter_name(flag: str) -> str:
    return "set_" + flag.lstrip("-").replace("-", "_")


FLAGS: Final = {_parameter_name(row.about.flag): row for row in TABLE if row.about.flag}


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace `**given` of a command by one option per setting that has a flag."""
    own = [
        parameter
        for parameter in inspect.signature(command).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    generated = [_option_of(row) for row in FLAGS.values()]
    command.__signature__ = inspect.Signature([*generated, *own])  # type: ignore[attr-defined]  # PEP 362 allows it
    return command


def flags_of(given: Mapping[str, str | None]) -> dict[str, str]:
    """What the command line said: dotted name of a setting -> text."""
    return {FLAGS[name].name: text for name, text in given.items() if text is not None}
