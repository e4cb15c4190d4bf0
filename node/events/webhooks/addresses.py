"""Which addresses a webhook may lead to: the public internet, and nothing nearer.

Law: an address is refused unless it is plain global unicast. What stands for another address
(mapped, compatible, translated, tunnelled) is refused without looking inside, and so is every
spelling of a number that is not the usual one: resolvers, proxies and libraries disagree about
those, and a guard must not depend on who is right.

Sources: IANA special-purpose address registries (RFC 6890, RFC 8190), RFC 6052 and RFC 8215
(NAT64), RFC 3056 (6to4), RFC 4380 (Teredo), WHATWG URL section 3.5 (hosts that end in a number).
"""

import ipaddress
import re
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_FORBIDDEN_4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and the metadata service of one cloud
        "127.0.0.0/8",
        "168.63.129.16/32",  # public by its number, the platform of one cloud by its use
        "169.254.0.0/16",  # link-local, and most metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_6: Final = ipaddress.IPv6Network("2000::/3")
_FORBIDDEN_6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_DOTTED: Final = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?")
_HOST_CHARS_MAX: Final = 253

LOCAL_NAME: Final = "localhost"
_NEAR: Final = frozenset(
    {"localhost", "metadata", "metadata.goog", "instance-data", "kubernetes", "broadcasthost"}
)
_NEAR_ENDINGS: Final = (
    ".localhost",
    ".localdomain",
    ".local",
    ".internal",
    ".intranet",
    ".lan",
    ".home.arpa",
    ".in-addr.arpa",
    ".ip6.arpa",
)


def why_forbidden(address: Address, *, loopback: bool = False) -> str | None:
    """Why nothing may be sent to an address; None when it may.

    Args:
        address: as it would be connected to.
        loopback: let 127.0.0.0/8 and ::1 pass, for tests and labs.
    """
    if isinstance(address, ipaddress.IPv4Address):
        if loopback and address.is_loopback:
            return None
        return "is no public address" if any(address in net for net in _FORBIDDEN_4) else None
    if address.scope_id is not None:
        return "belongs to one link"
    if loopback and address == ipaddress.IPv6Address(1):
        return None
    if address not in _GLOBAL_6 or any(address in net for net in _FORBIDDEN_6):
        return "is no public address"
    return None


def literal(host: str) -> Address | None:
    """The address that a host is, in its one usual spelling; None when the host is a name.

    Args:
        host: of a URL, lower case, without brackets.

    Raises:
        ValueError: it is a number in another spelling, or nothing that can be a host.
    """
    if ":" in host:
        if "%" in host:
            raise ValueError("names one link of this machine")
        return ipaddress.IPv6Address(host)
    bare = host.removesuffix(".")
    if not bare or len(bare) > _HOST_CHARS_MAX or not _HOST.fullmatch(bare) or ".." in bare:
        raise ValueError("is no name of a host")
    if not _NUMBER.fullmatch(bare.rpartition(".")[2]):
        return None
    if bare != host or not _DOTTED.fullmatch(host):
        raise ValueError("is a number that is not spelled as four decimal parts")
    return ipaddress.IPv4Address(host)


def why_near(name: str, *, loopback: bool = False) -> str | None:
    """Why a name stands for something near by, whatever it resolves to; None when it does not."""
    bare = name.removesuffix(".")
    if loopback and bare == LOCAL_NAME:
        return None
    if bare in _NEAR or bare.endswith(_NEAR_ENDINGS) or "." not in bare:
        return "is a name of the local network"
    return None
