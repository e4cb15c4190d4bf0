"""Long answers as they arrive: the export, and server-sent events.

Law: pure: bytes go in, values come out, and what is held is no more than one value. An export
that ends in the middle is an error, never a short export (WHATWG HTML, section 9.2, for events).
"""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from node.client.call import API
from node.client.errors import BrokenAnswer, ClientError, Unreachable
from node.client.exchange import Pause, Reply, Send, Session, error_of, passes

Kind = Literal["memory", "link"]
_LISTS: Final[dict[str, Kind]] = {"memories": "memory", "links": "link"}
_SPACE: Final = " \t\r\n"
_VALUE_CHARS_MAX: Final = 8 * 1024 * 1024
# Longer than the silence after which a node says that there is nothing new.
_SILENCE_SECONDS: Final = 45.0
_LINE_CHARS_MAX: Final = 8 * 1024 * 1024


class ExportReader:
    """Takes an export apart while it arrives."""

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._json = json.JSONDecoder()
        self._list: Kind | None = None
        self._begun = False
        self._ended = False
        self._counted = 0
        self._count: int | None = None

    def feed(self, data: bytes) -> Iterator[tuple[Kind, dict[str, Any]]]:
        """Take bytes and give the records that are whole.

        Raises:
            BrokenAnswer: this is no export.
        """
        try:
            self._text = self._text[self._at :] + self._decode(data)
        except UnicodeDecodeError as error:
            raise BrokenAnswer("the export is no UTF-8 text") from error
        self._at = 0
        while not self._ended and (found := self._next()):
            if found[0] is not None:
                yield found[0], found[1]

    def close(self) -> None:
        """Say that no more comes.

        Raises:
            BrokenAnswer: the end is missing.
        """
        if not self._ended:
            raise BrokenAnswer("the export is not whole: the connection ended before the answer")
        if self._count is not None and self._count != self._counted:
            raise BrokenAnswer(f"the export names {self._count} memories and holds {self._counted}")

    def _next(self) -> tuple[Kind | None, dict[str, Any]] | None:
        """One step; None when more bytes are needed."""
        self._skip(_SPACE + "," if self._begun else _SPACE)
        if self._at >= len(self._text):
            return None
        here = self._text[self._at]
        if not self._begun:
            if here != "{":
                raise BrokenAnswer("the answer is no export")
            self._begun = True
            self._at += 1
            return None, {}
        if self._list is not None:
            return self._item(here)
        if here == "}":
            self._ended = True
            return None
        return self._field()

    def _item(self, here: str) -> tuple[Kind | None, dict[str, Any]] | None:
        if here == "]":
            self._list = None
            self._at += 1
            return None, {}
        value = self._value()
        if value is None:
            return None
        kind = self._list
        self._counted += kind == "memory"
        return kind, value[0]

    def _field(self) -> tuple[None, dict[str, Any]] | None:
        """A name, its colon, and the value or the bracket of the list that begins."""
        start = self._at
        name = self._value()
        if name is not None:
            self._skip(_SPACE)
            if self._text[self._at : self._at + 1] == ":":
                self._at += 1
                self._skip(_SPACE)
                kind = _LISTS.get(name[0]) if isinstance(name[0], str) else None
                if kind is not None and self._text[self._at : self._at + 1] == "[":
                    self._list = kind
                    self._at += 1
                    return None, {}
                # A number may go on in the next piece, so something has to stand behind it.
                value = self._value() if kind is None else None
                if value is not None and self._at < len(self._text):
                    if name[0] == "count":
                        self._count = value[0]
                    return None, {}
        self._at = start
        return None

    def _value(self) -> tuple[Any] | None:
        try:
            value, self._at = self._json.raw_decode(self._text, self._at)
        except ValueError as error:
            if len(self._text) - self._at > _VALUE_CHARS_MAX:
                raise BrokenAnswer("the answer is no export") from error
            return None
        return (value,)

    def _skip(self, these: str) -> None:
        while self._at < len(self._text) and self._text[self._at] in these:
            self._at += 1


def export_of(session: Session) -> Send:
    """What to send for an export; the preferred node is asked."""
    headers = session.settled.headers_for(session.preferred)
    headers["x-causal-token"] = session.seen.token()
    headers["x-causal-wait-ms"] = str(int(session.settled.retry.causal_wait * 1000))
    return Send(
        node=session.preferred,
        method="GET",
        target=f"{API}/export",
        body=None,
        headers=headers,
        seconds=_SILENCE_SECONDS,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a stream.

    Attributes:
        name: what happened; one of the node's event names.
        data: the facts.
        cursor: place in the stream; a later call goes on from it.
    """

    name: str
    data: dict[str, Any]
    cursor: str


class EventReader:
    """Takes a stream of server-sent events apart while it arrives."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._name = ""
        self._data: list[str] = []
        self._cursor = ""

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take bytes and give the events that are whole.

        Raises:
            BrokenAnswer: a line without an end, or data that is no JSON.
        """
        self._rest += self._decode(data)
        *lines, self._rest = self._rest.replace("\r\n", "\n").split("\n")
        if len(self._rest) > _LINE_CHARS_MAX:
            raise BrokenAnswer("a line of the stream has no end")
        for line in lines:
            event = self._line(line)
            if event is not None:
                yield event

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._cursor = value
        return None

    def _dispatch(self) -> Event | None:
        name, lines = self._name or "message", self._data
        self._name, self._data = "", []
        if not lines:
            return None
        try:
            value = json.loads("\n".join(lines))
        except ValueError as error:
            raise BrokenAnswer(f"an event of the stream is no JSON: {error}") from error
        data = value if isinstance(value, dict) else {"value": value}
        return Event(name=name, data=data, cursor=self._cursor)


class Following:
    """Where a stream goes on after it broke off, and on which node.

    Args:
        session: of the client.
        target: path and parameters of the stream.
        cursor: where to begin; empty for what happens from now on.
    """

    def __init__(self, session: Session, target: str, cursor: str) -> None:
        self._session = session
        self._target = target
        self._retry = session.settled.retry
        self._now = session.settled.ambience.monotonic
        self._alive_at = self._now()
        self._failed = 0
        self.cursor = cursor

    def opening(self) -> Send:
        """What to send to open the stream."""
        order = self._session.order()
        node = order[self._failed % len(order)]
        headers = {**self._session.settled.headers_for(node), "accept": "text/event-stream"}
        if self.cursor:
            headers["last-event-id"] = self.cursor
        return Send(
            node=node,
            method="GET",
            target=self._target,
            body=None,
            headers=headers,
            seconds=_SILENCE_SECONDS,
        )

    def took(self, event: Event | None) -> None:
        """The stream lives; an event, or only a sign, has come."""
        self._alive_at = self._now()
        if self._failed:
            order = self._session.order()
            self._session.preferred = order[self._failed % len(order)]
            self._failed = 0
        if event is not None and event.cursor:
            self.cursor = event.cursor

    def refused(self, reply: Reply) -> Pause:
        """The answer is an error.

        Raises:
            ClientError: one that no time cures.
        """
        error = error_of(reply)
        if not passes(error):
            raise error
        return self.broke(error)

    def broke(self, error: ClientError | None) -> Pause:
        """The stream is gone; how long to wait before it is opened again.

        Raises:
            ClientError: no node has given it for longer than a call may take.
        """
        if self._now() - self._alive_at > self._retry.total:
            raise error or Unreachable("no node keeps the stream open")
        self._failed += 1
        chance = self._session.settled.ambience.chance()
        rounds = self._failed // len(self._session.settled.places)
        return Pause(seconds=self._retry.pause(rounds, chance) if rounds else 0.0)
