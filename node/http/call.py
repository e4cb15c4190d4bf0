"""One request while it is served.

Law: nothing is read twice and nothing is parsed that no handler asks for. The body is bound
by its declared length before the first byte of it is read.
"""

import asyncio
import functools
import hashlib
import ipaddress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_exceptions import HTTPException
from multidict import istr

from crdt.roles import SYSTEM_ADMIN
from node.auth.door import AGENT, objection
from node.auth.keys import UNLIMITED, KeyGrant
from node.auth.refusals import AuthRefused
from node.contracts import Caller, RetryKey
from node.http.problems import Problem
from node.http.services import Door, Services
from node.http.strict_json import parse
from node.memory.memories import Ask

if TYPE_CHECKING:
    from node.http.heads import Head

RETRY: Final = istr("Idempotency-Key")
"""Header by which a retry is known."""
_UNREAD: Final[Any] = object()
_PARAMETERS_MAX: Final = 100
_IDENTITY: Final = ("", "identity")


class Call:
    """One request: what was asked, by whom, of which node.

    Attributes:
        request: aiohttp's form of it; the connection alone where there is a head.
        path: as received, without the query.
        query_text: as received.
        params: what the pattern of the route took out of the path.
        route: the one that serves this; None until, and unless, there is one.
        routes: every `node.http.routes.Route` that is served here.
        peer: fingerprint of the allowlisted certificate, when one was checked.
        grant: what the API key admits to.
        signer: the agent whose bound key signed the request; empty when none did.
        services: the node.
        door: the listener it came through.
    """

    __slots__ = (
        "_body",
        "_json",
        "_query",
        "_reader",
        "door",
        "grant",
        "headers",
        "method",
        "params",
        "path",
        "peer",
        "query_text",
        "request",
        "route",
        "routes",
        "services",
        "signer",
    )

    def __init__(
        self,
        request: web.BaseRequest,
        services: Services,
        door: Door,
        head: "Head | None" = None,
        body: bytes = b"",
    ) -> None:
        self.request = request
        self.services = services
        self.door = door
        self.params: tuple[str, ...] = ()
        if head is None:
            self.method = request.method
            self.path, _, query = request.raw_path.partition("?")
            self.query_text = query.partition("#")[0]
            self.headers = request.headers
        else:
            self.method, self.path, self.query_text, self.headers, _, _, self.params = head
        self.route: Any = None
        self.routes: tuple[Any, ...] = ()
        self.peer: str | None = None
        self.grant: KeyGrant = UNLIMITED
        self.signer = ""
        self._body = body
        self._json: Any = _UNREAD
        self._query: dict[str, str] | None = None
        self._reader: Caller | None = None

    @property
    def query(self) -> dict[str, str]:
        """Parameters of the address; repeated ones are joined with commas.

        Raises:
            Problem: they are not UTF-8, or too many.
        """
        if self._query is None:
            self._query = self._read_query()
        return self._query

    def _read_query(self) -> dict[str, str]:
        out: dict[str, str] = {}
        try:
            pairs = parse_qsl(
                self.query_text,
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_PARAMETERS_MAX,
            )
        except ValueError as error:
            raise Problem(400, "invalid_query", f"the query cannot be read: {error}") from error
        for name, value in pairs:
            if "\0" in value:
                raise Problem(400, "invalid_query", f"{name}: contains U+0000", field=name)
            out[name] = f"{out[name]},{value}" if name in out else value
        return out

    def check_params(self) -> None:
        """Hold what the path names to what may stand in any text.

        Raises:
            Problem: U+0000, or bytes that are no UTF-8.
        """
        for value in self.params:
            if "\0" in value:
                raise Problem(400, "invalid_path", "the address contains U+0000")
            if not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError as error:
                    raise Problem(400, "invalid_path", "the address is not UTF-8") from error

    async def receive(self) -> None:
        """Read the body, bounded in size and time.

        Raises:
            Problem: too large, too slow, compressed, or broken off.
        """
        payload = self.request.content
        headers = self.headers
        if hdrs.CONTENT_ENCODING in headers:
            self._refuse_encoding(headers[hdrs.CONTENT_ENCODING])
        if hdrs.CONTENT_LENGTH in headers:
            self.check_size(int(headers[hdrs.CONTENT_LENGTH]))
        if hdrs.EXPECT in headers:
            await self._answer_expectation(headers[hdrs.EXPECT])
        if payload.is_eof() and payload.exception() is None:
            self._body = payload.read_nowait()
            self.check_size(len(self._body))
            return
        seconds = self.services.limits.body_timeout_ms / 1000
        try:
            async with asyncio.timeout(seconds):
                self._body = await self._read_all()
        except TimeoutError as error:
            raise Problem(
                408, "request_timeout", f"the body took longer than {seconds:g} s", cut=True
            ) from error
        except (HttpProcessingError, HTTPException, web.RequestPayloadError) as error:
            raise Problem(400, "invalid_body", "the body broke off", cut=True) from error

    async def _read_all(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        payload = self.request.content
        while not payload.at_eof():
            part = await payload.readany()
            size += len(part)
            self.check_size(size)
            parts.append(part)
        return b"".join(parts)

    def check_size(self, size: int) -> None:
        """Hold a body to the limit.

        Raises:
            Problem: 413.
        """
        most = self.services.limits.body_bytes_max
        if size > most:
            raise Problem(
                413,
                "body_too_large",
                f"the body has {size} bytes or more, at most {most} are taken",
                limit=most,
            )

    def _refuse_encoding(self, encoding: str) -> None:
        if encoding.strip().lower() not in _IDENTITY:
            raise Problem(
                415,
                "content_encoding_not_supported",
                "bodies are taken as they are; send this one without Content-Encoding",
                headers={"Accept-Encoding": "identity"},
            )

    async def _answer_expectation(self, expectation: str) -> None:
        if expectation.strip().lower() != "100-continue":
            raise Problem(417, "expectation_failed", "only 100-continue can be expected")
        if not self.request.content.is_eof():
            await self.request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.request.writer.output_size = 0

    @property
    def body(self) -> bytes:
        """The body as received."""
        return self._body

    @property
    def json(self) -> Any:
        """The body as a JSON value.

        Raises:
            node.http.strict_json.BadJsonError: it is none.
        """
        if self._json is _UNREAD:
            self._json = parse(self._body)
        return self._json

    @property
    def fields(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            Problem: it is another JSON value.
        """
        value = self.json
        if not isinstance(value, dict):
            raise Problem(400, "invalid_json", "the body must be a JSON object")
        return value

    @property
    def reader(self) -> Caller:
        """Who reads: the agent of the key, else the header alone; nameless without both."""
        if self._reader is None:
            agent = self.grant.agent_id
            if not agent:
                agent = self.services.memories.caller({}, self.headers.get(AGENT))
            self._reader = self._caller(agent)
        return self._reader

    @property
    def reader_agent(self) -> str:
        """The name of `reader`; empty for a nameless caller."""
        return self.reader.agent

    @property
    def is_administrator(self) -> bool:
        """Whether an administrator asks, with a key that does not say less.

        Who has bound a key of its own proves with it that it is who it says.
        """
        if not self.grant.admits(SYSTEM_ADMIN):
            return False
        caller = self.reader
        if caller.agent not in self.services.administrators():
            return False
        return caller.attested or not self.services.requires_signature(caller.agent)

    def ask(self, body: dict[str, Any] | None = None) -> Ask:
        """Caller, body and retry key of a write.

        Args:
            body: fields that may name the caller; those of the request when left out.

        Raises:
            AuthRefused: the request may not write in the name of that agent.
            node.memory.problems.InvalidField: a name does not have the shape of one.
        """
        memories = self.services.memories
        fields = self.fields if body is None else body
        agent = memories.caller(fields, self.headers.get(AGENT)) or self.grant.agent_id
        refusal = self.objection(agent)
        if refusal is not None:
            raise refusal
        key = self.headers.get(RETRY)
        if key is None:
            return Ask(caller=self._caller(agent or memories.nameless(None)), body=fields)
        most = self.services.limits.idempotency_key_chars_max
        if not 1 <= len(key) <= most or not key.isprintable():
            raise Problem(400, "invalid_field", f"{RETRY}: expected 1 to {most} characters")
        agent = agent or memories.nameless(key)
        return Ask(
            caller=self._caller(agent),
            body=fields,
            retry=RetryKey(agent=agent, key=key, body=self._fingerprint()),
        )

    def objection(self, agent: str) -> AuthRefused | None:
        """Why this request may not write in the name of an agent; None when it may."""
        return objection(self, agent)

    @property
    def still_admitted(self) -> bool:
        """Whether the key that let a long answer begin is in force to this moment.

        Who came without one when none was demanded must go when one is.
        """
        if self.grant is UNLIMITED:
            return bool(self.door.api_keys()) or not self.door.key_ring().demanded
        digest = bytes.fromhex(self.grant.digest)
        return self.door.key_ring().find(digest, self.services.now_ms()) is not None

    @property
    def local(self) -> bool:
        """Whether the request came over loopback."""
        return not self.door.tls or from_loopback(self.request.transport)

    def _caller(self, agent: str) -> Caller:
        grant, services = self.grant, self.services
        if agent:
            services.last_seen.touch(agent, services.now_ms())
        attested = bool(agent) and agent == self.signer
        return _same_caller(agent, grant.role, grant.namespaces or None, self.local, attested)

    def _fingerprint(self) -> bytes:
        """32 bytes that stand for this very request."""
        line = f"{self.method}\n{self.path}?{self.query_text}\n"
        state = hashlib.sha256(line.encode(errors="surrogateescape"))
        state.update(self._body)
        return state.digest()


@functools.lru_cache(maxsize=1024)
def _same_caller(
    agent: str,
    role: str | None,
    namespaces: tuple[str, ...] | None,
    local: bool,  # noqa: FBT001 - a field
    attested: bool,  # noqa: FBT001 - a field
) -> Caller:
    return Caller(agent=agent, role=role, namespaces=namespaces, local=local, attested=attested)


def from_loopback(transport: asyncio.BaseTransport | None) -> bool:
    """Whether the other side of a connection is on this machine (RFC 1122, 3.2.1.3)."""
    name = None if transport is None else transport.get_extra_info("peername")
    return isinstance(name, tuple) and _is_loopback(str(name[0]))


@functools.lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
