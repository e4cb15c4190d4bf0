"""How commands talk to a running node: over its agent listener, with the API.

Law: where to go and what to present is read from the facts that the node left in its data
directory, believed only while the directory lock is held. Over TLS nothing is sent before
the certificate's SHA-256 is the one in those facts. An answer is data or a typed error.
"""

import hashlib
import http.client
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlencode, urlsplit

from node.cli.options import options_of
from node.errors import Exit, NodeError, Refused, Unreachable
from node.facts import LastExit, ListenerFacts
from node.lock import find_holder
from node.paths import Paths
from node.settings import check_secret_modes

_UNSIGNED: Final = "agent_signature_missing"
_TIMEOUT_SECONDS: Final = 30.0

_EXITS: Final = {
    400: Exit.USAGE,
    401: Exit.REFUSED,
    403: Exit.REFUSED,
    405: Exit.USAGE,
    413: Exit.USAGE,
    429: Exit.REFUSED,
}
_NAMED_EXITS: Final[dict[object, Exit]] = {
    "quorum_not_met": Exit.QUORUM,
    Refused.code: Exit.REFUSED,
}


class AnswerError(NodeError):
    """The node answered with an error; carries the answer for `--json`."""

    code: ClassVar[str] = "answer"

    def __init__(self, answer: "Answer", what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.answer = answer
        # Shadows the class attribute: here the exit code depends on what the node said.
        self.exit_code = _exit_of(answer)  # type: ignore[misc]  # see above

    def facts(self) -> dict[str, object]:
        """The node's own words, with the exit code added."""
        said = self.answer.data if isinstance(self.answer.data, dict) else {}
        return {**super().facts(), **said, "status": self.answer.status}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, headers (lower case) and body of one answer."""

    status: int
    headers: Mapping[str, str]
    data: Any


def _exit_of(answer: Answer) -> Exit:
    said = answer.data.get("error") if isinstance(answer.data, dict) else None
    # Codes that are named go before their status: 409 alone may be anything.
    return _NAMED_EXITS.get(said) or _EXITS.get(answer.status, Exit.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A node to talk to.

    Attributes:
        url: base address, http or https.
        fingerprint: pin of the certificate that https must show, or of its key.
        api_key: presented with each request; empty when there is none.
        client_cert: shown over https where there is no API key.
        client_key: its private key.
        key_dir: folder of keys with which agents may sign; empty when it is unknown.
    """

    url: str
    fingerprint: str = ""
    api_key: str = field(default="", repr=False)
    client_cert: str = ""
    client_key: str = ""
    key_dir: str = ""


def _has_key(der: bytes, pin: str) -> bool:
    if ":" not in pin:
        return False
    # Only now: few pins are of keys, and every command would pay for it.
    from transport.pins import admits  # noqa: PLC0415 -- see above

    return admits({pin}, der)


class _PinnedConnection(http.client.HTTPSConnection):
    """HTTPS to whoever owns one certificate, whatever its name or issuer."""

    def __init__(self, host: str, port: int, *, target: Target, timeout: float) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # The pin below replaces chain and name: it accepts exactly one certificate.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if target.client_cert:
            context.load_cert_chain(target.client_cert, target.client_key)
        super().__init__(host, port, timeout=timeout, context=context)
        self._pin = target.fingerprint
        self.shown = ""

    def connect(self) -> None:
        super().connect()
        shown = self.sock.getpeercert(binary_form=True) or b""
        self.shown = hashlib.sha256(shown).hexdigest()
        if self.shown != self._pin and not _has_key(shown, self._pin):
            self.close()
            raise Unreachable(
                f"another certificate answers at {self.host}:{self.port}",
                why="its fingerprint is not the one the node wrote down",
                fix="Check what listens there; nothing was sent to it",
            )


class Client:
    """Speaks HTTP to one node; one connection per request, so nothing is left open.

    Args:
        target: the node.
        agent_id: sent as `X-Agent-Id` when given.
    """

    def __init__(self, target: Target, *, agent_id: str | None = None) -> None:
        self._target = target
        parts = urlsplit(target.url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (443 if self._tls else 80)
        self._headers = {"accept": "application/json"}
        if target.api_key:
            self._headers["x-api-key"] = target.api_key
        if agent_id:
            self._headers["x-agent-id"] = agent_id

    @property
    def url(self) -> str:
        """Where this client talks to."""
        return self._target.url

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = _TIMEOUT_SECONDS,
    ) -> Answer:
        """Send one request and return whatever the node answers.

        When the agent's name needs a signature and its key is here, it is sent again, signed.

        Raises:
            Unreachable: no answer.
        """
        wanted = {key: value for key, value in (query or {}).items() if value is not None}
        full = path + ("?" + urlencode(wanted) if wanted else "")
        sent = dict(self._headers) | dict(headers or {})
        data = None
        if body is not None:
            data = json.dumps(body, ensure_ascii=False).encode()
            sent["content-type"] = "application/json"
        answer = self._send(method, full, data, sent, timeout)
        agent, key_dir = sent.get("x-agent-id"), self._target.key_dir
        must_sign = isinstance(answer.data, dict) and answer.data.get("error") == _UNSIGNED
        if must_sign and agent and key_dir:
            # Only now: few agents have bound a key, and every command would pay for it.
            from node.cli.signing import signature_headers  # noqa: PLC0415 -- see above

            signed = signature_headers(Path(key_dir), agent, method, full, data or b"")
            if signed is not None:
                return self._send(method, full, data, sent | signed, timeout)
        return answer

    def _send(
        self,
        method: str,
        address: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: float,
    ) -> Answer:
        connection = self._connect(timeout)
        try:
            connection.request(method, address, body=body, headers=dict(headers))
            return _answer(connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"no answer from {self._target.url}",
                why=str(error) or type(error).__name__,
                fix="See mnemesh status",
            ) from error
        finally:
            connection.close()

    def call(self, method: str, path: str, **options: Any) -> Answer:
        """Like `ask`, but an error status becomes an error.

        Raises:
            AnswerError: the node said no.
            Unreachable: no answer.
        """
        answer = self.ask(method, path, **options)
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise explain(answer)
        return answer

    def lines(
        self,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        silence: float,
    ) -> Iterator[str]:
        """The lines of an endless answer, as they come.

        Args:
            path: where.
            query: parameters.
            headers: further ones.
            silence: longest time without a line, in seconds.

        Raises:
            AnswerError: the node said no.
            Unreachable: no answer, or it broke off.
        """
        wanted = {key: value for key, value in (query or {}).items() if value is not None}
        connection = self._connect(silence)
        try:
            full = path + ("?" + urlencode(wanted) if wanted else "")
            connection.request("GET", full, headers=self._headers | dict(headers or {}))
            response = connection.getresponse()
            if response.status >= http.HTTPStatus.BAD_REQUEST:
                raise explain(_answer(response))
            for line in response:
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"{self._target.url} is silent",
                why=str(error) or type(error).__name__,
                fix="See mnemesh status",
            ) from error
        finally:
            connection.close()

    def shown_fingerprint(self) -> str:
        """SHA-256 of the certificate that https shows now, once it was found to be the pinned one.

        Raises:
            Unreachable: nobody answers, or somebody else does.
        """
        connection = _PinnedConnection(
            self._host, self._port, target=self._target, timeout=_TIMEOUT_SECONDS
        )
        try:
            connection.connect()
        except OSError as error:
            raise Unreachable(
                f"no answer from {self._target.url}", why=str(error) or type(error).__name__
            ) from error
        finally:
            connection.close()
        return connection.shown

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls:
            return _PinnedConnection(self._host, self._port, target=self._target, timeout=timeout)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)


