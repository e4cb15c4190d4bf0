"""Who gets in over real TLS on loopback, and how those who do not are turned away."""

import asyncio
import contextlib
import datetime as dt
import os
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.transport.rig import (
    DEADLINE_S,
    LINK_PATH,
    Party,
    Server,
    client_of,
    make_party,
    on_both_loops,
    serving,
    trusting,
    until,
)
from transport import learning
from transport.dial import DialError, DialFailure, dial
from transport.errors import NotAllowlistedError
from transport.link import LinkClosed, LinkLimits
from transport.listener import ListenerLimits
from transport.pinned import ClientTls, pinned_session
from transport.refusals import Refusal
from transport.tls import OwnCertificate, Trust, client_context

pytestmark = pytest.mark.integration

LIMITS = LinkLimits(close_s=1.0)


@pytest.fixture
def alice(tmp_path: Path) -> Party:
    return make_party(tmp_path, "alice")


@pytest.fixture
def bob(tmp_path: Path) -> Party:
    return make_party(tmp_path, "bob", algorithm="ed25519")


@pytest.fixture
def stranger(tmp_path: Path) -> Party:
    return make_party(tmp_path, "stranger")


def link_to(server: Server, tls: ClientTls, **options: Any) -> Any:
    return dial(f"{server.url}{LINK_PATH}", tls, limits=LIMITS, connect_s=DEADLINE_S, **options)


async def whoami(server: Server, tls: ClientTls, **options: Any) -> str | None:
    """Ask the server which fingerprint it sees; the shortest proof that an exchange works."""
    async with pinned_session(tls, **options) as session, session.get(server.url) as response:
        body: dict[str, str | None] = await response.json()
        return body["peer"]


@on_both_loops
async def test_allowlisted_peers_talk_and_know_each_other(alice: Party, bob: Party) -> None:
    async with (
        serving(alice, trusting(bob)) as server,
        link_to(server, client_of(bob, alice)) as link,
    ):
        await until(lambda: server.links)
        accepted = server.links[0]
        assert accepted.peer_fingerprint == bob.fingerprint
        assert link.peer_fingerprint == alice.fingerprint
        await link.send([b"hello"])
        assert await accepted.receive() == [b"hello"]
        assert server.listener.peers == {bob.fingerprint: 1}
    assert server.refused == []


@on_both_loops
async def test_a_stranger_is_refused_in_the_handshake(
    alice: Party, bob: Party, stranger: Party
) -> None:
    async with serving(alice, trusting(bob)) as server:
        with pytest.raises(DialError) as caught:
            async with link_to(server, client_of(stranger, alice)):
                pass
        assert caught.value.reason is DialFailure.REFUSED
        await until(lambda: server.refused)
        assert server.refused == [Refusal.UNKNOWN_CERTIFICATE]
        assert server.requests == []
        assert server.listener.connections == 0


@on_both_loops
async def test_a_stranger_sees_a_good_handshake_and_then_the_end(
    alice: Party, bob: Party, stranger: Party
) -> None:
    async with serving(alice, trusting(bob)) as server:
        context = client_of(stranger, alice).context
        reader, writer = await asyncio.open_connection(*server.address, ssl=context)
        with contextlib.suppress(OSError):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await reader.read() == b""
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        assert server.requests == []


@on_both_loops
async def test_a_second_certificate_with_the_same_name_works_when_both_are_pinned(
    alice: Party, tmp_path: Path
) -> None:
    one = make_party(tmp_path, "twin", stem="one")
    two = make_party(tmp_path, "twin", stem="two")
    impostor = make_party(tmp_path, "twin", stem="impostor")
    async with serving(alice, trusting(one, two)) as server:
        assert await whoami(server, client_of(one, alice)) == one.fingerprint
        assert await whoami(server, client_of(two, alice)) == two.fingerprint
        with pytest.raises(aiohttp.ClientError):
            await whoami(server, client_of(impostor, alice))


@on_both_loops
async def test_a_client_without_certificate_is_anonymous_or_refused(
    alice: Party, bob: Party
) -> None:
    async with serving(alice, trusting(bob)) as server:
        assert await whoami(server, client_of(None, alice)) is None
    async with serving(alice, trusting(bob), demand=True) as server:
        with pytest.raises(aiohttp.ClientError):
            await whoami(server, client_of(None, alice))
        await until(lambda: server.refused)
        assert server.refused == [Refusal.NO_CERTIFICATE]


