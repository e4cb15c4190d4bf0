"""What a request of the load looks like, whoever sends it.

Law: one description, two senders. wrk gets it as a Lua script and our own driver as bytes, so
that both put the same bytes on the wire. A request is constant but for one number of fixed
width, and so its length is known before the clock starts.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any, Final

from tests.benchmarks.scale import CONTENT_BYTES

_PLACE: Final = "{number}"
_STRIDE: Final = 7  # neighbours lie on one page of a store; a stride goes from page to page
ETCD_DIGITS: Final = 15
SEED_DIGITS: Final = 8
DOCUMENTS: Final = 1000
"""So many documents are edited side by side."""
_EDIT: Final = {"op": "splice", "path": ["text"], "insert": "8 bytes "}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One kind of request.

    Attributes:
        method: of HTTP.
        path: with at most one place for the number.
        body: the same; empty for none.
        first: the first number.
        step: from one number to the next.
        last: numbers stay below; None for no end.
        digits: width of the number.
    """

    method: str
    path: str
    body: str = ""
    first: int = 0
    step: int = 1
    last: int | None = None
    digits: int = ETCD_DIGITS

    @property
    def numbered(self) -> bool:
        """Whether one request differs from the next."""
        return _PLACE in self.path or _PLACE in self.body

    def halves(self, host: str, key: str | None) -> tuple[bytes, bytes]:
        """The whole request before its number and after it; all of it and nothing without one."""
        filled = self.body.replace(_PLACE, "0" * self.digits)
        head = f"{self.method} {self.path} HTTP/1.1\r\nHost: {host}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in self.headers(key).items())
        if self.body:
            head += f"Content-Length: {len(filled.encode())}\r\n"
        before, _, after = (head + "\r\n" + self.body).partition(_PLACE)
        return before.encode(), after.encode()

    def headers(self, key: str | None) -> dict[str, str]:
        """Headers besides Host and Content-Length."""
        told = {} if key is None else {"X-Api-Key": key, "X-Agent-Id": "bench"}
        return {**told, "Content-Type": "application/json"} if self.body else told

    def lua(self, key: str | None) -> str:
        """The script that makes wrk send this."""
        lines = [f"wrk.method = {_quoted(self.method)}"]
        lines += [f"wrk.headers[{_quoted(n)}] = {_quoted(v)}" for n, v in self.headers(key).items()]
        if not self.numbered:
            lines.append(f"wrk.path = {_quoted(self.path)}")
            if self.body:
                lines.append(f"wrk.body = {_quoted(self.body)}")
            return "\n".join([*lines, _DONE])
        last = "math.huge" if self.last is None else str(self.last)
        lines += [
            f"local n, first, step, last = {self.first}, {self.first}, {self.step}, {last}",
            "request = function()",
            f"  local number = string.format('%0{self.digits}d', n)",
            "  n = n + step",
            "  if n >= last then n = first end",
            f"  return wrk.format(nil, {_spliced(self.path)}, nil, {_spliced(self.body)})",
            "end",
        ]
        return "\n".join([*lines, _DONE])


# One line of JSON after the words for people; times in microseconds, whole numbers.
MARK: Final = "measured: "
_DONE: Final = (
    """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '"""
    + MARK
    + """{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,'
      .. '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\\n',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency.max,
    e.connect, e.read, e.write, e.status, e.timeout))
end
"""
)


def _quoted(text: str) -> str:
    """A Lua string of any text: what is not plain is written as a decimal escape."""
    plain = (
        chr(b) if 32 <= b < 127 and chr(b) not in "\"'\\" else f"\\{b:03d}" for b in text.encode()
    )
    return '"' + "".join(plain) + '"'


def _spliced(text: str) -> str:
    if not text:
        return "nil"
    before, place, after = text.partition(_PLACE)
    return f"{_quoted(before)} .. number .. {_quoted(after)}" if place else _quoted(text)


def content(size: int) -> str:
    """So many characters of text."""
    return ("the mesh keeps what its agents have learned; " * (size // 45 + 1))[:size]


def memory(size: int, ident: str | None = None) -> dict[str, Any]:
    """The body of a create with so many bytes of content."""
    fields = {"title": "a measured memory", "content": content(size), "tags": ["bench"]}
    return fields if ident is None else {**fields, "id": ident}


def document_id(number: int) -> str:
    """The id of one of the documents that are edited side by side."""
    return f"edited-{number:0{SEED_DIGITS}d}"


def shape_of(spec: dict[str, Any]) -> Shape:
    """What a specification of a load asks for by its `kind`.

    Kinds: write, bulk, read, edit, edits, ping for a node; etcd-put, etcd-range for the gateway
    of etcd.
    """
    kind, size = spec["kind"], spec.get("content_bytes", CONTENT_BYTES)
    if kind == "write":
        return Shape(method="POST", path="/api/v1/memories", body=json.dumps(memory(size)))
    if kind == "bulk":
        many = json.dumps([memory(size)] * spec.get("items", 1))
        return Shape(method="POST", path="/api/v1/memories/bulk", body=many)
    if kind == "read":
        path = f"/api/v1/memories/seeded-{_PLACE}"
        return Shape(method="GET", path=path, step=_STRIDE, last=spec["ids"], digits=SEED_DIGITS)
    if kind == "ping":
        return Shape(method="GET", path=spec["path"])
    if kind in ("edit", "edits"):
        return _edit_of(spec["id"] if kind == "edit" else f"edited-{_PLACE}")
    return _etcd_shape(spec)


def _edit_of(ident: str) -> Shape:
    """Eight characters more at the end of the text of a document."""
    path = f"/api/v1/memories/{ident}/document"
    body = json.dumps({"ops": [_EDIT]})
    return Shape(method="PATCH", path=path, body=body, last=DOCUMENTS, digits=SEED_DIGITS)


def _etcd_shape(spec: dict[str, Any]) -> Shape:
    kind, size = spec["kind"], spec.get("content_bytes", CONTENT_BYTES)
    # A letter and fifteen digits are valid base64 as they stand: a key of twelve bytes.
    if kind == "etcd-put":
        value = base64.b64encode(content(size).encode()).decode()
        put = json.dumps({"key": f"{spec.get('space', 'w')}{_PLACE}", "value": value})
        return Shape(method="POST", path="/v3/kv/put", body=put, first=spec.get("first", 0))
    if kind == "etcd-range":
        body = json.dumps({"key": f"s{_PLACE}", "serializable": True})
        return Shape(method="POST", path="/v3/kv/range", body=body, step=_STRIDE, last=spec["ids"])
    raise ValueError(f"no such kind of load: {kind}")