def _answer(response: http.client.HTTPResponse) -> Answer:
    raw = response.read()
    headers = {key.lower(): value for key, value in response.getheaders()}
    data: Any = raw.decode("utf-8", "replace")
    if "json" in headers.get("content-type", ""):
        try:
            data = json.loads(raw)
        except ValueError:
            data = raw.decode("utf-8", "replace")
    return Answer(status=response.status, headers=headers, data=data)


_UNMINTED: Final = "Nothing was changed; bring members back, mnemesh node list shows who is away"
_FIXES: Final = {
    "quorum_not_met": "The write is stored on this node and spreads later; see mnemesh node list",
    "joining": "The node is still learning the state of its mesh; try again in a moment",
    "recovering": "It swaps stores, or was restored and has to pull first: see mnemesh status",
    "draining": "The node is shutting down",
    "overloaded": "Try again in a moment",
    "clock_skew": "Set the clock of this machine right (chrony or ntpd)",
    _UNSIGNED: "Run this where the key of the agent is kept; mnemesh identity list shows which are",
    "disk_full": "Make room on the disk of the node; it resumes by itself",
}


def explain(answer: Answer) -> AnswerError:
    """The error that an answer means."""
    data = answer.data if isinstance(answer.data, dict) else {}
    code = str(data.get("error", f"the node answered {answer.status}"))
    if code == "quorum_not_met":
        why, held = str(data.get("reason", "")), f"of {data.get('needed')} needed members"
        if data.get("got") == 0:  # not even this node: it was not minted
            return AnswerError(answer, f"0 {held} would hold it", why=why, fix=_UNMINTED)
        return AnswerError(
            answer, f"{data.get('got')} {held} hold the write", why=why, fix=_FIXES[code]
        )
    detail = str(data.get("detail", "") or "")
    if answer.status == http.HTTPStatus.UNAUTHORIZED and not code.startswith("agent_"):
        return AnswerError(answer, code, fix="Check the API key file of the node")
    return AnswerError(answer, code, why=detail, fix=_FIXES.get(code, ""))


