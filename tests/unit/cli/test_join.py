"""Joining over real TLS: nothing to a stranger, proof to the sponsor, an answer that is kept."""

import datetime as dt
import json
import os
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from crdt.governance import Genesis
from node.backup.notes import Restored, note_restored
from node.paths import resolve_paths
from tests.unit.cli.standin import Mnemesh, StandIn, facts_of, handler_of
from transport import allowlist
from transport.certificate import make_certificate
from transport.identity import verify
from transport.tls import OwnCertificate, Trust, server_context


@dataclass(kw_only=True)
class Sponsor:
    """A member that listens with TLS."""

    node: StandIn
    fingerprint: str
    certificate_pem: str
    own: OwnCertificate
    context: ssl.SSLContext

    def allows(self, *fingerprints: str) -> None:
        self.context = server_context(
            self.own, Trust(allowed=frozenset(fingerprints)), on_certificate=lambda _der: None
        )

    def admits(self, **more: Any) -> None:
        member = {
            "node_id": "aa" * 32,
            "name": "node-a",
            "url": self.node.url,
            "fingerprint": self.fingerprint,
            "certificate": self.certificate_pem,
        }
        answer = {"genesis": {"x": 1}, "cluster": "home", "members": [member], **more}
        self.node.on("POST", "/api/v1/mesh/join", 200, answer)


class _TlsServer(ThreadingHTTPServer):
    sponsor: Sponsor

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        return self.sponsor.context.wrap_socket(connection, server_side=True), address

    def handle_error(self, *_args: object) -> None:
        pass


@pytest.fixture
def sponsor(tmp_path: Path) -> Iterator[Sponsor]:
    folder = tmp_path / "sponsor"
    folder.mkdir()
    made = make_certificate("a", ["127.0.0.1"], dt.datetime.now(dt.UTC), os.urandom)
    made.save(folder / "crt", folder / "key")
    own = OwnCertificate.load(folder / "crt", folder / "key")
    node = StandIn(paths=resolve_paths({}, folder, data_dir=folder))
    found = Sponsor(
        node=node,
        fingerprint=made.fingerprint,
        certificate_pem=made.certificate_pem.decode(),
        own=own,
        context=server_context(own, Trust(allowed=frozenset())),
    )
    server = _TlsServer(("127.0.0.1", 0), handler_of(node))
    server.sponsor = found
    node.url = f"https://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


@pytest.fixture
def home(tmp_path: Path, mnemesh: Mnemesh) -> Path:
    folder = tmp_path / "newcomer"
    arguments = ("--name", "node-b", "--advertise", "https://127.0.0.1:9")
    assert mnemesh("init", *arguments, "--data-dir", folder).code == 0
    return folder


def own_fingerprint(mnemesh: Mnemesh, home: Path) -> str:
    return mnemesh("node", "fingerprint", "--data-dir", home).out.strip()


def join(mnemesh: Mnemesh, home: Path, sponsor: Sponsor, *more: str) -> Any:
    pin = sponsor.fingerprint
    return mnemesh(
        "node", "join", sponsor.node.url, "--fingerprint", pin, "--data-dir", home, "--json", *more
    )


def test_a_join_proves_the_key_and_keeps_the_answer(
    mnemesh: Mnemesh, home: Path, sponsor: Sponsor
) -> None:
    mine = own_fingerprint(mnemesh, home)
    sponsor.allows(mine)
    sponsor.admits()
    ran = join(mnemesh, home, sponsor)
    assert ran.code == 0, ran.err
    assert ran.json["cluster"] == "home"
    body = sponsor.node.asked[-1][3]
    assert (body["name"], body["url"], body["fingerprint"]) == (
        "node-b",
        "https://127.0.0.1:9",
        mine,
    )
    message = b"mnemesh-join\0" + bytes.fromhex(mine) + bytes.fromhex(sponsor.fingerprint)
    assert verify(bytes.fromhex(body["public_key"]), message, bytes.fromhex(body["proof"]))
    kept = json.loads((home / "join.json").read_text(encoding="utf-8"))
    assert kept["genesis"] == {"x": 1}
    assert kept["sponsor"] == {"url": sponsor.node.url, "fingerprint": sponsor.fingerprint}
    assert (home / "join.json").stat().st_mode & 0o777 == 0o600
    listed = allowlist.load(home / "keys" / "allowlist")
    assert listed.entries == {sponsor.fingerprint: "node-a"}
    pem = home / "keys" / "peers" / f"{sponsor.fingerprint}.pem"
    assert pem.read_text(encoding="ascii") == sponsor.certificate_pem
    assert f"mnemesh serve --data-dir {home}" in ran.err


