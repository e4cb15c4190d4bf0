"""The guard between webhooks and the network: every spelling of what is near, and every trick."""

import socket
from collections.abc import Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from node.events.webhooks.guard import Refused, Unresolved, look, read_url
from node.events.webhooks.sending import (
    DELIVERED,
    FAILED,
    REFUSED,
    UNRESOLVED,
    Outcome,
    Try,
    send,
    signature,
)

NEAR_ADDRESSES = [
    # this machine
    "127.0.0.1", "127.0.0.2", "127.255.255.254", "0.1.2.3", "[::1]", "[::]",
    "0.0.0.0",  # noqa: S104 - a test names it, nothing binds to it
    "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]",
    # private, shared, link-local, metadata
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "192.168.255.255", "100.64.0.1", "100.127.255.255", "100.100.100.200", "169.254.0.1",
    "169.254.169.254", "169.254.170.2", "168.63.129.16", "192.0.0.192", "[fe80::1]",
    "[fec0::1]", "[fc00::1]", "[fd00::1]", "[fd00:ec2::254]", "[fdff:ffff::1]",
    # multicast, broadcast, reserved, documentation, benchmarks, relays
    "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "192.0.2.1",
    "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255", "192.88.99.1", "192.0.0.1",
    "[ff02::1]", "[ff0e::1]", "[2001:db8::1]", "[3fff::1]", "[100::1]", "[5f00::1]",
    # IPv6 that stands for IPv4
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:169.254.169.254]", "[::ffff:8.8.8.8]",
    "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "[::7f00:1]", "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]", "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]", "[2001::1]", "[2001:0:53aa:64c::1]", "[2001:20::1]",
    # a link of this machine
    "[fe80::1%25eth0]", "[::1%25lo]", "[fe80::1%eth0]", "[2606:4700::1%25eth0]",
]  # fmt: skip

OTHER_SPELLINGS = [
    # the loopback address, and the metadata address, as inet_aton reads them
    "2130706433", "0x7f000001", "0X7F000001", "017700000001", "0x7f.0.0.1", "0x7f.1", "0177.0.0.1",
    "127.1", "127.0.1", "0127.0.0.1", "00127.0.0.1", "127.0.0.01", "127.0.0.0x1", "127.0.0.1.",
    "2852039166", "0xa9fea9fe", "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376", "169.254.43518",
    "169.16689662", "0", "0x0", "0.0", "1", "127.0.0.256", "1.2.3.4.5", "256.256.256.256",
    "4294967297", "1.1.1.0x1", "8.8.2056", "134744072", "foo.0x1", "foo.1", "08.8.8.8",
    # digits of other scripts, and what becomes dots
    "\uff11\uff12\uff17.0.0.1", "\u2460\u2461\u2466.0.0.1", "127\u30020\u30020\u30021",
    "127\uff0e0\uff0e0\uff0e1", "\u0661\u0662\u0667.0.0.1", "\u24db\u24de\u24d2\u24d0lhost",
    # percent-encoded
    "127%2e0%2e0%2e1", "%31%32%37.0.0.1", "localhost%00.example.org", "127.0.0.1%00.example.org",
    "example.org%2f@127.0.0.1",
]  # fmt: skip

NEAR_NAMES = [
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "printer.local",
    "metadata", "metadata.google.internal", "metadata.google.internal.", "METADATA.GOOGLE.INTERNAL",
    "metadata.goog", "instance-data", "instance-data.ec2.internal", "vault.internal", "router.lan",
    "box.home.arpa", "intranet", "1.0.0.127.in-addr.arpa",
]  # fmt: skip

