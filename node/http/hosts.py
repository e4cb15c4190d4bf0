"""Under which names a listener answers.

Law: a request is answered only when its Host names this machine in a way the operator meant:
loopback, a bound address, a name in the certificate, or a configured one. That is what keeps
a web page from reaching a loopback listener through a name of its own (DNS rebinding).
"""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

_REMEMBERED_MAX: Final = 256
_WILDCARDS: Final = frozenset(("0.0.0.0", "::", ""))  # noqa: S104 - compared, not bound


def split_host(host: str) -> str:
    """The name in a Host header, lowercase, without port and brackets."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.rpartition(":")[0] if name.count(":") == 1 else name


class HostRule:
    """Decides about Host and Origin for one listener.

    Args:
        bound: addresses the listener is bound to.
        names: names in the certificate and configured ones.
    """

    def __init__(self, *, bound: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        addresses = set(bound)
        self._wildcard = bool(addresses & _WILDCARDS)
        self._names = {split_host(name) for name in (*addresses, *names) if name} | {"localhost"}
        self._known: dict[str, bool] = {}

    def allows(self, host: str) -> bool:
        """Whether a Host header names this listener."""
        known = self._known.get(host)
        if known is None:
            known = self._judge(split_host(host))
            if len(self._known) < _REMEMBERED_MAX:
                self._known[host] = known
        return known

    def same_origin(self, origin: str, host: str) -> bool:
        """Whether a browser's page came from that very host (RFC 6454, section 7)."""
        scheme, mark, rest = origin.strip().lower().partition("://")
        return bool(mark) and scheme in ("http", "https") and rest == host.strip().lower()

    def _judge(self, name: str) -> bool:
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        if address.is_loopback or address.compressed in self._names:
            return True
        return self._wildcard and _is_local(address)


def _is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether this machine has the address: only an own one can be bound."""
    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address.compressed, 0))
    except OSError:
        return False
    return True
