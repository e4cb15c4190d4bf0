"""The allowlist of a running node: a change is in force, also when the first look at it failed."""

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest

from node.peers import trust as trusting
from node.peers.trust import TrustKeeper
from node.settings import Material
from transport import allowlist
from transport.certificate import make_certificate
from transport.errors import AllowlistError

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
