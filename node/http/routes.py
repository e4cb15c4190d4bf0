"""The table of routes.

Law: what is not in `TABLE` is 404, and what is there under another method 405. A row says
who may come in and whether state is read or changed; nothing about a route is decided
anywhere else.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from crdt.roles import READER, SYSTEM_ADMIN, WRITER
from node.http.answer import Answer
from node.http.call import Call

Handler = Callable[[Call], Awaitable[Answer | web.StreamResponse]]


class Needs(Enum):
    """Who may come in.

    OPEN: everybody. AGENT: the API key; where none is configured, loopback or an allowlisted
    certificate. OPERATOR: the API key; where none is configured, loopback. PEER: an
    allowlisted certificate, whatever keys there are.
    """

    OPEN = "open"
    AGENT = "agent"
    OPERATOR = "operator"
    PEER = "peer"


class Touches(Enum):
    """What a route does to the replicated state."""

    NOTHING = "nothing"
    READS = "reads"
    WRITES = "writes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row: a method and a path, who may come in, and what happens.

    `role` is the least that an API key must be of to come in; the node's own key is of all.
    `direct` says that the handler waits for nothing but plain futures, and so needs no task.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    needs: Needs = Needs.AGENT
    touches: Touches = Touches.NOTHING
    role: str = READER
    direct: bool = False


def least_role(touches: Touches, needs: Needs) -> str:
    """What a key must be of where a row does not say: a reader to read, a writer to write."""
    if needs is Needs.OPERATOR:
        return SYSTEM_ADMIN
    return WRITER if touches is Touches.WRITES else READER


Methods = dict[str, Route]
_PATH: Final = "{ns}"
"""The one parameter that may hold slashes, percent-encoded or not: the path of a namespace."""


class Router:
    """Finds the route of a request."""

    def __init__(self, table: Iterable[Route]) -> None:
        self.table = tuple(table)
        self._literal: dict[str, Methods] = {}
        self._patterns: dict[int, dict[tuple[str | None, ...], Methods]] = {}
        self._paths: dict[tuple[str, str], Methods] = {}
        for route in self.table:
            self._add(route)

    def _add(self, route: Route) -> None:
        if "{" not in route.path:
            methods = self._literal.setdefault(route.path, {})
        elif _PATH in route.path:
            before, _, after = route.path.partition(_PATH)
            methods = self._paths.setdefault((before, after), {})
        else:
            shape = tuple(None if part.startswith("{") else part for part in route.path.split("/"))
            methods = self._patterns.setdefault(len(shape), {}).setdefault(shape, {})
        if route.method in methods:
            raise ValueError(f"{route.method} {route.path} stands twice in the table")
        methods[route.method] = route

    def find(self, method: str, path: str) -> tuple[Route | None, tuple[str, ...], list[str]]:
        """(route, its parameters, methods allowed there); no methods: no such path."""
        wanted = "GET" if method == "HEAD" else method
        literal: Mapping[str, Route] = self._literal.get(path, {})
        route = literal.get(wanted)
        if route is not None:
            return route, (), []
        allowed = set(literal)
        parts = path.split("/")
        for shape, methods in self._patterns.get(len(parts), {}).items():
            params = _match(shape, parts)
            if params is None:
                continue
            if wanted in methods:
                return methods[wanted], params, []
            allowed |= methods.keys()
        for (before, after), methods in self._paths.items():
            inner = path[len(before) : len(path) - len(after)]
            if not (inner and path.startswith(before) and path.endswith(after)):
                continue
            if wanted in methods:
                return methods[wanted], (_plain(inner),), []
            allowed |= methods.keys()
        return None, (), sorted(allowed)


def _match(shape: tuple[str | None, ...], parts: list[str]) -> tuple[str, ...] | None:
    params = []
    for want, have in zip(shape, parts, strict=True):
        if want is None:
            if not have:
                return None
            params.append(_plain(have))
        elif want != have:
            return None
    return tuple(params)


def _plain(part: str) -> str:
    """A part of a path as text; bytes that are no UTF-8 stay visible as surrogates."""
    return unquote(part, errors="surrogateescape")


API: Final = "/api/v1"
