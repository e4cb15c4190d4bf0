"""What stands between a webhook and the network (server-side request forgery, CWE-918).

Law: a URL is read once; its host is resolved once per delivery, every address of the answer is
looked at, and the connection goes to one of those very addresses: what the name says a moment
later changes nothing. One bad address refuses all. No answer means nothing is sent.
"""

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Final, Protocol

from yarl import URL

from node.events.webhooks.addresses import literal, why_forbidden, why_near

URL_CHARS_MAX: Final = 2048
DNS_SECONDS: Final = 5.0
ADDRESSES_MAX: Final = 16
_SCHEMES: Final = ("http", "https")
_USUAL_PORTS: Final = (80, 443)
_LOW_PORTS_END: Final = 1024
_PORT_MAX: Final = 65535
_FOREIGN_PORTS: Final = frozenset(
    [
        *(1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566),
        *range(6665, 6670),
        *(6679, 6697, 10080),
    ]
)
"""Ports above 1023 that browsers do not open either (WHATWG Fetch, section 2.9)."""


class Refused(Exception):  # noqa: N818 - it says what happened
    """A webhook may not be sent there; the text says why."""


class Unresolved(Exception):  # noqa: N818 - it says what happened
    """The host of a webhook has no address now."""


class Resolver(Protocol):
    """Finds the addresses of a name."""

    async def resolve(self, host: str, port: int) -> list[str]:
        """All addresses of a name.

        Raises:
            OSError: there is none, or nobody answers.
        """
        ...


class SystemResolver:
    """Asks the resolver of the machine."""

    async def resolve(self, host: str, port: int) -> list[str]:
        """All addresses of a name.

        Raises:
            OSError: there is none, or nobody answers.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(row[4][0]) for row in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where one delivery goes.

    Attributes:
        url: as given, read once.
        host: as it is resolved.
        port: of the connection.
        addresses: the only ones that may be connected to.
    """

    url: URL
    host: str
    port: int
    addresses: tuple[str, ...]


def read_url(text: str, *, loopback: bool = False) -> tuple[URL, str, int]:
    """A webhook URL with its host and port, as far as it can be judged without the network.

    Args:
        text: as given.
        loopback: let this machine pass, for tests and labs.

    Raises:
        Refused: nothing may ever be sent there.
    """
    if len(text) > URL_CHARS_MAX:
        raise Refused(f"has {len(text)} characters, at most {URL_CHARS_MAX} are allowed")
    if not text.isprintable() or any(char in text for char in " \\#"):
        raise Refused("has a space, a backslash, a # or a control character in it")
    try:
        url = URL(text)
        host, port = (url.raw_host or "").lower(), url.port
    except ValueError as error:
        raise Refused("is no URL") from error
    if url.scheme not in _SCHEMES or not host:
        raise Refused("must be an absolute http or https URL")
    authority = re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]
    if url.raw_user is not None or url.raw_password is not None or "@" in authority:
        raise Refused("must not carry a user name or password")
    if port is None or not _is_sane(port):
        raise Refused(f"port {port} is none that webhooks are sent to")
    _judge_host(host, loopback=loopback)
    return url, host, port


def _is_sane(port: int) -> bool:
    if port in _USUAL_PORTS:
        return True
    return _LOW_PORTS_END <= port <= _PORT_MAX and port not in _FOREIGN_PORTS


def _judge_host(host: str, *, loopback: bool) -> None:
    try:
        address = literal(host)
    except ValueError as error:
        raise Refused(f"host {error}") from error
    if address is not None:
        why = why_forbidden(address, loopback=loopback)
    else:
        why = why_near(host, loopback=loopback)
    if why is not None:
        raise Refused(f"host {why}")


async def look(text: str, resolver: Resolver, *, loopback: bool = False) -> Destination:
    """Resolve and judge the host of a webhook, for one delivery.

    Args:
        text: the URL.
        resolver: asked once.
        loopback: let this machine pass, for tests and labs.

    Raises:
        Refused: the URL, or one of the addresses, is none that may be sent to.
        Unresolved: there is no address now.
    """
    url, host, port = read_url(text, loopback=loopback)
    address = literal(host)
    if address is not None:
        return Destination(url=url, host=host, port=port, addresses=(str(address),))
    try:
        async with asyncio.timeout(DNS_SECONDS):
            found = await resolver.resolve(host, port)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise Unresolved("the host of the webhook cannot be resolved") from error
    if not found:
        raise Unresolved("the host of the webhook has no address")
    return Destination(url=url, host=host, port=port, addresses=_judged(found, loopback=loopback))


def _judged(found: list[str], *, loopback: bool) -> tuple[str, ...]:
    if len(found) > ADDRESSES_MAX:
        raise Refused(f"host has {len(found)} addresses, at most {ADDRESSES_MAX} are looked at")
    for text in found:
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise Refused("host resolves to something that is no address") from error
        why = why_forbidden(address, loopback=loopback)
        if why is not None:
            raise Refused(f"host resolves to what {why}")
    return tuple(str(ipaddress.ip_address(text)) for text in found)