NO_WEBHOOKS = [
    "", "example.org", "//example.org/x", "/x", "ftp://example.org/", "file:///etc/passwd",
    "gopher://example.org/", "unix:///run/docker.sock", "javascript:alert(1)", "data:,x",
    "ws://example.org/", "http://", "http:///x", "https://:443/", "http:example.org",
    # who is asked for
    "http://user@example.org/", "http://user:secret@example.org/", "http://:x@example.org/",
    "http://@example.org/", "http://example.org@127.0.0.1/", "http://127.0.0.1@example.org/",
    "http://example.org:80@127.0.0.1/", "http://127.0.0.1\\@example.org/",
    "http://example.org\\.evil.org/", "http://example.org#@127.0.0.1:99999/",
    # ports
    "http://example.org:22/", "http://example.org:25/", "http://example.org:0/",
    "http://example.org:65536/", "http://example.org:6666/", "http://example.org:2049/",
    "http://example.org:-1/", "http://example.org:http/", "http://example.org:443x/",
    # text
    "http://example.org/\r\nHost: 127.0.0.1", "http://exa mple.org/", " http://example.org/",
    "http://example.org/\x00", "http://example.org\t/", "http://[::1", "http://::1/",
    "http://[127.0.0.1]/", "http://[1:2]/", "http://..example.org/", "http://example..org/",
    "http://-example.org/", "http://" + "a" * 254 + ".org/", "http://example.org/" + "a" * 2100,
]  # fmt: skip

PUBLIC = [
    "http://example.org/", "https://hooks.example.org/a/b?c=d", "https://example.org:8443/x",
    "http://93.184.216.34/", "http://8.8.8.8:8080/", "https://[2606:4700:4700::1111]/x",
    "http://example.org./", "https://b\u00fccher.example/", "http://xn--bcher-kva.example/",
    "http://1e100.net/", "http://a_b.example.org/",
]  # fmt: skip


class Names:
    """A resolver under the test's control: answers from a script, and counts."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


NOBODY = Names(OSError("must not be asked"))


@pytest.mark.parametrize("host", NEAR_ADDRESSES + OTHER_SPELLINGS + NEAR_NAMES)
@pytest.mark.parametrize("form", ["http://{}/hook", "https://{}:8443/hook", "HTTP://{}"])
async def test_nothing_near_is_ever_looked_up(host: str, form: str) -> None:
    url = form.format(host)
    with pytest.raises(Refused):
        read_url(url)
    with pytest.raises(Refused):
        await look(url, NOBODY)


@pytest.mark.parametrize("url", NO_WEBHOOKS)
def test_what_is_no_webhook_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        read_url(url)


@pytest.mark.parametrize("url", PUBLIC)
async def test_the_public_internet_is_not(url: str) -> None:
    destination = await look(url, Names(["93.184.216.34", "2606:4700:4700::1111"]))
    assert set(destination.addresses) <= {
        "93.184.216.34", "2606:4700:4700::1111", "8.8.8.8",
    }  # fmt: skip


@pytest.mark.parametrize("host", [host.strip("[]") for host in NEAR_ADDRESSES if "25" not in host])
async def test_a_name_that_leads_near_is_refused_whatever_else_it_leads_to(host: str) -> None:
    for answer in ([host], ["8.8.8.8", host], [host, "8.8.8.8"]):
        with pytest.raises(Refused):
            await look("https://rebind.example.org/", Names(answer))


@pytest.mark.parametrize("answer", [["not an address"], ["8.8.8.8"] * 17, ["127.1"], [""]])
async def test_an_answer_that_makes_no_sense_is_refused(answer: list[str]) -> None:
    with pytest.raises(Refused):
        await look("https://odd.example.org/", Names(answer))


@pytest.mark.parametrize(
    "answer", [socket.gaierror(-2, "unknown"), OSError("down"), TimeoutError(), []]
)
async def test_no_answer_is_no_delivery(answer: list[str] | Exception) -> None:
    with pytest.raises(Unresolved):
        await look("https://gone.example.org/", Names(answer))
    assert (await send(trying("https://gone.example.org/"), Names(answer))).kind == UNRESOLVED


async def test_the_resolver_is_asked_once_and_what_it_said_is_what_counts() -> None:
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    destination = await look("https://rebind.example.org/x", names)
    assert destination.addresses == ("8.8.8.8",)
    assert names.asked == [("rebind.example.org", 443)]


def test_loopback_passes_where_it_is_allowed_and_nothing_else_does() -> None:
    for host in ("127.0.0.1", "[::1]", "localhost", "127.8.8.8"):
        read_url(f"http://{host}:8080/", loopback=True)
    this = {"127.0.0.1", "127.0.0.2", "127.255.255.254", "localhost", "LOCALHOST", "localhost."}
    for host in (*NEAR_ADDRESSES, *OTHER_SPELLINGS, *NEAR_NAMES):
        if host in this or host.startswith(("[::1]", "[0:0:0:0:0:0:0:1", "[0000:")):
            continue
        if not host.isascii():  # becomes one of the above before anybody looks at it
            continue
        with pytest.raises(Refused):
            read_url(f"http://{host}/", loopback=True)


# Over real sockets.


def trying(url: str, *, loopback: bool = False, **headers: str) -> Try:
    return Try(url=url, body=b'{"a":1}', headers=headers, loopback=loopback, seconds=5)


class Receiver:
    """A server on loopback that remembers what it got."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b"thanks"
        self.port = 0

    async def take(self, request: web.BaseRequest) -> web.Response:
        self.got.append((request.path, dict(request.headers), await request.read()))
        return web.Response(status=self.status, headers=self.headers, body=self.body)