@on_both_loops
@pytest.mark.parametrize("demand", [False, True])
async def test_a_fingerprint_alone_admits_its_certificate(
    alice: Party, bob: Party, stranger: Party, *, demand: bool
) -> None:
    if not learning.can_learn():
        pytest.skip("this Python cannot see certificates before they are judged")
    async with serving(alice, trusting(bob, known=False), demand=demand) as server:
        assert await whoami(server, client_of(bob, alice)) == bob.fingerprint
        assert server.learned == [bob.der]
        with pytest.raises(aiohttp.ClientError):
            await whoami(server, client_of(stranger, alice))
        assert server.learned == [bob.der]


@on_both_loops
async def test_without_the_hook_the_dialled_side_learns_and_may_pin(
    alice: Party, bob: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "_hook", None)
    async with serving(alice, trusting(bob, known=False), demand=True) as server:
        learned: list[bytes] = []
        with pytest.raises(aiohttp.ClientError):
            await whoami(server, client_of(bob, alice, known=False), on_certificate=learned.append)
        assert learned == [alice.der]
        server.listener.swap(server.tls(trusting(bob), demand=True))
        assert await whoami(server, client_of(bob, alice)) == bob.fingerprint


@on_both_loops
async def test_a_dialler_sends_nothing_to_a_server_with_another_certificate(
    alice: Party, bob: Party, stranger: Party
) -> None:
    async with serving(stranger, trusting(bob)) as server:
        for known in (True, False):
            with pytest.raises(DialError) as caught:
                async with link_to(server, client_of(bob, alice, known=known)):
                    pass
            assert caught.value.reason is DialFailure.NOT_ALLOWLISTED
        with pytest.raises(NotAllowlistedError):
            await whoami(server, client_of(bob, alice, known=False))
        assert server.requests == []


@on_both_loops
async def test_a_redirect_to_plain_http_is_not_followed(alice: Party) -> None:
    async with (
        serving(alice, trusting(), tls=False) as server,
        pinned_session(client_of(None, alice)) as session,
    ):
        with pytest.raises(NotAllowlistedError):
            await session.get("http://{}:{}/".format(*server.address))
        assert server.requests == []


@on_both_loops
async def test_removal_from_the_allowlist_ends_live_connections_at_once(
    alice: Party, bob: Party, tmp_path: Path
) -> None:
    carol = make_party(tmp_path, "carol")
    async with (
        serving(alice, trusting(bob, carol)) as server,
        link_to(server, client_of(bob, alice)) as bobs,
        link_to(server, client_of(carol, alice)) as carols,
    ):
        await until(lambda: server.listener.connections == 2)
        assert server.listener.swap(server.tls(trusting(carol))) == 1
        with pytest.raises(LinkClosed):
            await bobs.receive()
        with pytest.raises(DialError):
            async with link_to(server, client_of(bob, alice)):
                pass
        await carols.send([b"still here"])
        await until(lambda: len(server.links) == 2)
        theirs = next(x for x in server.links if x.peer_fingerprint == carol.fingerprint)
        assert await theirs.receive() == [b"still here"]
        assert server.listener.peers == {carol.fingerprint: 1}


@on_both_loops
async def test_a_handshake_begun_before_the_removal_does_not_get_in(
    alice: Party, bob: Party
) -> None:
    async with serving(alice, trusting(bob)) as server:
        reached = asyncio.Event()
        go_on = asyncio.Event()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Holds back the client's second flight, which carries its certificate.
            back_reader, back_writer = await asyncio.open_connection(*server.address)

            async def backwards() -> None:
                while data := await back_reader.read(65536):
                    writer.write(data)
                writer.close()

            async with asyncio.TaskGroup() as group:
                group.create_task(backwards())
                back_writer.write(await reader.read(65536))
                second = await reader.read(65536)
                reached.set()
                await go_on.wait()
                back_writer.write(second)
                while data := await reader.read(65536):
                    back_writer.write(data)
                back_writer.close()

        front = await asyncio.start_server(relay, "127.0.0.1", 0)
        async with front:
            host, port = front.sockets[0].getsockname()[:2]
            asking = asyncio.create_task(
                dial_and_fail(f"https://{host}:{port}{LINK_PATH}", client_of(bob, alice))
            )
            await asyncio.wait_for(reached.wait(), DEADLINE_S)
            server.listener.swap(server.tls(trusting()))
            go_on.set()
            assert await asking is DialFailure.REFUSED
        await until(lambda: server.refused)
        assert server.refused == [Refusal.NOT_ALLOWLISTED]
        assert server.requests == []


