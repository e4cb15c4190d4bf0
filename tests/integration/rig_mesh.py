"""Meshes founded by flags, with certificates that a test brings.

Law: what an operator without `init` and `join` would do: a certificate each, one list of
fingerprints, and each other's addresses.
"""

import datetime as dt
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from node.settings.toml_file import write_config
from tests.integration.rig import RealNode, free_ports, until_linked
from transport import allowlist
from transport.certificate import fingerprint, load_der, make_certificate

NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        return fingerprint(load_der(self.certificate))


def self_signed(folder: Path, name: str) -> Pair:
    """What `init` would make, elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    pair = Pair(certificate=folder / f"{name}.crt", key=folder / f"{name}.key")
    make_certificate(name, ["127.0.0.1", "localhost"], NOW, os.urandom).save(
        pair.certificate, pair.key
    )
    return pair


@dataclass
class Authority:
    """A CA of the test's own."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        made = (
            self._builder(self.name, self.key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.certificate = self.folder / "ca.crt"
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - dt.timedelta(days=1))
            .not_valid_after(NOW + dt.timedelta(days=365))
        )

    def issue(self, name: str) -> Pair:
        """A leaf for both directions, as a plain `openssl x509 -req` makes it."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            self._builder(subject, key)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        pair = Pair(certificate=self.folder / f"{name}.crt", key=self.folder / f"{name}.key")
        pair.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        pair.key.chmod(0o600)
        return pair


def founded(
    folder: Path,
    count: int = 3,
    *,
    authority: Authority | None = None,
    hosts: list[str] | None = None,
    flags: tuple[str, ...] = (),
    config: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[RealNode]:
    """Nodes that are one mesh as soon as they run; none is started.

    Args:
        folder: of this mesh.
        count: how many.
        authority: issues the certificates; self-signed ones without.
        hosts: an address each, on one port; else 127.0.0.1 with a port each.
        flags: for each of them.
        config: sections of every configuration file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"node-{number + 1}" for number in range(count)]
    ports = free_ports(2 * count)
    places = list(zip(hosts, ports[:1] * count, strict=True)) if hosts else []
    places = places or [("127.0.0.1", port) for port in ports[:count]]
    urls = [f"https://{host}:{port}" for host, port in places]
    pairs = [authority.issue(n) if authority else self_signed(folder / "certs", n) for n in names]
    nodes = []
    for index, name in enumerate(names):
        listed = folder / f"{name}.allowlist"
        for other, pair in zip(names, pairs, strict=True):
            allowlist.add(listed, pair.fingerprint, other)
        data_dir = folder / name
        data_dir.mkdir(parents=True)
        write_config(data_dir / "config.toml", config or {})
        peers = ",".join(url for url in urls if url != urls[index])
        nodes.append(
            RealNode(
                name=name,
                data_dir=data_dir,
                flags=[
                    *("--host", places[index][0], "--port", str(places[index][1])),
                    *("--agent-listen", f"127.0.0.1:{ports[count + index]}", "--name", name),
                    *("--tls-cert", str(pairs[index].certificate)),
                    *("--tls-key", str(pairs[index].key)),
                    *("--mtls-allowlist", str(listed)),
                    *(("--quorum-peers", peers) if peers else ()),
                    *(("--quorum-ca-cert", str(authority.certificate)) if authority else ()),
                    *flags,
                ],
                agent=("127.0.0.1", ports[count + index]),
                url=urls[index],
                fingerprint=pairs[index].fingerprint,
            )
        )
    return nodes


def start_all(nodes: list[RealNode]) -> None:
    """Start them side by side and wait until all are linked."""
    for node in nodes:
        node.spawn()
    for node in nodes:
        node.wait_alive()
    until_linked(nodes)


def list_of(node: RealNode) -> Path:
    """The allowlist it was started with."""
    return Path(node.flags[node.flags.index("--mtls-allowlist") + 1])


def cut(node: RealNode, others: list[RealNode]) -> None:
    """Cut a node off: both sides take each other off their lists; returns when links are gone."""
    for other in others:
        allowlist.remove(list_of(node), other.fingerprint)
        allowlist.remove(list_of(other), node.fingerprint)
    _reload([node, *others])


def heal(node: RealNode, others: list[RealNode]) -> None:
    """Put each other on the lists again."""
    for other in others:
        allowlist.add(list_of(node), other.fingerprint, other.name)
        allowlist.add(list_of(other), node.fingerprint, node.name)
    _reload([node, *others])


def _reload(nodes: list[RealNode]) -> None:
    for node in nodes:
        if node.process is not None:
            node.process.send_signal(signal.SIGHUP)