def test_other_members_are_named_with_the_commands_to_allow_them(
    mnemesh: Mnemesh, home: Path, sponsor: Sponsor
) -> None:
    mine = own_fingerprint(mnemesh, home)
    sponsor.allows(mine)
    other = {"name": "node-c", "url": "https://c:1", "fingerprint": "cc" * 32}
    sponsor.admits(members=[{"fingerprint": sponsor.fingerprint, "name": "a"}, other])
    ran = join(mnemesh, home, sponsor)
    assert f"mnemesh node allow {'cc' * 32} --name node-c" in ran.err
    assert f"mnemesh node allow {mine} --name node-b" in ran.err
    assert "cc" * 32 not in allowlist.load(home / "keys" / "allowlist")


def test_nothing_is_sent_to_another_certificate(
    mnemesh: Mnemesh, home: Path, sponsor: Sponsor
) -> None:
    sponsor.allows(own_fingerprint(mnemesh, home))
    sponsor.admits()
    ran = mnemesh("node", "join", sponsor.node.url, "--fingerprint", "dd" * 32, "--data-dir", home)
    assert ran.code == 6
    assert "another certificate answers" in ran.err
    assert sponsor.node.asked == []
    assert not (home / "join.json").exists()


def test_a_newcomer_that_is_not_allowed_is_told_what_the_member_must_run(
    mnemesh: Mnemesh, home: Path, sponsor: Sponsor
) -> None:
    sponsor.node.on("POST", "/api/v1/mesh/introduce", 403, {"error": "not_allowlisted"})
    ran = join(mnemesh, home, sponsor)
    assert ran.code == 4
    assert f"mnemesh node allow {own_fingerprint(mnemesh, home)} --name node-b" in ran.err
    assert [path for _, path, _, _ in sponsor.node.asked] == ["/api/v1/mesh/introduce"]
    assert "BEGIN CERTIFICATE" in sponsor.node.asked[0][3]["certificate"]
    assert not (home / "join.json").exists()


def test_a_refusal_of_the_member_is_passed_on(
    mnemesh: Mnemesh, home: Path, sponsor: Sponsor
) -> None:
    sponsor.allows(own_fingerprint(mnemesh, home))
    sponsor.node.on("POST", "/api/v1/mesh/join", 400, {"error": "invalid_join", "detail": "why"})
    ran = join(mnemesh, home, sponsor)
    assert ran.code == 2
    assert "invalid_join" in ran.err


def test_nobody_there_is_unreachable(mnemesh: Mnemesh, home: Path) -> None:
    ran = mnemesh(
        "node", "join", "https://127.0.0.1:1", "--fingerprint", "dd" * 32, "--data-dir", home
    )
    assert ran.code == 6


def test_a_store_that_has_a_mesh_is_not_joined_to_another(
    mnemesh: Mnemesh, home: Path, sponsor: Sponsor
) -> None:
    (home / "CURRENT").write_text("store-1", encoding="utf-8")
    ran = join(mnemesh, home, sponsor)
    assert ran.code == 4
    assert "already holds a store" in ran.err
    assert sponsor.node.asked == []


@pytest.mark.parametrize("founder", [False, True])
def test_a_restored_store_that_says_of_no_mesh_that_it_is_its_own_joins_none(
    mnemesh: Mnemesh, home: Path, sponsor: Sponsor, *, founder: bool
) -> None:
    (home / "CURRENT").write_text("store-1", encoding="utf-8")
    note = Restored(
        at_ms=1, backup="b", of_node="", store="store-1", verified=True, founder=founder
    )
    note_restored(home, note)
    assert join(mnemesh, home, sponsor).code == 4
    assert sponsor.node.asked == []