async def dial_and_fail(url: str, tls: ClientTls) -> DialFailure:
    with pytest.raises(DialError) as caught:
        async with dial(url, tls, limits=LIMITS, connect_s=DEADLINE_S):
            pass
    return caught.value.reason


@on_both_loops
async def test_an_addition_to_the_allowlist_works_without_a_restart(
    alice: Party, bob: Party
) -> None:
    async with serving(alice, trusting()) as server:
        with pytest.raises(aiohttp.ClientError):
            await whoami(server, client_of(bob, alice))
        server.listener.swap(server.tls(trusting(bob)))
        assert await whoami(server, client_of(bob, alice)) == bob.fingerprint


@on_both_loops
async def test_only_tls_1_3_and_no_tickets(alice: Party, bob: Party) -> None:
    async with serving(alice, trusting(bob)) as server:
        old = client_context(bob.own, trusting(alice))
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(OSError):  # noqa: PT011  # an alert or a reset, as the loop has it
            await asyncio.open_connection(*server.address, ssl=old)
        await until(lambda: server.refused)
        assert server.refused == [Refusal.TLS_VERSION]

        _, writer = await asyncio.open_connection(
            *server.address, ssl=client_of(bob, alice).context
        )
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        assert tls.version() == "TLSv1.3"
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: server.requests)
        assert tls.session is None or not tls.session.has_ticket
        assert tls.compression() is None
        writer.transport.abort()


def exchange(address: tuple[str, int], data: bytes) -> bytes:
    """Send bytes as they are and return what comes back until the end."""
    with socket.create_connection(address, DEADLINE_S) as sock:
        sock.sendall(data)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := sock.recv(4096):
                answer += part
    return answer


@on_both_loops
@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal.PLAIN_HTTP),
        (b"POST /api HTTP/1.1\r\nHost: a\r\n\r\n", Refusal.PLAIN_HTTP),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Refusal.NOT_TLS),
        (bytes(range(255, 0, -1)), Refusal.NOT_TLS),
    ],
)
async def test_whatever_is_no_tls_is_cut_and_counted(
    alice: Party, bob: Party, data: bytes, refusal: Refusal
) -> None:
    async with serving(alice, trusting(bob)) as server:
        answer = await asyncio.to_thread(exchange, server.address, data)
        assert b"HTTP" not in answer
        await until(lambda: server.refused)
        assert server.refused == [refusal]
        assert server.listener.handshakes == 0


@on_both_loops
async def test_half_open_handshakes_are_cut_in_time(alice: Party, bob: Party) -> None:
    limits = ListenerLimits(handshake_s=0.2)
    async with serving(alice, trusting(bob), limits=limits) as server:
        answers = await asyncio.gather(
            asyncio.to_thread(exchange, server.address, b""),
            asyncio.to_thread(exchange, server.address, b"\x16\x03\x01\x02"),
        )
        assert list(answers) == [b"", b""]
        await until(lambda: len(server.refused) == 2)
        assert server.refused == [Refusal.TIMEOUT, Refusal.TIMEOUT]
        assert server.listener.handshakes == 0
        assert await whoami(server, client_of(bob, alice)) == bob.fingerprint


@on_both_loops
async def test_hanging_up_in_the_handshake_is_counted(alice: Party, bob: Party) -> None:
    async with serving(alice, trusting(bob)) as server:
        _, writer = await asyncio.open_connection(*server.address)
        await until(lambda: server.listener.handshakes == 1)
        writer.transport.abort()
        await until(lambda: server.refused)
        assert server.refused == [Refusal.CLOSED]


