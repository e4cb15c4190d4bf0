"""`mnemesh node certificate`: what this node shows, and the next certificate in its place.

Law: the certificate in force stays until every member lets the next one in, which is not believed
but tried: with a handshake at each of them. Nothing is replaced before that, unless forced; what
was replaced is kept beside it. A certificate that the operator brought is the operator's to renew.
"""

import datetime as dt
import http.client
import os
import shlex
import signal
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from node.cli.client import Client, running_facts, running_target
from node.cli.members import allowlist_path, fetch_mesh
from node.cli.options import AsJson, DataDir, DryRun, KeyDir, options_of, paths_of
from node.cli.output import Output
from node.cli.process import signal_node, wait_for
from node.errors import NodeError, Refused, UsageError
from node.facts import read_note
from node.paths import Paths
from node.settings import Settings, load_settings
from node.settings.checks import reach_of
from transport import allowlist
from transport.certificate import (
    MadeCertificate,
    der_of,
    expires_at,
    fingerprint,
    load_der,
    make_certificate,
    names_of,
    renew_certificate,
    subject_of,
)
from transport.pins import admits, key_pin
from transport.secret_files import read_secret, replace_file

_SECONDS: Final = 5.0
_SHOWN_SECONDS: Final = 15.0
_PUBLIC: Final = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The certificate in force and its key, and the names of the next and the last ones."""

    certificate: Path
    key: Path

    def beside(self, word: str) -> "Files":
        """The pair called `<name>.<word>`."""
        return Files(
            certificate=self.certificate.with_name(f"{self.certificate.name}.{word}"),
            key=self.key.with_name(f"{self.key.name}.{word}"),
        )

    @property
    def there(self) -> bool:
        """Whether both exist."""
        return self.certificate.exists() and self.key.exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A member that does not let the next certificate in yet."""

    name: str
    url: str
    why: str


