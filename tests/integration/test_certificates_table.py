"""Certificates against lists, at both ends of real handshakes: nobody gets in who does not belong.

The rule, said once more and independently: a certificate is let in while it, or its key, is on the
list, while it is valid, and, where the operator names an authority, when that signed it.
"""

import datetime as dt
import random
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.test_transport_tls import whoami
from tests.unit.transport.rig import Party, make_party, serving
from transport.certificate import fingerprint
from transport.errors import NotAllowlistedError
from transport.pinned import ClientTls
from transport.pins import key_pin
from transport.tls import OwnCertificate, Trust

pytestmark = pytest.mark.integration

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A certificate somebody shows, and what is true of it."""

    party: Party
    valid: bool = True
    issued: bool = False
    authority: bool = False


def certificate(
    key: Key,
    *,
    signer: Key | None = None,
    issuer: str = "b",
    begin: dt.datetime = NOW - DAY,
    end: dt.datetime = NOW + DAY,
    ca: bool = False,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "b")])
    by = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    return (
        x509.CertificateBuilder()
        .subject_name(name if signer is not key else by)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(signer or key, hashes.SHA256())
    )


class Cast:
    """Everybody who shows a certificate, and the authorities."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.alice = make_party(folder, "alice")
        mine, other, root, rogue = (ec.generate_private_key(ec.SECP256R1()) for _ in range(4))
        self.root = certificate(root, signer=root, issuer="root", ca=True)
        past = {"begin": NOW - 3 * DAY, "end": NOW - 2 * DAY}
        future = {"begin": NOW + 2 * DAY, "end": NOW + 3 * DAY}
        by_root = {"signer": root, "issuer": "root"}
        self.shown = {
            "self-signed": self._party(mine, certificate(mine)),
            "renewed": self._party(mine, certificate(mine)),
            "of another key": self._party(other, certificate(other)),
            "expired": self._party(mine, certificate(mine, **past), valid=False),
            "of tomorrow": self._party(mine, certificate(mine, **future), valid=False),
            "issued": self._party(mine, certificate(mine, **by_root), issued=True),
            "issued to another": self._party(other, certificate(other, **by_root), issued=True),
            "issued, expired": self._party(
                mine, certificate(mine, **by_root, **past), valid=False, issued=True
            ),
            "issued by a namesake": self._party(
                mine, certificate(mine, signer=rogue, issuer="root")
            ),
            "signed by the first": self._party(other, certificate(other, signer=mine)),
            "an authority": self._party(mine, certificate(mine, ca=True), authority=True),
        }

    def _party(self, key: Key, made: x509.Certificate, **facts: bool) -> Shown:
        stem = self.folder / f"{made.serial_number:x}"
        paths = stem.with_suffix(".crt"), stem.with_suffix(".key")
        paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
        paths[1].touch(0o600)
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        own = OwnCertificate.load(*paths)
        return Shown(party=Party(own=own, der=own.der), **facts)


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    return Cast(tmp_path_factory.mktemp("cast"))


def lists_for(cast: Cast, name: str) -> dict[str, frozenset[str]]:
    shown, first = cast.shown[name].party, cast.shown["self-signed"].party
    return {
        "nobody": frozenset(),
        "this certificate": frozenset({shown.fingerprint}),
        "the first certificate": frozenset({first.fingerprint}),
        "the first key": frozenset({key_pin(first.der)}),
        "both": frozenset({first.fingerprint, key_pin(first.der)}),
    }


def belongs(shown: Shown, listed: frozenset[str], *, authority: bool) -> bool:
    named = fingerprint(shown.party.der) in listed or key_pin(shown.party.der) in listed
    return named and shown.valid and (shown.issued or not authority)


async def gets_in(server: Party, trust: Trust, shown: Shown) -> bool:
    """Whether a listener lets a client in."""
    async with serving(server, trust, demand=True) as listening:
        tls = ClientTls.make(shown.party.own, Trust(allowed=frozenset({server.fingerprint})))
        try:
            return await whoami(listening, tls) == shown.party.fingerprint
        except (aiohttp.ClientError, OSError):
            return False


async def is_dialled(client: Party, trust: Trust, shown: Shown) -> bool:
    """Whether a dialler speaks to a server."""
    async with serving(shown.party, Trust(allowed=frozenset({client.fingerprint}))) as listening:
        try:
            return await whoami(listening, ClientTls.make(client.own, trust)) is not None
        except (NotAllowlistedError, aiohttp.ClientError, OSError):
            assert not listening.requests, "not a byte before the certificate was looked at"
            return False


@pytest.mark.parametrize("authority", [False, True], ids=["lists alone", "and an authority"])
async def test_who_is_let_in_and_who_is_dialled(
    cast: Cast,
    authority: bool,  # noqa: FBT001 - half of the table
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    pem = cast.root.public_bytes(serialization.Encoding.PEM) if authority else b""
    first = cast.shown["self-signed"].party
    wrong, admitted = [], 0
    for name, shown in cast.shown.items():
        for called, listed in lists_for(cast, name).items():
            known = {first.fingerprint: first.der} if rng.random() < 0.5 else {}
            trust = Trust(allowed=listed, pins=known, authorities_pem=pem)
            expected = belongs(shown, listed, authority=authority)
            admitted += expected
            if await gets_in(cast.alice, trust, shown) != (expected and not shown.authority):
                wrong.append(f"{name}, listed {called}: accepted is not {expected}")
            if await is_dialled(cast.alice, trust, shown) != expected:
                wrong.append(f"{name}, listed {called}: dialled is not {expected}")
    assert not wrong, "\n".join(wrong)
    assert admitted >= 3  # the table is not empty of friends
