"""A client and a node that know each other by fingerprint alone."""

import asyncio
import contextlib
import itertools
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.auth.identities import FOLDER, Identities
from node.client import (
    AsyncClient,
    BadArgument,
    CertificateRefused,
    Client,
    NotAdmitted,
    Retry,
)
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, running
from tests.integration.rig_commands import newcomer, told
from tests.integration.rig_mesh import Pair, self_signed

pytestmark = pytest.mark.integration
SHORT = Retry(total=5.0, attempt=2.0, connect=1.0)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    """The same for all tests of this module."""
    with running(newcomer(tmp_path_factory.mktemp("keyed"), "one")) as node:
        yield node


def key_file(node: RealNode) -> Path:
    return node.data_dir / "keys" / "api_key"


def test_a_pinned_node_needs_no_ca(keyed: RealNode) -> None:
    with Client(keyed.url, fingerprint=keyed.fingerprint, api_key_file=key_file(keyed)) as client:
        stored = client.store("over TLS", "text")
        assert client.get(stored["id"])["content"] == "text"


async def test_the_same_awaiting(keyed: RealNode) -> None:
    pin = keyed.fingerprint.upper()
    async with AsyncClient(keyed.url, fingerprint=pin, api_key_file=key_file(keyed)) as client:
        stored = await client.store("over TLS", "text")
        assert (await client.get(stored["id"]))["content"] == "text"


def test_without_a_pin_a_self_signed_node_is_not_trusted(keyed: RealNode) -> None:
    with (
        Client(keyed.url, api_key_file=key_file(keyed), retry=SHORT) as client,
        pytest.raises(CertificateRefused, match="self-signed"),
    ):
        client.stats()


def test_without_its_key_nobody_is_admitted(keyed: RealNode) -> None:
    with Client(keyed.url, fingerprint=keyed.fingerprint) as client, pytest.raises(NotAdmitted):
        client.stats()


class Stranger:
    """A TLS server with a certificate of its own that writes down every byte it is sent."""

    def __init__(self, pair: Pair) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair.certificate, pair.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.handshakes = 0
        self.received = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            raw.settimeout(5)
            try:
                with self._context.wrap_socket(raw, server_side=True) as link:
                    self.handshakes += 1
                    while part := link.recv(4096):
                        self.received += part
                        if b"\r\n\r\n" in self.received:
                            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            except OSError:
                continue

    def end(self) -> None:
        with contextlib.suppress(OSError):  # ended already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Stranger]:
    made = Stranger(self_signed(tmp_path, "stranger"))
    yield made
    made.end()


def test_a_stranger_is_not_sent_one_byte(stranger: Stranger) -> None:
    options = {"fingerprint": "ab" * 32, "api_key": "secret", "retry": SHORT}
    with Client(stranger.url, **options) as client, pytest.raises(CertificateRefused) as caught:
        client.store("a secret", "text")
    assert caught.value.indefinite is False
    stranger.end()
    assert stranger.received == b""


async def test_nor_by_the_client_that_awaits(stranger: Stranger) -> None:
    options = {"fingerprint": "ab" * 32, "api_key": "secret", "retry": SHORT}
    async with AsyncClient(stranger.url, **options) as client:
        with pytest.raises(CertificateRefused):
            await client.store("a secret", "text")
    await asyncio.to_thread(stranger.end)
    assert stranger.received == b""


def test_the_same_server_hears_a_client_that_pins_it(tmp_path: Path) -> None:
    """What shows that the two tests above would see a byte."""
    pair = self_signed(tmp_path, "stranger")
    server = Stranger(pair)
    with Client(server.url, fingerprint=pair.fingerprint, api_key="secret", retry=SHORT) as client:
        client.request("GET", "/stats")
    server.end()
    assert b"x-api-key: secret" in server.received.lower()


def test_a_stranger_in_the_place_of_one_node_leaves_the_others(
    keyed: RealNode, stranger: Stranger
) -> None:
    options = {"fingerprint": keyed.fingerprint, "api_key_file": key_file(keyed), "retry": SHORT}
    with Client([stranger.url, keyed.url], **options) as client:
        client.store("found the right one", "text")
        assert client.url == keyed.url
    stranger.end()
    assert stranger.received == b""


def test_a_certificate_stands_in_for_a_key(found: Found) -> None:
    (node,) = found(1)
    flags = dict(itertools.pairwise(node.flags))
    options = {"client_cert": flags["--tls-cert"], "client_key": flags["--tls-key"]}
    with Client(node.url, fingerprint=node.fingerprint, **options) as client:
        assert client.store("by certificate", "text")["id"]
    with pytest.raises(BadArgument, match="certificate file"):
        Client(node.url, fingerprint=node.fingerprint, client_cert="nowhere.pem")


def test_a_client_of_the_node_beside_it_finds_address_and_key(keyed: RealNode) -> None:
    with Client.local(keyed.data_dir, agent_id="ai:near") as client:
        stored = client.store("beside", "text")
        assert client.get(stored["id"])["metadata"]["agent_id"] == "ai:near"


def test_an_agent_with_a_bound_key_signs_what_it_writes(keyed: RealNode) -> None:
    told("identity", "generate", "--agent-id", "ai:signer", node=keyed)
    identities = Identities(keyed.data_dir / "keys" / FOLDER)
    public, identity = identities.public_path("ai:signer"), identities.private_path("ai:signer")
    registered = ("--agent-id", "ai:signer", "--type", "ai:test", "--pub", public)
    told("agent", "register", *registered, node=keyed)
    url = f"http://127.0.0.1:{keyed.agent[1]}"
    options = {"api_key_file": key_file(keyed), "agent_id": "ai:signer"}
    with Client(url, **options) as bare, pytest.raises(NotAdmitted, match="signature"):
        bare.store("unsigned", "text")
    with Client(url, **options, identity_file=identity) as client:
        stored = client.store("signed", "ä & ü", metadata={"odd": "✓"})
        assert client.get(stored["id"])["attest_level"] != "claimed"
        client.link(stored["id"], client.store("other", os.urandom(4).hex())["id"])
        client.delete(stored["id"])
