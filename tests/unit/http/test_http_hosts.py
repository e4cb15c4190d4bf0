import re
import socket

import pytest

from node.http.hosts import HostRule, split_host
from node.http.routes import Router
from node.http.table import TABLE


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("A.example:80", "a.example"),
        ("[::1]:80", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("10.0.0.1", "10.0.0.1"),
        ("", ""),
    ],
)
def test_the_name_in_a_host(host: str, name: str) -> None:
    assert split_host(host) == name


def test_a_wildcard_answers_under_every_address_of_the_machine() -> None:
    rule = HostRule(bound=["0.0.0.0"])  # noqa: S104 - a rule about it, nothing is bound
    assert rule.allows("127.0.0.1:9077")
    assert not rule.allows("192.0.2.1:9077")
    assert not rule.allows("evil.example")
    own = socket.gethostbyname(socket.gethostname())
    assert rule.allows(own)


def test_a_bound_address_is_answered_and_its_neighbour_is_not() -> None:
    rule = HostRule(bound=["192.0.2.7"], names=["node-a:9077", ""])
    assert rule.allows("192.0.2.7:9077")
    assert rule.allows("node-a")
    assert not rule.allows("192.0.2.8")


def test_remembering_hosts_is_bounded() -> None:
    rule = HostRule()
    for number in range(1000):
        assert not rule.allows(f"h{number}.example")
    assert rule.allows("localhost")
    assert len(rule._known) <= 256


def test_every_route_can_be_found_and_says_what_it_is() -> None:
    router = Router(TABLE)
    for route in TABLE:
        path = re.sub(r"{\w+}", "abcdef", route.path)
        found, params, _ = router.find(route.method, path)
        assert found is route
        assert params == (("abcdef",) if "{" in route.path else ())
        assert route.summary


def test_a_route_stands_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        Router([*TABLE, TABLE[0]])
