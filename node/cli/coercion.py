"""Values of options that need no library to be read.

Law: what a command is given is what Typer would give it, to the value and to the refusal. Typer
reads every value through Pydantic, even one that was never given, and loading that takes as long
as all the rest of a command. Here a value that is of its type already is left as it is; whatever
has to be looked at closer goes Typer's way.
"""

import functools
import os
from pathlib import Path
from typing import Any, Final

import typer

_PLAIN: Final = (str, int, float, bool)


def read_plainly(command: Any) -> None:
    """Let the options and arguments of a command, and of all below it, be read without ado.

    Args:
        command: what `typer.main.get_command` made.
    """
    params = command.get_params

    def plain(ctx: typer.Context) -> Any:
        found = params(ctx)
        for parameter in found:
            # Typer makes its parameters itself, of classes that cannot be chosen.
            if "process_value" not in vars(parameter):
                whole = parameter.process_value
                vars(parameter)["process_value"] = functools.partial(_value, parameter, whole)
        return found

    vars(command)["get_params"] = plain
    for below in getattr(command, "commands", {}).values():
        read_plainly(below)


def _value(parameter: Any, whole: Any, ctx: typer.Context, value: Any) -> Any:
    wanted = parameter.type_descriptor.annotation
    missing = value is None
    if parameter.nargs != 1 or (parameter.required and missing):
        return whole(ctx, value)
    if parameter.multiple:
        if not missing:
            return whole(ctx, value)
        value = ()
    elif wanted is Path and type(value) is str and _nothing_to_refuse(value):
        value = Path(value)
    elif not missing and not (wanted in _PLAIN and type(value) is wanted):
        return whole(ctx, value)
    return value if parameter.callback is None else parameter.callback(ctx, parameter, value)


def _nothing_to_refuse(path: str) -> bool:
    """Whether it can be read, if it is there: that is all our commands ask of a path."""
    return not os.path.exists(path) or os.access(path, os.R_OK)  # noqa: PTH110 -- a text still
