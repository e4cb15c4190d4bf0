"""A stand-in for a language model: a real server on loopback with scripted answers."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(kw_only=True)
class Endpoint:
    """What it answers, and what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def says(self, words: Any) -> None:
        """Answer these words, as the chat completions API does."""
        text = words if isinstance(words, str) else json.dumps(words)
        self.body = json.dumps({"choices": [{"message": {"content": text}}]}).encode()


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """The server, until the block ends."""
    model = Endpoint()
    model.go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            headers = {key.lower(): value for key, value in self.headers.items()}
            model.asked.append((self.path, headers, json.loads(data)))
            model.go_on.wait(20)
            try:
                self.send_response(model.status)
                for name, value in model.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(model.body)))
                self.end_headers()
                self.wfile.write(model.body)
            except OSError:
                pass  # the node had enough

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    model.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield model
    finally:
        model.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
