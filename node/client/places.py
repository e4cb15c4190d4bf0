"""Which nodes a client talks to, and what it presents to them.

Law: nothing is sent in the clear to another machine, whatever the caller asked for: a key over
plain HTTP is a key that is gone. Secrets come from files that only their owner can read, and
do not show in a `repr`.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict
from urllib.parse import urlsplit

from node.client.errors import BadArgument
from node.client.pace import Ambience, Retry

if TYPE_CHECKING:
    import ssl

    from transport.identity import NodeKey

DEFAULT_URL: Final = "http://127.0.0.1:9077"
_HEX_DIGITS: Final = 64


class Options(TypedDict, total=False):
    """Keyword arguments of a client.

    Attributes:
        api_key: presented with every request; better, `api_key_file`.
        api_key_file: file that holds it, mode 0600 or 0400; one for each URL when it is a
            sequence.
        agent_id: in whose name requests are made, sent as `X-Agent-Id`.
        fingerprint: SHA-256 of the certificate of the node; one for each URL when it is a
            sequence. With it no CA is needed and none is asked.
        ca_file: PEM file of the CA that issued the certificates, where no fingerprint is given.
        client_cert: PEM file of a certificate to show, for nodes without an API key.
        client_key: PEM file of its private key.
        identity_file: PEM file of the Ed25519 key that `agent_id` has bound; writes are signed.
        retry: how long to try, see `Retry`.
        ambience: where time and entropy come from, for tests.
        transport: an httpx transport to send everything through, for tests and in-process use.
    """

    api_key: str | None
    api_key_file: str | Path | Sequence[str | Path] | None
    agent_id: str | None
    fingerprint: str | Sequence[str] | None
    ca_file: str | Path | None
    client_cert: str | Path | None
    client_key: str | Path | None
    identity_file: str | Path | None
    retry: Retry
    ambience: Ambience
    transport: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One node.

    Attributes:
        url: base address without a slash at its end.
        pin: SHA-256 of its certificate, lowercase hex; empty when none is pinned.
        key: its API key; empty when none is presented.
    """

    url: str
    pin: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Everything a client was told, checked."""

    places: tuple[Place, ...]
    headers: dict[str, str] = field(repr=False)
    retry: Retry
    ambience: Ambience
    identity: "NodeKey | None" = field(default=None, repr=False)
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = field(default="", repr=False)
    transport: Any = None

    def headers_for(self, node: int) -> dict[str, str]:
        """What every request to a node carries."""
        key = self.places[node].key
        return {**self.headers, "x-api-key": key} if key else dict(self.headers)

    def tls(self, place: Place) -> "ssl.SSLContext":
        """The context for one node.

        Raises:
            BadArgument: a file cannot be used.
        """
        # Plain HTTP to the node beside us, the usual case, needs none of it.
        import ssl  # noqa: PLC0415 -- see above

        from node.client.pinning import pinned_context  # noqa: PLC0415 -- see above

        try:
            if place.pin:
                context: ssl.SSLContext = pinned_context(place.pin)
            else:
                context = ssl.create_default_context(cafile=self.ca_file or None)
            if self.client_cert:
                context.load_cert_chain(self.client_cert, self.client_key or None)
        except (OSError, ValueError) as error:
            raise BadArgument(f"a certificate file cannot be used: {error}") from error
        return context


def settle(url: str | Sequence[str], options: Options) -> Settled:
    """Check what a client was told.

    Raises:
        BadArgument: it cannot mean anything, or would give a secret away.
    """
    unknown = options.keys() - Options.__annotations__.keys()
    if unknown:
        raise BadArgument(f"a client has no argument {min(unknown)!r}")
    urls = [url] if isinstance(url, str) else list(url)
    if not urls:
        raise BadArgument("url: expected at least one address")
    transport = options.get("transport")
    pins = _pins(options.get("fingerprint"), len(urls))
    places = tuple(
        Place(url=_checked_url(text, inside=transport is not None), pin=pin, key=key)
        for text, pin, key in zip(urls, pins, _keys(options, len(urls)), strict=True)
    )
    if any(place.pin and not place.url.startswith("https:") for place in places):
        raise BadArgument("fingerprint: only a certificate has one; use https:// addresses")
    return Settled(
        places=places,
        headers=_headers(options),
        retry=options.get("retry") or Retry(),
        ambience=options.get("ambience") or Ambience(),
        identity=_identity(options),
        ca_file=str(options.get("ca_file") or ""),
        client_cert=str(options.get("client_cert") or ""),
        client_key=str(options.get("client_key") or ""),
        transport=transport,
    )


def _pins(given: str | Sequence[str] | None, count: int) -> list[str]:
    if given is None or isinstance(given, str):
        return [_checked_pin(given or "")] * count
    pins = [_checked_pin(text) for text in given]
    if len(pins) != count:
        raise BadArgument(f"fingerprint: {len(pins)} are given for {count} addresses")
    return pins


def _checked_pin(text: str) -> str:
    if not text:
        return ""
    pin = text.strip().lower().removeprefix("sha256:").replace(":", "")
    if len(pin) != _HEX_DIGITS or not set(pin) <= set("0123456789abcdef"):
        raise BadArgument(f"fingerprint: expected the {_HEX_DIGITS} hexadecimal digits of SHA-256")
    return pin


def _checked_url(text: str, *, inside: bool) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError as error:
        raise BadArgument(f"url: {text!r}: {error}") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise BadArgument(f"url: {text!r} is no http:// or https:// address of a node")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadArgument("url: keys and parameters do not belong into an address")
    if parts.scheme == "http" and not inside and not _is_loopback(host):
        raise BadArgument(
            f"url: {text!r} would send everything in the clear to another machine; use https://"
        )
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _headers(options: Options) -> dict[str, str]:
    headers = {"accept": "application/json", "user-agent": "mnemesh-client"}
    agent = options.get("agent_id")
    if agent:
        if not (agent.isascii() and agent.isprintable()):
            raise BadArgument("agent_id: expected 1 to 128 characters of A-Za-z0-9_-:@./")
        headers["x-agent-id"] = agent
    return headers


def _keys(options: Options, count: int) -> list[str]:
    """The API key for each node."""
    key, given = options.get("api_key"), options.get("api_key_file")
    if key is not None and given is not None:
        raise BadArgument("api_key and api_key_file: give one of them")
    if given is None:
        return [_checked_key(key or "")] * count
    files = [given] * count if isinstance(given, (str, Path)) else list(given)
    if len(files) != count:
        raise BadArgument(f"api_key_file: {len(files)} are given for {count} addresses")
    secrets = [_secret(Path(file).expanduser()) for file in files]
    return [_checked_key(secret.decode("utf-8", "replace").strip()) for secret in secrets]


def _checked_key(key: str) -> str:
    if not (key.isascii() and key.isprintable()):
        raise BadArgument("api_key: a key has printable ASCII characters only")
    return key


def _secret(path: Path) -> bytes:
    from transport.errors import TransportError  # noqa: PLC0415 -- only for those who have files
    from transport.secret_files import read_secret  # noqa: PLC0415 -- as above

    try:
        return read_secret(path)
    except TransportError as error:
        raise BadArgument(f"api_key_file: {error}") from error


def _identity(options: Options) -> "NodeKey | None":
    file = options.get("identity_file")
    if file is None:
        return None
    if not options.get("agent_id"):
        raise BadArgument("identity_file: say with agent_id whose key it is")
    from transport.errors import TransportError  # noqa: PLC0415 -- only for those who sign
    from transport.identity import NodeKey  # noqa: PLC0415 -- as above

    try:
        return NodeKey.load(Path(file).expanduser())
    except TransportError as error:
        raise BadArgument(f"identity_file: {error}") from error


def running_node(data_dir: str | Path | None, agent_id: str | None) -> tuple[str, Options]:
    """How to reach the node that runs on a data directory, as the commands find it.

    Raises:
        node.errors.NodeError: none runs there, or its key can be read by others.
    """
    from node.cli.client import running_target  # noqa: PLC0415 -- only for nodes on this machine
    from node.cli.options import paths_of  # noqa: PLC0415 -- as above

    target = running_target(paths_of(None if data_dir is None else Path(data_dir)))
    options = Options(agent_id=agent_id)
    if target.api_key:
        options["api_key"] = target.api_key
    if target.fingerprint and target.url.startswith("https:"):
        options["fingerprint"] = target.fingerprint
        if target.client_cert:
            options["client_cert"] = target.client_cert
            options["client_key"] = target.client_key
    return target.url, options