@pytest.mark.parametrize(("mesh", "code"), [("m", 0), ("other", 4)])
def test_a_restored_store_is_brought_to_its_own_mesh_alone(
    mnemesh: Mnemesh,
    home: Path,
    sponsor: Sponsor,
    monkeypatch: pytest.MonkeyPatch,
    mesh: str,
    code: int,
) -> None:
    (home / "CURRENT").write_text("store-1", encoding="utf-8")
    note_restored(
        home,
        Restored(at_ms=1, backup="b", of_node="", store="store-1", verified=True, founder=False),
    )
    own = Genesis(cluster="m", founders=("node:aa",)).id.hex()
    monkeypatch.setattr("node.cli.join.genesis_of_store", lambda _path: own)
    sponsor.allows(own_fingerprint(mnemesh, home))
    genesis = {"cluster": mesh, "founders": ["node:aa"]}
    answer = {"cluster": mesh, "genesis": genesis, "members": []}
    sponsor.node.on("POST", "/api/v1/mesh/join", 200, answer)
    assert join(mnemesh, home, sponsor).code == code
    assert (home / "join.json").exists() is (code == 0), "the next start knows of no other mesh"


def test_a_running_node_with_memories_is_not_joined_to_another(
    mnemesh: Mnemesh, standin: StandIn, sponsor: Sponsor
) -> None:
    home = standin.paths.data_dir
    key = standin.paths.api_key
    key.unlink()
    facts = standin.paths.facts
    facts.unlink()
    # The identity has to be made while nothing seems to run here.
    standin.paths.lock.rename(home / "lock.held")
    assert mnemesh("init", "--name", "b", "--data-dir", home).code == 0
    (home / "lock.held").rename(standin.paths.lock)
    facts_of(standin).write(facts)
    standin.on("GET", "/api/v1/mesh", 200, {"members": [{}]})
    standin.on("GET", "/api/v1/stats", 200, {"total": 3})
    ran = join(mnemesh, home, sponsor)
    assert ran.code == 4
    assert "holds 3 memories" in ran.err


def test_without_an_identity_there_is_nothing_to_join_with(
    mnemesh: Mnemesh, tmp_path: Path, sponsor: Sponsor
) -> None:
    ran = join(mnemesh, tmp_path / "empty", sponsor)
    assert ran.code == 2
    assert "mnemesh init" in ran.err


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:1"])
def test_only_https_is_joined(mnemesh: Mnemesh, home: Path, url: str) -> None:
    ran = mnemesh("node", "join", url, "--fingerprint", "dd" * 32, "--data-dir", home)
    assert ran.code == 2


def test_a_dry_run_sends_nothing(mnemesh: Mnemesh, home: Path, sponsor: Sponsor) -> None:
    assert join(mnemesh, home, sponsor, "--dry-run").json["dry_run"] is True
    assert sponsor.node.asked == []


def test_the_hint_after_a_join_leaves_the_newcomer_itself_out(
    mnemesh: Mnemesh, sponsor: Sponsor, tmp_path: Path
) -> None:
    home = tmp_path / "newcomer"
    made = json.loads(mnemesh("init", "--name", "b", "--data-dir", home, "--json").out)
    sponsor.allows(made["fingerprint"])
    member = {"name": "node-a", "url": sponsor.node.url, "fingerprint": sponsor.fingerprint}
    own = {"node_id": made["node_id"], "name": "b", "url": "https://b:1", "fingerprint": ""}
    away = {"node_id": "cc" * 32, "name": "node-c", "url": "https://c:1", "fingerprint": ""}
    sponsor.admits(members=[{**member, "certificate": sponsor.certificate_pem}, own, away])
    ran = mnemesh(
        "node", "join", sponsor.node.url, "--fingerprint", sponsor.fingerprint, "--data-dir", home
    )
    assert ran.code == 0, ran.err
    allows = [line.split() for line in ran.err.splitlines() if "node allow" in line]
    assert [words[3] for words in allows] == ["FINGERPRINT_OF_node-c", made["fingerprint"]]
