"""TLS material of a running node: what it shows, whom it lets in, and changes of both.

Law: the allowlist file is the operator's word; a change of it is in force within a second, on
new connections and on those that are open. A list that cannot be read leaves the old one in
force and says so. Certificates of allowed peers are learned once and kept.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from node import failpoints
from node.logs import EventLog
from node.paths import Stamp, stamp_of
from node.settings import Material
from transport.allowlist import Allowlist, load
from transport.certificate import expires_at, names_of
from transport.certificate import fingerprint as fingerprint_of
from transport.errors import CertificateError, TransportError
from transport.listener import ListenerTls
from transport.peer_certificates import PeerCertificates
from transport.pinned import ClientTls
from transport.tls import OwnCertificate, Trust, server_context

_MET_MAX: Final = 1024

Swap = Callable[[ListenerTls, ClientTls], int]
"""Puts new contexts in force; returns how many connections lost their permission."""


class TrustKeeper:
    """Builds contexts from files, and builds them again when the files change.

    Args:
        material: which files.
        peers: folder of known peer certificates.
        log: writes events.
    """

    def __init__(self, *, material: Material, peers: Path, log: EventLog) -> None:
        if material.tls_cert is None or material.tls_key is None:
            raise ValueError("trust needs a certificate")
        self._material = material
        self._certificates = PeerCertificates(peers)
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._swap: Swap | None = None
        self._audit: Callable[..., None] | None = None
        failpoints.hit("certificate.read")
        self._server = OwnCertificate.load(material.tls_cert, material.tls_key)
        client_cert = material.client_cert or material.tls_cert
        client_key = material.client_key or material.tls_key
        self._client = OwnCertificate.load(client_cert, client_key)
        self._stamp = self._file_stamp()
        self._refused = ""  # why the last reload failed
        self._met: dict[str, bytes] = {}
        self._in_force: tuple[ListenerTls, ClientTls] | None = None
        self.allowlist = self._read()
        self._admitted = self._trust().admitted

    @property
    def fingerprint(self) -> str:
        """Of the certificate that the listener shows."""
        return self._server.fingerprint

    @property
    def expires_at(self) -> float:
        """When that certificate expires, seconds since the epoch."""
        return expires_at(self._server.der).timestamp()

    @property
    def names(self) -> tuple[str, ...]:
        """Names and addresses that the served certificate is for."""
        return names_of(self._server.der)

    def allows(self, fingerprint: str) -> bool:
        """Whether a fingerprint may connect now; the node's own counts, for its operator."""
        return fingerprint in self._admitted

    @property
    def admitted(self) -> frozenset[str]:
        """Allowed pins, and the certificates that are known to have an allowed key."""
        return self._admitted

    def is_own(self, fingerprint: str) -> bool:
        """Whether this is a certificate that the node itself shows."""
        return fingerprint in {self._server.fingerprint, self._client.fingerprint}

    def on_change(self, swap: Swap) -> None:
        """Whom to tell about new contexts."""
        self._swap = swap

    def audited_by(self, audit: Callable[..., None], before: frozenset[str] | None) -> None:
        """Tell changes of the list from now on, and the one that was made while no node ran.

        Args:
            audit: writes an entry of the audit chain: its kind, then facts.
            before: the pins when an earlier process last looked; None when none did.
        """
        self._audit = audit
        self._tell_change(self.allowlist.pins if before is None else before)

    def _tell_change(self, before: frozenset[str]) -> None:
        now = self.allowlist.pins
        if self._audit is not None and now != before:
            self._audit(
                "allowlist_changed", added=sorted(now - before), removed=sorted(before - now)
            )

    def trouble(self) -> str:
        """Why the list cannot be read as it stands now; empty when it can."""
        try:
            self._read()
        except TransportError as error:
            return str(error)
        return ""

    @property
    def allowlist_path(self) -> Path | None:
        """The file."""
        return self._material.allowlist

    def _read(self) -> Allowlist:
        path = self._material.allowlist
        return Allowlist(entries={}) if path is None else load(path, missing_is_empty=True)

    def _trust(self) -> Trust:
        met = {d: der for d, der in self._met.items() if self.allowlist.admits(der)}
        own = {own.fingerprint: own.der for own in (self._server, self._client)}
        return Trust(
            allowed=self.allowlist.pins | own.keys(),
            pins={**met, **self._certificates.load_all(self.allowlist), **own},
            authorities_pem=self._authorities(),
            own=frozenset(own),
        )

    def _authorities(self) -> bytes:
        path = self._material.ca_cert
        try:
            return path.read_bytes() if path is not None else b""
        except OSError as error:
            raise CertificateError(f"cannot read {path}: {error.strerror}") from error

    def contexts(self) -> tuple[ListenerTls, ClientTls]:
        """Fresh contexts for listening and dialling.

        Raises:
            transport.errors.CertificateError: own files or a kept certificate cannot be used.
        """
        trust = self._trust()
        context = server_context(
            self._server,
            trust,
            demand_certificate=not self._material.has_api_key,
            on_certificate=self.met,
        )
        listening = ListenerTls(context=context, allowed=trust.admitted, on_certificate=self.met)
        self._in_force = listening, ClientTls.make(self._client, trust)
        return self._in_force

    def met(self, der: bytes) -> None:
        """An allowed certificate showed up for the first time; keep it, off the handshake.

        It may be known by its key alone: requests on its connection ask by its fingerprint. Nobody
        gains by that who cannot prove in a handshake to have the key.
        """
        digest = fingerprint_of(der)
        if digest in self._met:
            return
        while len(self._met) >= _MET_MAX:
            oldest = next(iter(self._met))
            del self._met[oldest]
            self._admitted -= {oldest} - self.allowlist.pins
        self._met[digest] = der
        self._admitted |= {digest}
        self._loop.call_soon_threadsafe(self._keep, der)

    def _keep(self, der: bytes) -> None:
        try:
            self._certificates.add_der(der, self.allowlist, proven=True)
            self._renew()
        except TransportError as error:
            self._log("allowlist_refused", error=str(error))

    def introduce(self, pem: bytes) -> str:
        """Keep the certificate of an allowlisted newcomer; returns its fingerprint.

        Raises:
            transport.errors.TransportError: it is not on the allowlist, or no certificate.
        """
        fingerprint = self._certificates.add(pem, self.allowlist)
        self._renew()
        self._log("member_introduced", fingerprint=fingerprint)
        return fingerprint

    def certificate_of(self, fingerprint: str) -> bytes | None:
        """The DER of a known certificate."""
        if fingerprint == self._server.fingerprint:
            return self._server.der
        return self._trust().pins.get(fingerprint)

    def check(self) -> None:
        """Look whether the list has changed; cheap, meant for every half second."""
        changed = self._file_stamp() != self._stamp
        if changed or self._refused:
            self.reload(again=not changed)

    def reload(self, *, again: bool = False) -> None:
        """Read the list and the certificates again and put them in force.

        What fails is tried again at the next look: who was removed must not stay because files
        could not be opened at that moment.

        Args:
            again: it failed before and nothing has changed since; the same reason is told once.
        """
        before, self._stamp = self.allowlist.pins, self._file_stamp()
        refused, self._refused = self._refused, "not read to the end"
        try:
            failpoints.hit("allowlist.reload")
            self.allowlist = self._read()
            self._admitted = self._resolved()
            material = self._material
            if material.tls_cert is not None and material.tls_key is not None:
                failpoints.hit("certificate.read")
                self._server = OwnCertificate.load(material.tls_cert, material.tls_key)
                if material.client_cert == material.tls_cert:
                    self._client = self._server
            aborted = self._renew()
        except TransportError as error:
            self._refused = str(error)
            self._narrow()
            if not again or self._refused != refused:
                self._log("allowlist_refused", error=self._refused)
            return
        finally:
            self._tell_change(before)
        self._refused = ""
        self._log("allowlist_loaded", allowed=len(self.allowlist), aborted=aborted)

    def _renew(self) -> int:
        self._admitted = self._trust().admitted
        if self._swap is None:
            return 0
        return self._swap(*self.contexts())

    def _resolved(self) -> frozenset[str]:
        """Who is admitted by the list as it is now; without what cannot be read, fewer."""
        try:
            return self._trust().admitted
        except TransportError:
            own = {self._server.fingerprint, self._client.fingerprint}
            return self.allowlist.pins | own

    def _narrow(self) -> None:
        """Whatever else failed: who was taken off the list is out, on open connections too."""
        if self._swap is None or self._in_force is None:
            return
        listening, dialling = self._in_force
        fewer = listening.allowed & self._admitted
        if fewer != listening.allowed:
            self._in_force = replace(listening, allowed=fewer), replace(dialling, allowed=fewer)
            self._swap(*self._in_force)

    def _file_stamp(self) -> Stamp:
        path = self._material.allowlist
        return None if path is None else stamp_of(path)
