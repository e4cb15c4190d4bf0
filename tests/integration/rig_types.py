"""Holds values against the types that were promised for them, at runtime.

Law: a field that no type names is a mismatch too, so a type says all that a node answers.
"""

import types
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints
from typing import is_typeddict as _is_typed


def mismatches(  # noqa: PLR0911 - one return for each kind of type
    value: object, kind: Any, at: str = "it"
) -> list[str]:
    """What in a value is not of a type; empty when all is.

    Args:
        value: as JSON gave it.
        kind: a TypedDict, a Literal, a union, a list, a dict or a plain type.
        at: where this is, for the message.
    """
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return []
    if origin in {NotRequired, Required}:
        return mismatches(value, args[0], at)
    if _is_typed(kind):
        return _fields(value, kind, at)
    if origin is Literal:
        return [] if value in args else [f"{at}: {value!r} is none of {args}"]
    if origin in {Union, types.UnionType}:
        found = [mismatches(value, each, at) for each in args]
        return [] if [] in found else found[0]
    if origin is list:
        if not isinstance(value, list):
            return [f"{at}: {value!r} is no list"]
        return [w for i, each in enumerate(value) for w in mismatches(each, args[0], f"{at}[{i}]")]
    if origin is dict:
        kind = dict
    wanted = {float: (int, float), None: type(None)}.get(kind, kind)
    if isinstance(value, bool) and kind is not bool:
        return [f"{at}: {value!r} is no {kind}"]
    return [] if isinstance(value, wanted) else [f"{at}: {value!r} is no {kind}"]


def _fields(value: object, kind: Any, at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at}: {value!r} is no {kind.__name__}"]
    hints = get_type_hints(kind, include_extras=True)
    out = [f"{at}: {name!r} is missing" for name in sorted(kind.__required_keys__ - value.keys())]
    for name, each in value.items():
        if name not in hints:
            out.append(f"{at}: {kind.__name__} does not name {name!r} ({each!r})")
        else:
            out += mismatches(each, hints[name], f"{at}.{name}")
    return out