def certificate(
    action: Annotated[
        str,
        typer.Argument(
            metavar="[show|pin|renew]",
            help="Show it, print the pin of its key alone, or make the next one.",
        ),
    ] = "show",
    *,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="With a new private key, not the same one.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Use it though members do not let it in yet.")
    ] = False,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Show the certificate of this node, or renew it without a pause."""
    out = Output(as_json=as_json)
    paths = paths_of(data_dir, key_dir)
    if action == "show":
        _show(paths, out)
    elif action == "pin":
        path = load_settings(paths, environ=os.environ).listen.tls_cert or paths.tls_cert
        pin = key_pin(load_der(path))
        out.answer({"key_pin": pin}, pin)
    elif action == "renew":
        _renew(paths, out, new_key=new_key, force=force, dry_run=dry_run)
    else:
        raise UsageError(f"{action!r} is none of show, pin and renew", fix="Run it with --help")


def _show(paths: Paths, out: Output) -> None:
    settings = load_settings(paths, environ=os.environ)
    path = settings.listen.tls_cert or paths.tls_cert
    if not path.exists():
        raise UsageError(
            f"there is no certificate {path}",
            why="this node has no identity yet",
            fix=f"Make one: mnemesh init --name NAME{options_of(paths)}",
        )
    facts = running_facts(paths)
    data = described(load_der(path)) | {"certificate": str(path)}
    in_use = facts.fingerprint if facts is not None else ""
    waiting = Files(certificate=paths.tls_cert, key=paths.tls_key).beside("next")
    if waiting.there:
        data["next"] = described(load_der(waiting.certificate))
    data["in_use"] = in_use or None
    lines = [
        f"subject      {data['subject']}",
        f"names        {', '.join(data['names'])}",
        f"fingerprint  {data['fingerprint']}",
        f"key          {data['key_pin']}",
        f"valid until  {data['not_after']} ({data['days']} days)",
        f"file         {path}",
    ]
    if in_use not in ("", data["fingerprint"]):
        lines.append(f"the running node shows another one: {in_use}")
    if waiting.there:
        lines.append(f"next         {data['next']['fingerprint']}, not in force yet")
    out.answer(data, lines)


def described(der: bytes) -> dict[str, Any]:
    """A certificate in words."""
    ends = expires_at(der)
    return {
        "subject": subject_of(der),
        "names": list(names_of(der)),
        "fingerprint": fingerprint(der),
        "key_pin": key_pin(der),
        "not_after": ends.isoformat().replace("+00:00", "Z"),
        "days": (ends - dt.datetime.now(dt.UTC)).days,
    }


def _renew(paths: Paths, out: Output, *, new_key: bool, force: bool, dry_run: bool) -> None:
    settings = load_settings(paths, environ=os.environ)
    files = Files(certificate=paths.tls_cert, key=paths.tls_key)
    _check_own(paths, settings, files)
    old = load_der(files.certificate)
    following = files.beside("next")
    if dry_run:
        said = "with a new key" if new_key else "for the same key"
        data = {"dry_run": True, "fingerprint": fingerprint(old), "new_key": new_key}
        out.answer(data, f"would make a certificate {said}, and use it once all members let it in")
        return
    if not _is_usable(following, old, new_key=new_key):
        _make_next(files, following, settings, new_key=new_key)
    made = described(load_der(following.certificate))
    refusals = [] if force else _refusals(paths, settings, following)
    if refusals:
        raise _not_let_in(refusals, made, settings.identity.name, paths, new_key=new_key)
    _put_in_force(files, following)
    told = signal_node(paths, signal.SIGHUP) is not None
    if told:
        _wait_shown(paths, made["fingerprint"])
    data = {
        **made,
        "replaced": fingerprint(old),
        "node_told": told,
        "certificate": str(files.certificate),
    }
    lines = [
        f"in force: {made['fingerprint']}, until {made['not_after']}",
        f"the one before is kept as {files.beside('old').certificate}",
    ]
    if not told:
        lines.append("No node runs here now; it shows the new one when it starts.")
    out.answer(data, lines)
    if fingerprint(old) != made["fingerprint"]:
        out.say(f"On the members that list it: mnemesh node deny {fingerprint(old)}")


def _wait_shown(paths: Paths, wanted: str) -> None:
    """Wait until the running node shows a certificate.

    Raises:
        NodeError: it does not in time.
    """

    def shown() -> bool | None:
        facts = running_facts(paths)
        return True if facts is None or facts.fingerprint == wanted else None

    if wait_for(shown, _SHOWN_SECONDS) is None:
        raise NodeError(
            "the new certificate is in its place, and the node does not show it yet",
            why=f"it was told {_SHOWN_SECONDS:g} s ago",
            fix="See its log for allowlist_refused; it tries again by itself",
        )


def _check_own(paths: Paths, settings: Settings, files: Files) -> None:
    facts = running_facts(paths)
    brought = settings.listen.tls_cert is not None
    if not brought and not files.there:
        raise UsageError(
            f"there is no certificate {files.certificate}",
            fix=f"Make one: mnemesh init --name NAME{options_of(paths)}",
        )
    shown = facts.fingerprint if facts is not None else ""
    if brought or (shown and shown != fingerprint(load_der(files.certificate))):
        raise UsageError(
            "this node shows a certificate that it did not make",
            why="it was given to it with --tls-cert",
            fix="Put the new certificate and key into its files, then send SIGHUP to the node",
        )


def _is_usable(following: Files, old: bytes, *, new_key: bool) -> bool:
    """Whether a next certificate was made before, and is what is wanted now."""
    if not following.there:
        return False
    der = load_der(following.certificate)
    return (key_pin(der) != key_pin(old)) == new_key and expires_at(der) >= expires_at(old)


def _make_next(files: Files, following: Files, settings: Settings, *, new_key: bool) -> None:
    now, pem = dt.datetime.now(dt.UTC), files.certificate.read_bytes()
    made: MadeCertificate
    if new_key:
        names = names_of(der_of(pem))
        made = make_certificate(settings.identity.name, names, now, os.urandom)
    else:
        made = renew_certificate(pem, read_secret(files.key), now, os.urandom)
    made.save(following.certificate, following.key, force=True)


def _put_in_force(files: Files, following: Files) -> None:
    kept = files.beside("old")
    replace_file(kept.key, read_secret(files.key))
    replace_file(kept.certificate, files.certificate.read_bytes(), mode=_PUBLIC)
    # A node that looks between the two finds that they do not fit, keeps what it has, and looks
    # again; with the same key there is no such moment.
    replace_file(files.key, read_secret(following.key))
    replace_file(files.certificate, following.certificate.read_bytes(), mode=_PUBLIC)
    following.key.unlink()
    following.certificate.unlink()


def _refusals(paths: Paths, settings: Settings, following: Files) -> list[Refusal]:
    """The members that do not let the next certificate in."""
    listed = allowlist.load(allowlist_path(paths), missing_is_empty=True)
    ways = reach_of(settings)
    refusals = []
    for name, url in _others(paths):
        why = why_not_let_in(ways.get(url, url), listed.pins, following)
        if why:
            refusals.append(Refusal(name=name, url=url, why=why))
    return refusals


def _others(paths: Paths) -> list[tuple[str, str]]:
    """Name and address of every other member, as the node knows them, running or not."""
    if running_facts(paths) is not None:
        members = fetch_mesh(Client(running_target(paths))).get("members", [])
        others = [m for m in members if m.get("state") not in ("self", None)]
        return [(str(m.get("name", "")), str(m.get("peer_url", ""))) for m in others]
    noted = (read_note(paths.join) or {}).get("members", [])
    own = load_settings(paths, environ=os.environ).listen.advertise
    found = [m for m in noted if isinstance(m, dict) and m.get("url") not in ("", None, own)]
    return [(str(m.get("name", "")), str(m["url"])) for m in found]


def why_not_let_in(url: str, pins: frozenset[str], shown: Files) -> str:
    """Why the node at an address does not take a certificate; empty when it does.

    Args:
        url: of the node, https.
        pins: whom to speak to at all.
        shown: the certificate to try, and its key.
    """
    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the pins are compared below, before anything is sent
    context.load_cert_chain(shown.certificate, shown.key)
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port or 443, context=context, timeout=_SECONDS
    )
    try:
        connection.connect()
    except (OSError, socket.gaierror) as error:
        return f"not reachable: {error.strerror or error}"
    try:
        assert isinstance(connection.sock, ssl.SSLSocket)  # noqa: S101 -- that is what HTTPS is
        if not admits(pins, connection.sock.getpeercert(binary_form=True) or b""):
            return "somebody else answers there"
        # TLS 1.3: who is refused learns of it at the first answer.
        connection.request("GET", "/livez")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return "it does not allow the next certificate yet"
    finally:
        connection.close()
    return ""


def _not_let_in(
    refusals: list[Refusal], made: dict[str, Any], name: str, paths: Paths, *, new_key: bool
) -> NodeError:
    pin = made["key_pin"]  # then the certificate after that needs nothing of this
    who = "; ".join(f"{one.name or one.url}: {one.why}" for one in refusals)
    again = " --new-key" if new_key else ""
    return Refused(
        "the next certificate is not in force yet; the one before is",
        why=who,
        fix=(
            f"On each of them run: mnemesh node allow {pin} --name {shlex.quote(name or 'NAME')} ; "
            f"then here again: mnemesh node certificate renew{again}{options_of(paths)}. "
            "With --force a member that cannot be asked is not waited for"
        ),
    )
