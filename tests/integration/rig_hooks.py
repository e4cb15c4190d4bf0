"""A receiver of webhooks for the tests: it answers as told and remembers what came."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Receiver:
    """What a receiver got, and how it answers.

    Attributes:
        status: of the answers from now on.
        got: (headers in lower case, body) of what was answered with a yes.
        refused: how many were not.
    """

    status: int = 200
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    refused: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events]


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = receiver.status
            if status < http.HTTPStatus.MULTIPLE_CHOICES:
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append((headers, body))
            else:
                receiver.refused += 1
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
