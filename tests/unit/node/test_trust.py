"""The allowlist of a running node: a change is in force, also when the first look at it failed."""

import asyncio
import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest

from node.peers import trust as trusting
from node.peers.trust import TrustKeeper
from node.settings import Material
from transport import allowlist
from transport.certificate import make_certificate, renew_certificate
from transport.errors import AllowlistError, NotAllowlistedError
from transport.listener import ListenerTls
from transport.pinned import ClientTls
from transport.pins import key_pin

OTHER = "ab" * 32


class Told:
    """What the keeper said."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def __call__(self, event: str, **_facts: Any) -> None:
        self.events.append(event)


def keeper(folder: Path, told: Told) -> TrustKeeper:
    now = dt.datetime.now(dt.UTC)
    certificate, key = folder / "tls.crt", folder / "tls.key"
    make_certificate("n", ["127.0.0.1"], now, os.urandom).save(certificate, key)
    material = Material(
        node_key=folder / "node.key",
        tls_cert=certificate,
        tls_key=key,
        api_key_file=None,
        client_cert=None,
        client_key=None,
        ca_cert=None,
        allowlist=folder / "allowlist",
        has_api_key=False,
        founded_by_flags=True,
    )
    return TrustKeeper(material=material, peers=folder / "peers", log=told)  # type: ignore[arg-type]  # told like a log


async def test_a_list_that_could_not_be_read_at_once_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    allowlist.add(tmp_path / "allowlist", OTHER)
    trust = keeper(tmp_path, told)
    assert trust.allows(OTHER)
    (tmp_path / "allowlist").write_text("# nobody\n", encoding="ascii")
    real = trusting.load

    def full(*_args: Any, **_options: Any) -> allowlist.Allowlist:
        raise AllowlistError("cannot read the allowlist: Too many open files")

    monkeypatch.setattr(trusting, "load", full)
    for _ in range(3):
        trust.check()
    assert trust.allows(OTHER)
    assert told.events == ["allowlist_refused"], "told once, tried at every look"
    monkeypatch.setattr(trusting, "load", real)
    trust.check()
    assert not trust.allows(OTHER), "who was removed is out"
    assert told.events[-1] == "allowlist_loaded"
    trust.check()
    assert len(told.events) == 2


async def test_an_operator_who_asks_again_is_told_again(tmp_path: Path) -> None:
    told = Told()
    trust = keeper(tmp_path, told)
    (tmp_path / "allowlist").write_text("no fingerprint\n", encoding="ascii")
    trust.check()
    trust.reload()
    assert told.events == ["allowlist_refused", "allowlist_refused"]


async def test_what_is_shown_is_known_without_its_file(tmp_path: Path) -> None:
    """A campaign took all file descriptors of a node: it ended, for its gauges read a file."""
    trust = keeper(tmp_path, Told())
    expires, names = trust.expires_at, trust.names
    (tmp_path / "tls.crt").unlink()
    assert (trust.expires_at, trust.names) == (expires, names)
    assert trust.certificate_of(trust.fingerprint) is not None


async def test_a_key_on_the_list_lets_its_certificates_in_as_they_come(tmp_path: Path) -> None:
    trust = keeper(tmp_path, Told())
    now = dt.datetime.now(dt.UTC)
    first = make_certificate("peer", ["peer.example"], now, os.urandom)
    again = renew_certificate(first.certificate_pem, first.key_pem, now, os.urandom)
    stranger = make_certificate("peer", ["peer.example"], now, os.urandom)
    allowlist.add(tmp_path / "allowlist", key_pin(first.der), "peer")
    trust.reload()
    assert not trust.allows(first.fingerprint), "nobody has seen it yet"
    for one in (first, again):
        trust.met(one.der)
        assert trust.allows(one.fingerprint), "at once: its first request may be here already"
    await asyncio.sleep(0)
    assert trust.certificate_of(again.fingerprint) == again.der
    assert (tmp_path / "peers" / f"{again.fingerprint}.pem").exists()
    # A certificate that nobody listed is not kept, whoever told of it.
    with pytest.raises(NotAllowlistedError):
        trust.introduce(stranger.certificate_pem)
    assert not trust.allows(stranger.fingerprint)
    # Off the list: every certificate of the key is out, those in memory too.
    allowlist.remove(tmp_path / "allowlist", key_pin(first.der))
    trust.reload()
    assert not trust.allows(first.fingerprint)
    assert not trust.allows(again.fingerprint)
    # And known from the folder after a restart.
    allowlist.add(tmp_path / "allowlist", key_pin(first.der), "peer")
    later = keeper_again(tmp_path)
    assert later.allows(again.fingerprint)


def keeper_again(folder: Path) -> TrustKeeper:
    for name in ("tls.crt", "tls.key"):
        (folder / name).unlink()
    return keeper(folder, Told())


async def test_a_list_that_shrinks_counts_though_the_certificates_cannot_be_read(
    tmp_path: Path,
) -> None:
    trust = keeper(tmp_path, Told())
    kept = make_certificate("kept", ["kept.example"], dt.datetime.now(dt.UTC), os.urandom)
    allowlist.add(tmp_path / "allowlist", OTHER)
    allowlist.add(tmp_path / "allowlist", key_pin(kept.der))
    in_force: list[frozenset[str]] = []

    def swap(listening: ListenerTls, dialling: ClientTls) -> int:
        assert listening.allowed == dialling.allowed
        in_force.append(listening.allowed)
        return 0

    trust.on_change(swap)
    trust.reload()
    trust.met(kept.der)
    await asyncio.sleep(0)
    assert in_force[-1] >= {OTHER, kept.fingerprint}
    # In the middle of a rotation that went wrong.
    (tmp_path / "tls.crt").write_text("not a certificate")
    allowlist.remove(tmp_path / "allowlist", OTHER)
    trust.reload()
    assert not trust.allows(OTHER)
    assert OTHER not in in_force[-1], "its connections have ended"
    assert kept.fingerprint in in_force[-1], "nobody else lost theirs"
    assert trust.allows(trust.fingerprint), "and the node keeps the certificate that it has"
