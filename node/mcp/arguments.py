"""Arguments of a call, held against the schema of the tool.

Law: what a model writes a little differently but can mean only one thing ("5" for 5, a list in
one text) is taken as meant; anything else is refused with the name of the argument and what it
takes. Unknown arguments change nothing, except that a tool which takes something away refuses
them: a filter that was misspelt must not widen what it touches.
"""

import difflib
import json
from collections.abc import Mapping
from typing import Any, Final

from node.mcp.tool import Arguments, Schema, Tool

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_SHOWN_CHARS_MAX: Final = 60


class BadArguments(Exception):  # noqa: N818 - the name says what happened
    """The arguments of a call cannot be taken; nothing was sent.

    Args:
        argument: the one at fault; empty when it is none in particular.
        problem: what is wrong with it and what it takes.
        code: stable.
        fix: what to do about it.
    """

    def __init__(
        self,
        argument: str,
        problem: str,
        *,
        code: str = "invalid_arguments",
        fix: str = "Change that argument and call again.",
    ) -> None:
        super().__init__(f"{argument}: {problem}" if argument else problem)
        self.argument = argument
        self.code = code
        self.fix = fix


def checked(tool: Tool, given: Mapping[str, Any] | None) -> Arguments:
    """The arguments that a tool knows, in the types it wants.

    Raises:
        BadArguments: one is missing or of a kind that the tool does not take.
    """
    out: Arguments = {}
    for name, value in (given or {}).items():
        schema = tool.takes.get(name)
        if schema is not None:
            out[name] = meant(schema, value)
        elif tool.destroys:
            near = difflib.get_close_matches(name, tool.takes, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            known = ", ".join(tool.takes) or "nothing"
            raise BadArguments(name, f"{tool.name} takes no such argument{hint} It takes {known}")
    missing = [name for name in tool.needs if out.get(name) is None]
    if missing:
        raise BadArguments(missing[0], f"is missing; {tool.name} needs {', '.join(tool.needs)}")
    for name, value in out.items():
        problem = fault(tool.takes[name], value)
        if problem is not None and not (value is None and name not in tool.needs):
            raise BadArguments(name, problem)
    return out


def meant(schema: Schema, value: Any) -> Any:
    """A text that can only mean a number, a truth, a list or an object, as that."""
    wanted = _wanted(schema)
    if not isinstance(value, str) or "string" in wanted:
        return value
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    if _is(parsed, wanted):
        return parsed
    if "array" in wanted:
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def fault(schema: Schema, value: Any) -> str | None:
    """What is wrong with a value; None when nothing is."""
    wanted = _wanted(schema)
    if wanted and not _is(value, wanted):
        return f"is {_shown(value)}, expected {' or '.join(wanted)}"
    if "enum" in schema and value not in schema["enum"]:
        allowed = ", ".join(str(one) for one in schema["enum"])
        return f"is {_shown(value)}, expected one of {allowed}"
    return _fault_inside(schema, value)


def _fault_inside(schema: Schema, value: Any) -> str | None:
    match value:
        case bool():
            return None
        case int() | float():
            return _beyond(schema, value, "minimum", "maximum", "")
        case str():
            return _beyond(schema, len(value), "minLength", "maxLength", " characters")
        case list():
            return _fault_in_list(schema, value)
        case dict():
            return _fault_in_object(schema, value)
    return None


def _beyond(schema: Schema, size: float, least: str, most: str, unit: str) -> str | None:
    if least in schema and size < schema[least]:
        return f"has {size}{unit}, at least {schema[least]}" if unit else _range(schema)
    if most in schema and size > schema[most]:
        return f"has {size}{unit}, at most {schema[most]}" if unit else _range(schema)
    return None


def _range(schema: Schema) -> str:
    ends = [
        f"{word} {schema[key]}"
        for key, word in (("minimum", "from"), ("maximum", "to"))
        if key in schema
    ]
    return f"expected a number {' '.join(ends)}"


def _fault_in_list(schema: Schema, value: list[Any]) -> str | None:
    problem = _beyond(schema, len(value), "minItems", "maxItems", " items")
    if problem is not None or "items" not in schema:
        return problem
    for place, item in enumerate(value):
        problem = fault(schema["items"], item)
        if problem is not None:
            return f"item {place} {problem}"
    return None


def _fault_in_object(schema: Schema, value: dict[str, Any]) -> str | None:
    for name in schema.get("required", ()):
        if name not in value:
            return f"lacks {name}"
    for name, inner in schema.get("properties", {}).items():
        problem = fault(inner, value[name]) if name in value else None
        if problem is not None:
            return f"{name} {problem}"
    return None


def _wanted(schema: Schema) -> tuple[str, ...]:
    said = schema.get("type", ())
    return (said,) if isinstance(said, str) else tuple(said)


def _is(value: Any, wanted: tuple[str, ...]) -> bool:
    if isinstance(value, bool):
        return "boolean" in wanted
    return any(isinstance(value, _TYPES[name]) for name in wanted)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}..."
