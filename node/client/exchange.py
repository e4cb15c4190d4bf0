"""From a call to its result: which node, which try, which pause. No socket, no clock of its own.

Law: a generator that says what to send and is told what became of it, so the client that
blocks and the one that awaits drive the very same decisions. A try is repeated only when
nothing can be done twice by it: a read, or a write under its one idempotency key. A definite
no of a node ends the call; everything is over at the deadline. When any try may have taken
effect, the error that ends the call says so.
"""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from node.client.call import API, Call
from node.client.causal import Seen
from node.client.errors import (
    ApiError,
    Behind,
    BrokenAnswer,
    CertificateRefused,
    ClientError,
    NoAnswer,
    Unreachable,
    api_error,
)
from node.client.places import Settled

T = TypeVar("T")

_TOKEN: Final = "x-causal-token"  # noqa: S105 - the name of a header
_WAIT: Final = "x-causal-wait-ms"
_KEY: Final = "idempotency-key"
_ENTROPY_BYTES: Final = 16
_ELSEWHERE: Final = 300
ERROR: Final = 400
_BAD: Final = 400
_PROXIES_SAY: Final = frozenset({502, 504})
_COME_BACK: Final = frozenset({503, 507})
# Any cheap read: a node answers it once it has reached the token.
_LEVEL: Final = f"{API}/quota"


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send this and say what came back: `Reply` or `Fault`."""

    node: int
    method: str
    target: str
    body: bytes | None
    headers: Mapping[str, str]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One whole answer; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """There is no answer, and this is why."""

    error: ClientError


Step = Send | Pause
Outcome = Reply | Fault | None
Steps = Generator[Step, Outcome, T]


@dataclass(slots=True, kw_only=True)
class Session:
    """What a client remembers between calls.

    Attributes:
        settled: what it was told.
        seen: what it has read and written.
        preferred: the node that answered last; the next call begins there.
    """

    settled: Settled
    seen: Seen
    preferred: int = 0

    def key(self) -> str:
        """A fresh idempotency key."""
        return "client-" + self.settled.ambience.entropy(_ENTROPY_BYTES).hex()

    def order(self) -> list[int]:
        """The nodes, beginning with the preferred one."""
        count = len(self.settled.places)
        return [(self.preferred + step) % count for step in range(count)]


def exchange(session: Session, call: Call[T]) -> Steps[T]:
    """Drive one call to its result.

    Raises:
        ClientError: it has none.
    """
    result: T = yield from _Tries(session, call).run()
    return result


class _Tries:
    """The tries of one call."""

    def __init__(self, session: Session, call: Call[Any]) -> None:
        self._session = session
        self._call = call
        self._key = (call.key or session.key()) if call.writes else ""
        self._retry = session.settled.retry
        self._now = session.settled.ambience.monotonic
        self._deadline = self._now() + self._retry.total
        self._strangers: set[int] = set()
        self._asked_to_wait = 0.0
        self._worst: ClientError | None = None

    def run(self) -> Steps[Any]:
        completed = 0
        while True:
            for node in self._session.order():
                if node in self._strangers:
                    continue
                reply = yield from self._try(node)
                if reply is not None:
                    return self._call.read(_parsed(reply, self._key), reply.headers)
                if self._left() <= 0:
                    raise self._over()
            completed += 1
            if len(self._strangers) == len(self._session.settled.places):
                raise self._over()
            chance = self._session.settled.ambience.chance()
            seconds = max(self._retry.pause(completed, chance), self._asked_to_wait)
            if seconds >= self._left():
                raise self._over()
            self._asked_to_wait = 0.0
            yield Pause(seconds=seconds)

    def _left(self) -> float:
        return self._deadline - self._now()

    def _try(self, node: int) -> Steps[Reply | None]:
        """One try on one node; None when it is worth trying again.

        Raises:
            ApiError: the node said no, for good.
        """
        seen, call = self._session.seen, self._call
        # A write goes to a node that has shown it is level: one that lags would not know the
        # very memory that is to be changed.
        ahead, last = seen.tokens(), ""
        if not call.writes:
            last = ahead.pop()
        elif not seen.behind(node):
            ahead = []
        for token in ahead:
            level = yield from self._ask(node, "GET", _LEVEL, None, token, writes=False)
            if level is None:
                return None
        target, body = call.target, call.body
        return (yield from self._ask(node, call.method, target, body, last, writes=call.writes))

    def _ask(
        self, node: int, method: str, target: str, body: bytes | None, token: str, *, writes: bool
    ) -> Steps[Reply | None]:
        seconds = max(min(self._retry.attempt, self._left()), 0.001)
        headers = self._headers(node, method, target, body, token, seconds, writes=writes)
        reply = yield Send(
            node=node, method=method, target=target, body=body, headers=headers, seconds=seconds
        )
        if isinstance(reply, Fault):
            self._note(node, reply.error, writes=writes)
            return None
        if not isinstance(reply, Reply):
            raise TypeError("a request was not answered by its outcome")
        if _ELSEWHERE <= reply.status < ERROR:
            # A node never sends anybody elsewhere; a key must not follow where a proxy points.
            raise self._marked(BrokenAnswer(f"a redirect ({reply.status}) is no answer of a node"))
        if reply.status < ERROR:
            self._take(node, reply, token, writes=writes)
            return reply
        error = error_of(reply)
        if passes(error):
            self._note(node, error, writes=writes)
            return None
        self._session.preferred = node
        raise self._marked(error)

    def _headers(
        self,
        node: int,
        method: str,
        target: str,
        body: bytes | None,
        token: str,
        seconds: float,
        *,
        writes: bool,
    ) -> dict[str, str]:
        settled = self._session.settled
        headers = {**settled.headers_for(node), **self._call.headers}
        if body is not None:
            headers["content-type"] = "application/json"
        if token:
            headers[_TOKEN] = token
            headers[_WAIT] = str(int(min(self._retry.causal_wait, seconds * 0.8) * 1000))
        if not writes:
            return headers
        headers[_KEY] = self._key
        if settled.identity is not None:
            # Few agents have bound a key; the others need not load what signs.
            from node.auth.signatures import sign_agent  # noqa: PLC0415 -- see above

            nonce = settled.ambience.entropy(_ENTROPY_BYTES).hex()
            path, _, query = target.partition("?")
            signed = sign_agent(settled.identity, method, path, query, body or b"", nonce)
            headers |= {"x-agent-sig": signed, "x-agent-nonce": nonce}
        return headers

    def _take(self, node: int, reply: Reply, token: str, *, writes: bool) -> None:
        self._session.preferred = node
        if writes:
            self._session.seen.wrote(node, _written_token(reply.body))
        else:
            self._session.seen.read(node, token, reply.headers.get(_TOKEN))

    def _note(self, node: int, error: ClientError, *, writes: bool) -> None:
        """Remember why a try was in vain."""
        if isinstance(error, CertificateRefused):
            self._strangers.add(node)
        if isinstance(error, ApiError) and error.retry_after is not None:
            self._asked_to_wait = max(self._asked_to_wait, error.retry_after)
        # The token of a shortfall is not kept: a node that is cut off would hold up the others,
        # which cannot reach what only it has seen.
        if not writes and error.indefinite:
            # A read that got no answer has changed nothing.
            error.indefinite = False
        worst = self._worst
        if worst is None or error.indefinite or not worst.indefinite:
            self._worst = error

    def _over(self) -> ClientError:
        if self._worst is None:
            return self._marked(Unreachable("no node was asked before the deadline"))
        return self._marked(self._worst)

    def _marked(self, error: ClientError) -> ClientError:
        error.idempotency_key = self._key
        if self._worst is not None and self._worst.indefinite:
            error.indefinite = True
        return error


def passes(error: ApiError) -> bool:
    """Whether an error is one that time, or another node, may cure."""
    if isinstance(error, Behind) or error.status in _PROXIES_SAY:
        return True
    if error.status == _BAD and str(error.body.get("field", "")).lower() == _TOKEN:
        return True  # it cannot read the token, so it cannot say that it has reached it
    return error.status in _COME_BACK and error.retry_after is not None


def error_of(reply: Reply) -> ApiError:
    """The error that an answer with a status of 400 or above means."""
    try:
        body: Any = json.loads(reply.body)
    except ValueError:
        body = {}
    text = reply.headers.get("retry-after", "")
    wait = float(text) if text.isascii() and text.isdigit() else None
    error = api_error(reply.status, body, retry_after=wait)
    if reply.status in _PROXIES_SAY:
        error.indefinite = True
    return error


def _parsed(reply: Reply, key: str) -> dict[str, Any]:
    if not reply.body:
        return {}
    if "json" not in reply.headers.get("content-type", ""):
        return {"text": reply.body.decode("utf-8", "replace")}
    try:
        value = json.loads(reply.body)
    except ValueError as error:
        broken = BrokenAnswer(f"the answer is no JSON: {error}")
        broken.idempotency_key = key
        raise broken from error
    return value if isinstance(value, dict) else {"items": value}


def _written_token(body: bytes) -> str | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return _token_in(value)


def _token_in(value: Any) -> str | None:
    durability = value.get("durability") if isinstance(value, dict) else None
    token = durability.get("token") if isinstance(durability, dict) else None
    return token if isinstance(token, str) else None


def no_answer(seconds: float, url: str) -> NoAnswer:
    """The fault of a try whose time was over."""
    return NoAnswer(f"{url} did not answer within {seconds:.3g} s")
