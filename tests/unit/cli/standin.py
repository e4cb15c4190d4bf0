"""A stand-in node for the tests of the command line.

Law: it answers over real sockets, with scripted answers, and remembers what it was asked.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from node.facts import ListenerFacts
from node.paths import Paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Mnemesh = Callable[..., Ran]


@dataclass(kw_only=True)
class StandIn:
    """Answers scripted routes and remembers what it was asked."""

    paths: Paths
    url: str = ""
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    answers: dict[tuple[str, str], list[tuple[int, Any, dict[str, str]]]] = field(
        default_factory=dict
    )

    def on(self, method: str, path: str, status: int, body: Any, **headers: str) -> None:
        """Script an answer; the last one of a route stays."""
        spelled = {name.replace("_", "-"): text for name, text in headers.items()}
        self.answers.setdefault((method, path), []).append((status, body, spelled))

    def answer(self, method: str, path: str) -> tuple[int, Any, dict[str, str]]:
        script = self.answers.get((method, path), [(404, {"error": "not found"}, {})])
        return script.pop(0) if len(script) > 1 else script[0]


def handler_of(node: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            size = int(self.headers.get("content-length", 0))
            raw = self.rfile.read(size)
            body = json.loads(raw) if raw else None
            headers = {key.lower(): value for key, value in self.headers.items()}
            node.asked.append((self.command, self.path, headers, body))
            status, answer, further = node.answer(self.command, self.path.partition("?")[0])
            plain = isinstance(answer, str)
            data = answer.encode() if plain else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "text/plain" if plain else "application/json")
            self.send_header("content-length", str(len(data)))
            for name, text in further.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815 -- the library's names

        def log_message(self, *_args: object) -> None:
            pass

    return Handler


def facts_of(node: StandIn, **changes: Any) -> ListenerFacts:
    values: dict[str, Any] = {
        "pid": os.getpid(),
        "node_id": "ab" * 32,
        "name": "node-a",
        "cluster": "home",
        "agent_url": node.url,
        "peer_url": "",
        "fingerprint": "",
        "api_key_file": str(node.paths.api_key),
        "key_dir": str(node.paths.key_dir),
        "allowlist": str(node.paths.allowlist),
        "config": str(node.paths.config),
        "argv": ("mnemesh", "serve"),
        "started_at": 1_700_000_000_000,
    }
    return ListenerFacts(**(values | changes))
