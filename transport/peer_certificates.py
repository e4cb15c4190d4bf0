"""The folder of known peer certificates, one PEM file per fingerprint.

Law: a file gets in only while its fingerprint, or that of its key, is on the allowlist, and comes
out only while it still is; its name is the hash of its content, checked on the way in and on the
way out. The allowlist says who may connect; this folder only lets TLS recognise them in the
handshake. Of one key it holds a few, and none that somebody else made around that key.
"""

from collections.abc import Mapping
from pathlib import Path

from transport.allowlist import Allowlist
from transport.certificate import (
    check_pin,
    der_of,
    fingerprint,
    load_der,
    pem_of,
    signed_by_itself,
)
from transport.errors import CertificateError, NotAllowlistedError
from transport.pins import is_pin, key_pin, normalise
from transport.secret_files import replace_file, sync_folder

__all__ = ["PER_KEY_MAX", "PeerCertificates"]

PER_KEY_MAX = 8
"""Certificates that are kept of one key; a member shows one, and for a while the one before."""

_SUFFIX = ".pem"


class PeerCertificates:
    """Certificates of peers, kept as `<folder>/<fingerprint>.pem`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, pem: bytes, allowlist: Allowlist) -> str:
        """Keep the certificate in `pem` and return its fingerprint.

        Raises:
            NotAllowlistedError: its fingerprint is not on the allowlist; nothing is kept.
            AuthorityPinError: it could vouch for others.
            CertificateError: no certificate, or the folder cannot be written.
        """
        return self.add_der(der_of(pem), allowlist)

    def add_der(self, der: bytes, allowlist: Allowlist, *, proven: bool = False) -> str:
        """Do the same for the DER form, which is what a TLS handshake gives.

        Args:
            der: the certificate.
            allowlist: has it, or its key.
            proven: its holder has shown to have the key. Else a certificate that is known by its
                key alone must be signed by it: the key of a member is no secret.
        """
        digest = fingerprint(der)
        by_key = digest not in allowlist
        if not allowlist.admits(der) or (by_key and not proven and not signed_by_itself(der)):
            raise NotAllowlistedError(
                f"the certificate {digest} is not on the allowlist: if you know it, run "
                f"`mnemesh node allow {digest}`"
            )
        check_pin(der)
        path = self._path(digest)
        if not path.exists():
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                replace_file(path, pem_of(der), mode=0o644)
                if by_key:
                    self._keep_few(key_pin(der), allowlist)
            except OSError as error:
                raise CertificateError(f"cannot keep {path}: {error.strerror}") from error
        return digest

    def _keep_few(self, pin: str, allowlist: Allowlist) -> None:
        """Of the certificates that are known by one key alone the newest stay."""
        paths = [
            self._path(digest) for digest in self._listed(allowlist) if digest not in allowlist
        ]
        same = [path for path in paths if key_pin(load_der(path)) == pin]
        for path in sorted(same, key=lambda path: path.stat().st_mtime_ns)[:-PER_KEY_MAX]:
            path.unlink(missing_ok=True)

    def load_all(self, allowlist: Allowlist) -> Mapping[str, bytes]:
        """Return fingerprint -> DER of every kept certificate that is still allowed.

        Raises:
            CertificateError: a file is unreadable or holds another certificate than it says.
        """
        known: dict[str, bytes] = {}
        for digest in self._listed(allowlist):
            path = self._path(digest)
            der = load_der(path)
            if fingerprint(der) != digest:
                raise CertificateError(
                    f"{path} holds the certificate {fingerprint(der)}, not the one it is named "
                    "after: delete the file, it is learned again"
                )
            if allowlist.admits(der):
                check_pin(der)
                known[digest] = der
        return known

    def _listed(self, allowlist: Allowlist) -> list[str]:
        """Fingerprints of the files that may hold what is allowed; by key, that is any of them."""
        found = {d for d in allowlist.fingerprints if self._path(d).exists()}
        if allowlist.keys and self._folder.is_dir():
            stems = (path.stem for path in self._folder.glob(f"*{_SUFFIX}"))
            found |= {stem for stem in stems if is_pin(stem)}
        return sorted(found)

    def forget(self, digest: str) -> bool:
        """Delete the certificate of a fingerprint and tell whether there was one.

        Raises:
            AllowlistError: the text is no fingerprint.
        """
        path = self._path(normalise(digest))
        if not path.exists():
            return False
        path.unlink(missing_ok=True)
        sync_folder(self._folder)
        return True

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}{_SUFFIX}"