@on_both_loops
@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        (ListenerLimits(handshakes_max=2), Refusal.HANDSHAKES_FULL),
        (ListenerLimits(handshakes_per_address_max=2), Refusal.HANDSHAKES_FULL),
        (ListenerLimits(connections_max=2), Refusal.CONNECTIONS_FULL),
        (ListenerLimits(connections_per_address_max=2), Refusal.ADDRESS_FULL),
    ],
)
async def test_half_open_connections_count_against_every_cap(
    alice: Party, bob: Party, limits: ListenerLimits, refusal: Refusal
) -> None:
    async with serving(alice, trusting(bob), limits=limits) as server:
        idle = [await asyncio.open_connection(*server.address) for _ in range(2)]
        await until(lambda: server.listener.handshakes == 2)
        assert await asyncio.to_thread(exchange, server.address, b"") == b""
        assert server.refused == [refusal]
        for _, writer in idle:
            writer.transport.abort()
        await until(lambda: server.listener.handshakes == 0)
        assert await whoami(server, client_of(bob, alice)) == bob.fingerprint


@on_both_loops
async def test_one_peer_cannot_take_every_connection(
    alice: Party, bob: Party, tmp_path: Path
) -> None:
    carol = make_party(tmp_path, "carol")
    limits = ListenerLimits(connections_per_peer_max=1)
    async with (
        serving(alice, trusting(bob, carol), limits=limits) as server,
        link_to(server, client_of(bob, alice)),
    ):
        with pytest.raises(DialError):
            async with link_to(server, client_of(bob, alice)):
                pass
        assert server.refused == [Refusal.PEER_FULL]
        assert await whoami(server, client_of(carol, alice)) == carol.fingerprint


@on_both_loops
async def test_the_operators_authority_helps_but_does_not_admit(
    alice: Party, tmp_path: Path
) -> None:
    authority, (bob, mallory) = issued(tmp_path, "bob", "mallory")
    trust = Trust(allowed=frozenset({bob.fingerprint}), authorities_pem=authority)
    async with serving(alice, trust) as server:
        assert await whoami(server, client_of(bob, alice)) == bob.fingerprint
        with pytest.raises(aiohttp.ClientError):
            await whoami(server, client_of(mallory, alice))
        assert server.refused == [Refusal.NOT_ALLOWLISTED]
    async with serving(bob, trusting(alice)) as server:
        assert await whoami(server, ClientTls.make(alice.own, trust)) == alice.fingerprint
    async with serving(mallory, trusting(alice)) as server:
        with pytest.raises(NotAllowlistedError):
            await whoami(server, ClientTls.make(alice.own, trust))


@on_both_loops
async def test_an_expired_certificate_is_refused(alice: Party, tmp_path: Path) -> None:
    _, (bob,) = issued(tmp_path, "bob", days=-1)
    async with serving(alice, trusting(bob)) as server:
        with pytest.raises(aiohttp.ClientError):
            await whoami(server, client_of(bob, alice))
        await until(lambda: server.refused)
        assert server.refused == [Refusal.EXPIRED_CERTIFICATE]


@pytest.mark.parametrize("known", [True, False], ids=["known", "first contact"])
@on_both_loops
async def test_an_expired_server_is_sent_nothing(
    alice: Party, tmp_path: Path, *, known: bool
) -> None:
    _, (bob,) = issued(tmp_path, "bob", days=-1)
    met: list[bytes] = []
    tls = client_of(alice, bob, known=known)
    async with serving(bob, trusting(alice)) as server:
        with pytest.raises((NotAllowlistedError, aiohttp.ClientError)):
            await whoami(server, tls, on_certificate=met.append)
        with pytest.raises(DialError) as caught:
            async with link_to(server, tls, on_certificate=met.append):
                pass
        assert caught.value.reason is DialFailure.OUTDATED
        assert (server.requests, met) == ([], [])


def issued(folder: Path, *names: str, days: int = 30) -> tuple[bytes, list[Party]]:
    """Make a certificate authority and leaf certificates of it, as an operator would."""
    now = dt.datetime.now(dt.UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "operator")])

    def build(name: x509.Name, key: Any, *, ca: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca_name)
            .public_key(key)
            .serial_number(int.from_bytes(os.urandom(8)))
            .not_valid_before(now - dt.timedelta(days=60))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(ca_key, hashes.SHA256())
        )

    parties = []
    for name in names:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        leaf = build(subject, key.public_key(), ca=False)
        certificate, key_path = folder / f"{name}.crt", folder / f"{name}.key"
        certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        key_path.chmod(0o600)
        parties.append(
            Party(
                own=OwnCertificate.load(certificate, key_path),
                der=leaf.public_bytes(serialization.Encoding.DER),
            )
        )
    root = build(ca_name, ca_key.public_key(), ca=True)
    return root.public_bytes(serialization.Encoding.PEM), parties
