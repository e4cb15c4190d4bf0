"""One delivery: a signed POST to an address that was just looked at.

Law: no redirect is followed, no proxy of the environment asked, no cookie kept, and of the
answer nothing is read but its status. A delivery ends after a fixed time whatever happens.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node import __version__
from node.events.webhooks.guard import Destination, Refused, Resolver, Unresolved, look

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult

SIGNATURE: Final = "X-Mnemesh-Signature"
DELIVERED: Final = "delivered"
FAILED: Final = "failed"
REFUSED: Final = "refused"
UNRESOLVED: Final = "unresolved"
_OK: Final = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one try; `why` has neither the URL nor the secret in it."""

    kind: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """What is sent.

    Attributes:
        url: where.
        body: bytes of JSON.
        headers: further ones.
        loopback: whether it may lead to this machine.
        seconds: longest time for all of it.
    """

    url: str
    body: bytes
    headers: Mapping[str, str]
    loopback: bool
    seconds: float


def signature(secret: str, body: bytes) -> str:
    """The value of the header: HMAC-SHA-256 of the body (RFC 2104), in hex."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


class Pinned:
    """A resolver that knows the addresses of one destination, and nothing else."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination

    async def resolve(
        self, host: str, port: int = 0, family: int = socket.AF_UNSPEC
    ) -> "list[ResolveResult]":
        """The addresses that were looked at.

        Raises:
            OSError: something else is asked for.
        """
        if host != self._destination.host:
            raise OSError("only the host of the webhook is resolved")
        found: list[ResolveResult] = []
        for text in self._destination.addresses:
            six = ipaddress.ip_address(text).version == 6  # noqa: PLR2004 - the version of IP
            its = socket.AF_INET6 if six else socket.AF_INET
            if family in (socket.AF_UNSPEC, its):
                found.append(
                    {
                        "hostname": host,
                        "host": text,
                        "port": port,
                        "family": its,
                        "proto": 0,
                        "flags": socket.AI_NUMERICHOST,
                    }
                )
        return found

    async def close(self) -> None:
        """Nothing is open."""


async def send(wanted: Try, resolver: Resolver) -> Outcome:
    """Try to deliver once; every expected failure is an outcome."""
    try:
        async with asyncio.timeout(wanted.seconds):
            destination = await look(wanted.url, resolver, loopback=wanted.loopback)
            return await _post(destination, wanted)
    except Refused as error:
        return Outcome(kind=REFUSED, why=str(error))
    except Unresolved as error:
        return Outcome(kind=UNRESOLVED, why=str(error))
    except TimeoutError:
        return Outcome(kind=FAILED, why="no answer in time")


async def _post(destination: Destination, wanted: Try) -> Outcome:
    from aiohttp import (  # noqa: PLC0415 - the client half is needed by deliveries alone
        ClientError,
        ClientSession,
        DummyCookieJar,
        TCPConnector,
    )

    connector = TCPConnector(
        resolver=Pinned(destination),  # type: ignore[arg-type]  # as much of one as is asked for
        use_dns_cache=False,
        force_close=True,
        limit=1,
    )
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"mnemesh/{__version__}",
        **wanted.headers,
    }
    try:
        async with (
            ClientSession(
                connector=connector,
                cookie_jar=DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            ) as session,
            session.post(
                destination.url, data=wanted.body, headers=headers, allow_redirects=False
            ) as answer,
        ):
            if answer.status in _OK:
                return Outcome(kind=DELIVERED)
            return Outcome(kind=FAILED, why=f"answered {answer.status}")
    except (ClientError, OSError, ValueError) as error:
        return Outcome(kind=FAILED, why=type(error).__name__)