@pytest.fixture
async def receiver() -> Receiver:
    return Receiver()


async def delivered(receiver: Receiver, host: str, names: Names, **more: str) -> Outcome:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver.take)
    async with TestServer(app, host="127.0.0.1") as server:
        receiver.port = int(server.port or 0)
        if "Location" in receiver.headers:
            receiver.headers["Location"] = f"http://127.0.0.1:{server.port}/elsewhere"
        url = f"http://{host}:{server.port}/hook?x=1"
        return await send(trying(url, loopback=True, **more), names)


async def test_a_delivery_carries_body_headers_and_the_name_of_its_host(
    receiver: Receiver,
) -> None:
    outcome = await delivered(receiver, "hooks.example.org", Names(["127.0.0.1"]), X_Sign="s")
    assert outcome == Outcome(kind=DELIVERED)
    path, headers, body = receiver.got[0]
    assert (path, body) == ("/hook", b'{"a":1}')
    assert headers["Host"] == f"hooks.example.org:{receiver.port}"
    assert headers["Content-Type"] == "application/json"
    assert headers["X_Sign"] == "s"


async def test_what_the_name_says_after_the_look_changes_nothing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to what was looked at; the system is not asked again."""

    def trap(*_args: object, **_more: object) -> object:
        raise AssertionError("somebody asked the system for an address")

    names = Names(["127.0.0.1"], ["169.254.169.254"])
    monkeypatch.setattr(socket, "getaddrinfo", trap)
    assert (await delivered(receiver, "rebind.example.org", names)).kind == DELIVERED
    assert len(names.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.status, receiver.headers = status, {"Location": "to itself"}
    outcome = await delivered(receiver, "hooks.example.org", Names(["127.0.0.1"]))
    assert outcome == Outcome(kind=FAILED, why=f"answered {status}")
    assert [path for path, _, _ in receiver.got] == ["/hook"]


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
async def test_an_answer_that_is_no_yes_is_a_failure(receiver: Receiver, status: int) -> None:
    receiver.status = status
    outcome = await delivered(receiver, "127.0.0.1", NOBODY)
    assert outcome == Outcome(kind=FAILED, why=f"answered {status}")


async def test_an_endless_answer_costs_nothing(receiver: Receiver) -> None:
    receiver.body = b"x" * (32 << 20)
    assert (await delivered(receiver, "127.0.0.1", NOBODY)).kind == DELIVERED


async def test_no_proxy_of_the_environment_is_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    assert (await delivered(receiver, "127.0.0.1", NOBODY)).kind == DELIVERED


async def test_a_receiver_that_is_near_gets_nothing_unless_that_is_allowed(
    receiver: Receiver,
) -> None:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver.take)
    async with TestServer(app, host="127.0.0.1") as server:
        for host in ("127.0.0.1", "localhost", "hooks.example.org"):
            url = f"http://{host}:{server.port}/hook"
            assert (await send(trying(url), Names(["127.0.0.1"]))).kind == REFUSED
    assert receiver.got == []


async def test_a_closed_door_and_a_silent_one_are_failures(
    unused_tcp_port_factory: Callable[[], int],
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port_factory()}/"
    assert (await send(trying(url, loopback=True), NOBODY)).kind == FAILED
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        wanted = Try(url=url, body=b"", headers={}, loopback=True, seconds=0.1)
        assert await send(wanted, NOBODY) == Outcome(kind=FAILED, why="no answer in time")


def test_a_signature_is_the_hmac_of_the_body() -> None:
    """The second case of RFC 4231, section 4.3."""
    assert signature("Jefe", b"what do ya want for nothing?") == (
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