def running_target(paths: Paths, *, loose: bool = False) -> Target:
    """The node that runs on a data directory.

    Args:
        paths: of the node.
        loose: take its API key even when others can read it.

    Raises:
        Unreachable: none does; says how the last one ended.
        LooseModes: its API key is readable by others.
    """
    facts = running_facts(paths)
    if facts is None:
        raise Unreachable(
            f"no node runs on {paths.data_dir}",
            why=why_not_running(paths),
            fix=f"Start it: mnemesh serve{options_of(paths)}",
        )
    api_key = ""
    if facts.api_key_file:
        if not loose:
            check_secret_modes(Path(facts.api_key_file))
        api_key = Path(facts.api_key_file).read_text(encoding="utf-8").strip()
    return Target(
        url=facts.agent_url or facts.peer_url,
        fingerprint=facts.fingerprint,
        api_key=api_key,
        client_cert=facts.client_cert,
        client_key=facts.client_key,
        key_dir=facts.key_dir,
    )


def running_facts(paths: Paths) -> ListenerFacts | None:
    """Facts of the node that runs on a data directory; None when none runs or it is starting."""
    holder = find_holder(paths.lock)
    facts = ListenerFacts.read(paths.facts)
    if holder is None or facts is None or facts.pid != holder.pid:
        return None
    return facts


def why_not_running(paths: Paths) -> str:
    """In words, why nothing can be reached on a data directory."""
    holder = find_holder(paths.lock)
    if holder is not None:
        return f"process {holder.pid} is starting and does not listen yet"
    if not paths.data_dir.exists():
        return "the folder does not exist"
    facts = ListenerFacts.read(paths.facts)
    last = LastExit.read(paths.last_exit)
    if facts is None and last is None:
        return "it was never started"
    if last is None or (facts is not None and last.at_ms < facts.started_at):
        return "the last process ended without a word (killed, or power was lost)"
    when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(last.at_ms / 1000))
    if last.code == 0:
        return f"it was stopped at {when}"
    words = f": {last.what}" if last.what else ""
    return f"it ended at {when} with exit code {last.code}{words}"
