"""The official JavaScript library as a client of nodes.

Law: it knows what the routes of documents say and nothing else: it loads the bytes that a node
serves, edits them at home, and sends the changes that the node lacks.
"""

import base64
import http.client
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from tests.integration.rig import RealNode
from tests.interop.rig import Oracle

AUTOMERGE: Final = "application/vnd.automerge"
_SECONDS: Final = 60.0


def wire(
    node: RealNode, method: str, path: str, data: bytes | None = None, **headers: str
) -> tuple[int, bytes]:
    """A request whose bodies are bytes; names of headers with underscores."""
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    if node.api_key:
        sent["x-api-key"] = node.api_key
    connection = http.client.HTTPConnection(*node.agent, timeout=_SECONDS)
    try:
        connection.request(method, f"/api/v1{path}", body=data, headers=sent)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Client:
    """One user of the library, at one node.

    Attributes:
        doc: what the library calls the document.
        heads: of the document as this client has it.
    """

    def __init__(self, oracle: Oracle, node: RealNode, ident: str, doc: str, actor: bytes) -> None:
        self.oracle = oracle
        self.node = node
        self.path = f"/memories/{ident}/document"
        self.doc = doc
        self.sent: list[str] = []
        status, data = wire(node, "GET", self.path, Accept=AUTOMERGE)
        assert status == 200, data
        self.heads = self.sent = oracle.load(doc, data, actor.hex())

    def shown(self) -> dict[str, Any]:
        """The document as the library shows it."""
        shown: dict[str, Any] = self.oracle.ask("value", doc=self.doc)["value"]
        return shown

    def edit(self, ops: Sequence[object], message: str | None = None) -> None:
        """Change the document at home."""
        self.oracle.edit(self.doc, ops, message=message)
        self.heads = self.oracle.ask("heads", doc=self.doc)["heads"]

    def push(self, *, as_json: bool = False) -> dict[str, Any] | None:
        """Send what was changed since the last time; None when that is nothing."""
        changes = self.oracle.changes(self.doc, self.sent)
        if not changes:
            return None
        kind, data = AUTOMERGE, b"".join(changes)
        if as_json:
            encoded = [base64.b64encode(one).decode() for one in changes]
            kind, data = "application/json", json.dumps({"changes": encoded}).encode()
        status, body = wire(
            self.node,
            "POST",
            f"{self.path}/changes",
            data,
            Content_Type=kind,
            X_Agent_Id=f"with-{self.doc}",
        )
        assert status == 200, body
        self.sent = self.heads
        told: dict[str, Any] = json.loads(body)
        return told

    def pull(self) -> None:
        """Take what the node has beyond what was taken or sent."""
        since = ",".join(self.sent)
        told = self.node.tell("GET", f"{self.path}/changes?since={since}")
        self.take(told["changes"])
        self.sent = self.heads

    def take(self, changes: Sequence[str]) -> None:
        """Take changes as they come, in base64."""
        self.heads = self.oracle.apply(self.doc, [base64.b64decode(one) for one in changes])

    @contextmanager
    def followed(self) -> Iterator[Iterator[dict[str, Any]]]:
        """The events `change` that the node sends from now on."""
        connection = http.client.HTTPConnection(*self.node.agent, timeout=_SECONDS)
        try:
            headers = {"accept": "text/event-stream"}
            since = ",".join(self.heads)
            connection.request("GET", f"/api/v1{self.path}/changes?since={since}", headers=headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            yield _events(answer)
        finally:
            connection.close()


def _events(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    name = ""
    for raw in answer:
        field, _, text = raw.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = text
        elif field == "data" and name == "change":
            yield json.loads(text)
