"""A tool: its name, what it takes, and the request it stands for.

Law: what a tool takes is checked against its schema before anything is sent. Most tools are a
row of data: a method, a path, and which argument goes where under which name.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from node.mcp.api import PREFIX, Api

Arguments = dict[str, Any]
Schema = Mapping[str, Any]
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a tool answers.

    Attributes:
        text: for the model.
        facts: the same for programs; a JSON object.
    """

    text: str
    facts: Facts


Run = Callable[[Api, Arguments], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool.

    Attributes:
        name: as clients know it.
        family: the group it belongs to.
        says: what it does, for the model.
        takes: JSON Schema of each argument.
        needs: names of the arguments that must be there.
        run: does it.
        reads: changes nothing.
        destroys: takes away or overwrites what was there.
        repeats: a second call with the same arguments changes nothing more.
        gives: JSON Schema of the answer, where clients rely on one.
        title: for people, where the name does not say it well enough.
    """

    name: str
    family: str
    says: str
    takes: Mapping[str, Schema] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    run: Run
    reads: bool = False
    destroys: bool = False
    repeats: bool = False
    gives: Schema | None = None
    title: str = ""

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of all arguments together."""
        said: dict[str, Any] = {"type": "object", "properties": dict(self.takes)}
        if self.needs:
            said["required"] = list(self.needs)
        return said

    @property
    def arguments_of(self) -> Mapping[str, str]:
        """What the tool calls a field of the API, where it has another name here."""
        names = self.run.names if isinstance(self.run, Route) else {}
        return {field_name: argument for argument, field_name in names.items()}


def told(facts: Facts) -> Outcome:
    """An answer whose text is its JSON."""
    return Outcome(text=json.dumps(facts, ensure_ascii=False), facts=facts)


def escaped(ident: object) -> str:
    """An id as part of a path."""
    return quote(str(ident), safe="")


def as_params(values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as parameters of an address: lists with commas, truth as true and false."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, bool):
            out[name] = "true" if value else "false"
        elif isinstance(value, list):
            out[name] = ",".join(str(item) for item in value)
        else:
            out[name] = value
    return out


@dataclass(frozen=True, slots=True)
class Route:
    """A tool that is one request.

    Attributes:
        method: GET and DELETE carry arguments in the address, all others in the body.
        path: below the prefix of the API; `{id}` is filled in from the argument `id`.
        names: what the API calls an argument that has another name there.
        fixed: fields that are sent when no argument says otherwise.
        nulls: whether a null means something; else it is as if it were left out.
        in_body: whether arguments go into the body of a DELETE too.
        shape: what of the answer is shown.
    """

    method: str
    path: str
    names: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    nulls: bool = False
    in_body: bool = False
    shape: Callable[[Facts], Facts] | None = None

    async def __call__(self, api: Api, given: Arguments) -> Outcome:
        """Ask, and show the answer."""
        values = dict(self.fixed)
        for name, value in given.items():
            if value is not None or self.nulls:
                values[self.names.get(name, name)] = value
        target = PREFIX + self.path
        for name in [part[1:-1] for part in self.path.split("/") if part.startswith("{")]:
            target = target.replace(f"{{{name}}}", escaped(values.pop(name)))
        if self.method in ("GET", "DELETE") and not self.in_body:
            answer = await api.request(self.method, target, params=as_params(values))
        else:
            answer = await api.request(self.method, target, body=values)
        return told(answer if self.shape is None else self.shape(answer))


def without(*names: str) -> Callable[[Facts], Facts]:
    """Leave fields out that only repeat others."""
    return lambda facts: {name: value for name, value in facts.items() if name not in names}


def only(*names: str) -> Callable[[Facts], Facts]:
    """Show these fields."""
    return lambda facts: {name: facts[name] for name in names if name in facts}
