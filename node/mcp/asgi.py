"""Between the node's requests and the SDK's application (ASGI 3.0, HTTP scope).

Law: one request, one whole answer. The application gets the body that was read and bounded
already, and what it says is gathered into one answer; it never holds a connection open.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from node.http.answer import Answer

if TYPE_CHECKING:
    from node.http.call import Call

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]
# The node's own answer has these from elsewhere.
_OWN: Final = frozenset({"content-length", "content-type", "connection", "date", "server"})


async def asked(app: App, call: "Call", extra: dict[str, Any]) -> Answer:
    """Put a request to an application.

    Args:
        app: the application.
        call: the request, its body read.
        extra: further entries of the scope.
    """
    scope: Message = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": call.method,
        "scheme": "https" if call.door.tls else "http",
        "path": call.path,
        "raw_path": call.path.encode(),
        "root_path": "",
        "query_string": call.query_text.encode(),
        "headers": [
            (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in call.headers.items()
        ],
        **extra,
    }
    pending = [{"type": "http.request", "body": call.body, "more_body": False}]
    status, headers, parts = 500, list[tuple[bytes, bytes]](), list[bytes]()

    async def receive() -> Message:
        return pending.pop() if pending else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    said = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    return Answer(
        status,
        b"".join(parts),
        said.get("content-type", "application/json"),
        headers={name: value for name, value in said.items() if name not in _OWN},
    )
