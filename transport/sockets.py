"""Opening the listening sockets of a node.

Law: either every address that was asked for is bound, or none is and the error says which one,
why, and what to do. Nothing but loopback is ever bound for plain HTTP.
"""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Sequence

from transport.errors import (
    AddressUnavailableError,
    ListenError,
    PlainListenError,
    PortDeniedError,
    PortInUseError,
)

__all__ = ["open_sockets"]

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  # what an operator asks for with "*"
_NO_SUCH_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


async def open_sockets(
    addresses: Sequence[tuple[str, int]], *, backlog: int, loopback_only: bool
) -> list[socket.socket]:
    """Bind and listen on every address.

    Args:
        addresses: host and port each; a host is a name, an IPv4 or IPv6 address, or `*` (or
            empty) for all addresses of the machine. Port 0 takes a free one; the families of one
            host share it.
        backlog: connections the kernel holds for us.
        loopback_only: refuse everything that another machine could reach.

    Raises:
        PortInUseError, PortDeniedError, AddressUnavailableError, PlainListenError: see there.
    """
    opened: list[socket.socket] = []
    try:
        for host, port in addresses:
            opened += await _open_host(host.strip("[]"), port, backlog, loopback_only=loopback_only)
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return opened


async def _open_host(
    host: str, port: int, backlog: int, *, loopback_only: bool
) -> list[socket.socket]:
    wanted: list[tuple[socket.AddressFamily, str]] = []
    for name in _WILDCARDS if host in {"", "*"} else (host,):
        wanted += [pair for pair in await _resolve(name, port) if pair not in wanted]
    if loopback_only:
        for _, address in wanted:
            _check_loopback(host, address)
    opened: list[socket.socket] = []
    refused: ListenError | None = None
    for family, address in wanted:
        try:
            sock = _open_one(family, address, port, backlog)
        except AddressUnavailableError as error:
            # One family of a name or of the wildcard may be missing on this machine.
            refused = error
            continue
        except BaseException:
            for other in opened:
                other.close()
            raise
        opened.append(sock)
        port = port or int(sock.getsockname()[1])
    if refused is not None and not opened:
        raise refused
    return opened


async def _resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError, OverflowError) as error:
        raise AddressUnavailableError(
            f"cannot listen on {host}: the name does not resolve ({error}); give an address of "
            "this machine"
        ) from error
    return [(family, str(address[0])) for family, _, _, _, address in found]


def _check_loopback(host: str, address: str) -> None:
    if not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        raise PlainListenError(
            f"plain HTTP on {host} would let other machines read the memory: use 127.0.0.1, or "
            "give a certificate (--tls-cert, --tls-key, or `mnemesh init`)"
        )


def _open_one(family: socket.AddressFamily, address: str, port: int, backlog: int) -> socket.socket:
    where = f"[{address}]:{port}" if family is socket.AF_INET6 else f"{address}:{port}"
    sock: socket.socket | None = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            # Else the two wildcards would be one address and the second could not be bound.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind((address, port))
        sock.listen(backlog)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise _worded(where, error) from error
    return sock


def _worded(where: str, error: OSError) -> ListenError:
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            f"cannot listen on {where}: another process already does; stop it, or choose another "
            "port with --port"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return PortDeniedError(
            f"cannot listen on {where}: the system does not permit it; ports below 1024 need a "
            "privilege, so choose a higher one with --port"
        )
    if error.errno in _NO_SUCH_FAMILY:
        return AddressUnavailableError(
            f"cannot listen on {where}: this machine has no such address; choose one of its own "
            "with --host"
        )
    return ListenError(f"cannot listen on {where}: {error.strerror}")
