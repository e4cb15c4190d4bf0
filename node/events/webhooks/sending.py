"""One delivery: a signed POST to an address that was just looked at.

Law: no redirect is followed, no proxy of the environment asked, no cookie kept, and of the
answer nothing is read but its status, in a few kilobytes of memory: a client that reads whole
answers would keep whatever a receiver cares to say. Who is asked for a decision may say a bounded
number of bytes. The connection goes to the addresses that
were looked at, in their order. A delivery ends after a fixed time whatever happens.
"""

import asyncio
import functools
import hashlib
import hmac
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from node import __version__
from node.events.webhooks.guard import Destination, Refused, Resolver, Unresolved, look

SIGNATURE: Final = "X-Mnemesh-Signature"
DELIVERED: Final = "delivered"
FAILED: Final = "failed"
REFUSED: Final = "refused"
UNRESOLVED: Final = "unresolved"
_OK: Final = range(200, 300)
_INTERIM: Final = range(100, 200)
_INTERIM_MAX: Final = 8
_LINES_MAX: Final = 128
_LINE_BYTES_MAX: Final = 8192
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one try; `why` has neither the URL nor the secret in it.

    Attributes:
        kind: delivered, failed, refused or unresolved.
        why: for people.
        status: of the answer; 0 when there was none.
        said: what stood in the answer, as far as it was asked for.
    """

    kind: str
    why: str = ""
    status: int = field(default=0, compare=False)
    said: bytes = field(default=b"", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """What is sent.

    Attributes:
        url: where.
        body: bytes of JSON.
        headers: further ones.
        loopback: whether it may lead to this machine.
        seconds: longest time for all of it.
        answer_bytes_max: how much of the body of the answer is read.
    """

    url: str
    body: bytes
    headers: Mapping[str, str]
    loopback: bool
    seconds: float
    answer_bytes_max: int = 0


def signature(secret: str, body: bytes) -> str:
    """The value of the header: HMAC-SHA-256 of the body (RFC 2104), in hex."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


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
    context = None
    if destination.url.scheme == "https":
        context = await asyncio.to_thread(_context)  # the first time it reads many certificates
    trouble: Exception | None = None
    for address in destination.addresses:
        try:
            reader, writer = await asyncio.open_connection(
                address,
                destination.port,
                ssl=context,
                server_hostname=destination.host.removesuffix(".") if context else None,
                limit=_LINE_BYTES_MAX,
            )
        except OSError as error:
            trouble = error
            continue
        try:
            writer.write(_request(destination, wanted))
            await writer.drain()
            status = await _status(reader)
            said = b""
            if wanted.answer_bytes_max:
                said = await _said(reader, wanted.answer_bytes_max)
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            return Outcome(kind=FAILED, why=type(error).__name__)
        finally:
            writer.transport.abort()  # whatever it would still say
        if status in _OK:
            return Outcome(kind=DELIVERED, status=status, said=said)
        return Outcome(kind=FAILED, why=f"answered {status}", status=status, said=said)
    return Outcome(kind=FAILED, why=type(trouble).__name__)


@functools.cache
def _context() -> ssl.SSLContext:
    """Trusts whom the machine trusts."""
    return ssl.create_default_context()


def _request(destination: Destination, wanted: Try) -> bytes:
    """The request on the wire (RFC 9112, section 3)."""
    url = destination.url
    host = url.raw_authority.rpartition("@")[2]
    headers = {
        "Host": host,
        "Content-Type": "application/json",
        "User-Agent": f"mnemesh/{__version__}",
        "Accept": "*/*",
        "Connection": "close",
        "Content-Length": str(len(wanted.body)),
        **wanted.headers,
    }
    lines = [f"POST {url.raw_path_qs} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    if any(not line.isascii() or not line.isprintable() for line in lines):
        raise ValueError("a line of the request is none")
    return "\r\n".join([*lines, "", ""]).encode() + wanted.body


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of the answer, after a few that are only on the way (RFC 9110, 15.2).

    Raises:
        ValueError: it is no HTTP, or there is no end of what is on the way.
        asyncio.IncompleteReadError: the receiver hung up.
        asyncio.LimitOverrunError: a line is too long.
    """
    for _ in range(_INTERIM_MAX):
        found = _STATUS.fullmatch(await reader.readuntil(b"\n"))
        if found is None:
            raise ValueError("the answer is no HTTP")
        status = int(found[1])
        if status not in _INTERIM:
            return status
        for _ in range(_LINES_MAX):
            if not (await reader.readuntil(b"\n")).strip():
                break
    raise ValueError("the answer has no end")


async def _said(reader: asyncio.StreamReader, most: int) -> bytes:
    """The first bytes of the body of an answer; its transfer coding is not undone.

    Raises:
        ValueError: there is no end of its header.
        asyncio.IncompleteReadError: the receiver hung up within its header.
        asyncio.LimitOverrunError: a line is too long.
    """
    length = most
    for _ in range(_LINES_MAX):
        line = (await reader.readuntil(b"\n")).strip()
        if not line:
            break
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and value.strip().isdigit():
            length = min(most, int(value))
    else:
        raise ValueError("the header of the answer has no end")
    out = b""
    while len(out) < length and (part := await reader.read(length - len(out))):
        out += part
    return out
