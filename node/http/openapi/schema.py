"""JSON Schema (draft 2020-12) in few words.

Law: pure; every function gives a new schema and nothing here knows a route.
"""

from typing import Any

Schema = dict[str, Any]


def text(
    *, least: int = 0, most: int | None = None, pattern: str | None = None, about: str = ""
) -> Schema:
    """Text of `least` to `most` characters."""
    out: Schema = {"type": "string"}
    if least:
        out["minLength"] = least
    if most is not None:
        out["maxLength"] = most
    if pattern is not None:
        out["pattern"] = pattern
    return _about(out, about)


def one_of(*words: str, about: str = "") -> Schema:
    """One of some words."""
    return _about({"type": "string", "enum": list(words)}, about)


def whole(least: int | None = None, most: int | None = None, *, about: str = "") -> Schema:
    """A whole number."""
    return _bounded("integer", least, most, about)


def real(least: float | None = None, most: float | None = None, *, about: str = "") -> Schema:
    """A number."""
    return _bounded("number", least, most, about)


def _bounded(kind: str, least: float | None, most: float | None, about: str) -> Schema:
    out: Schema = {"type": kind}
    if least is not None:
        out["minimum"] = least
    if most is not None:
        out["maximum"] = most
    return _about(out, about)


def moment(*, about: str = "") -> Schema:
    """A moment, RFC 3339."""
    return _about({"type": "string", "format": "date-time"}, about)


def flag(*, about: str = "") -> Schema:
    """True or false."""
    return _about({"type": "boolean"}, about)


def anything(*, about: str = "") -> Schema:
    """Any JSON value."""
    return _about({}, about)


def many(item: Schema, *, most: int | None = None, least: int = 0, about: str = "") -> Schema:
    """A list."""
    out: Schema = {"type": "array", "items": item}
    if most is not None:
        out["maxItems"] = most
    if least:
        out["minItems"] = least
    return _about(out, about)


def table(value: Schema, *, about: str = "") -> Schema:
    """An object whose keys are data."""
    return _about({"type": "object", "additionalProperties": value}, about)


def thing(required: tuple[str, ...] = (), /, **fields: Schema) -> Schema:
    """An object; fields that are not named here may stand beside the named ones."""
    out: Schema = {"type": "object", "properties": fields}
    if required:
        out["required"] = list(required)
    return out


def all_there(**fields: Schema) -> Schema:
    """An object with every one of these fields."""
    return thing(tuple(fields), **fields)


def maybe(schema: Schema) -> Schema:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def both(*schemas: Schema) -> Schema:
    """What keeps all of these."""
    return {"allOf": list(schemas)}


def either(*schemas: Schema) -> Schema:
    """What keeps one of these or more."""
    return {"anyOf": list(schemas)}


def named(component: str) -> Schema:
    """A reference to a component of the document."""
    return {"$ref": f"#/components/schemas/{component}"}


def _about(schema: Schema, about: str) -> Schema:
    if about:
        schema["description"] = about
    return schema
