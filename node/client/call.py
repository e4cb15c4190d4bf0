"""One request to the API, before anything is known about nodes, tries and tokens.

Law: a value. A write always has an idempotency key, drawn once when the call is made, so every
try of it, on whichever node, is the same request and takes effect once.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

from node.client.errors import BadArgument

T = TypeVar("T")

API: Final = "/api/v1"
_OUTSIDE: Final = ("/api/", "/metrics", "/livez", "/readyz", "/mcp")
_READING_POSTS: Final = frozenset(
    f"{API}/{name}"
    for name in ("recall", "check_duplicate", "kg/query", "cluster", "auto_tag", "expand_query")
)
_KEY_CHARS_MAX: Final = 128
_PATH_SAFE: Final = "/:@!$&'()*+,;=~-._%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """What is asked.

    Attributes:
        method: in capitals.
        path: from the root of the node, percent-encoded.
        query: encoded, without the question mark.
        body: JSON; None for no body.
        headers: further ones.
        writes: whether it changes anything.
        key: idempotency key; empty for a read, and for a write whose key is still to be drawn.
        read: makes the result of the parsed answer and its headers.
    """

    method: str
    path: str
    query: str = ""
    body: bytes | None = None
    headers: Mapping[str, str]
    writes: bool
    key: str = ""
    read: Callable[[dict[str, Any], Mapping[str, str]], T]

    @property
    def target(self) -> str:
        """Path and query, as they are sent and signed."""
        return f"{self.path}?{self.query}" if self.query else self.path


def plain(answer: dict[str, Any], _headers: Mapping[str, str]) -> dict[str, Any]:
    """The answer as it came."""
    return answer


def make_call(
    method: str,
    path: str,
    read: Callable[[dict[str, Any], Mapping[str, str]], T],
    *,
    params: Mapping[str, object] | None = None,
    body: object | None = None,
    idempotency_key: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Call[T]:
    """A call, checked.

    Args:
        method: HTTP method.
        path: below `/api/v1`, as `/memories`, or from the root, as `/api/v1/memories`.
        read: makes the result of the parsed answer and its headers.
        params: of the address; lists are joined with commas, None is left out.
        body: anything JSON can say.
        idempotency_key: 1 to 128 printable characters; drawn when it is left out.
        headers: further ones.

    Raises:
        BadArgument: it cannot be sent.
    """
    if not path.startswith("/") or "?" in path or "#" in path:
        raise BadArgument(f"path: {path!r} is no path; parameters go into params")
    full = path if path.startswith(_OUTSIDE) else API + path
    if idempotency_key is not None and not (
        0 < len(idempotency_key) <= _KEY_CHARS_MAX
        and idempotency_key.isascii()
        and idempotency_key.isprintable()
    ):
        raise BadArgument(f"idempotency_key: expected 1 to {_KEY_CHARS_MAX} printable characters")
    verb = method.upper()
    reading = verb in {"GET", "HEAD"} or (verb == "POST" and full in _READING_POSTS)
    return Call(
        method=verb,
        path=quote(full, safe=_PATH_SAFE),
        query=_query(params),
        body=None if body is None else _encoded(body),
        headers=dict(headers or {}),
        writes=not reading,
        key=idempotency_key or "",
        read=read,
    )


def segment(text: str) -> str:
    """One segment of a path; it cannot lead anywhere else.

    Raises:
        BadArgument: the text names nothing.
    """
    if text in {"", ".", ".."}:
        raise BadArgument(f"{text!r} is no id")
    return quote(text, safe=":@")


def _query(params: Mapping[str, object] | None) -> str:
    pairs = [(name, _text(value)) for name, value in (params or {}).items() if value is not None]
    try:
        return urlencode(pairs)
    except UnicodeEncodeError as error:
        raise BadArgument(f"params: {error}") from error


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(str(item) for item in value)
    return str(value)


def _encoded(body: object) -> bytes:
    # The strict encoder: a NaN is an error here, never a silent null.
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadArgument(f"body: {error}") from error
