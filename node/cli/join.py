"""`mnemesh node join`: a newcomer asks a member to let it in.

Law: nothing is sent before the member's certificate has the fingerprint that the operator
gave; the newcomer then proves its certificate (by TLS) and its signing key (by a signature
that names both certificates, so it is worth nothing anywhere else). What the member answers
is kept for the next start. A store that belongs to a mesh is never joined to another one; one
that was restored under a new key may come back to its own, for it takes no write before it has
pulled, and every operation in it is known by the dot of who wrote it.
"""

import os
import shlex
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import typer

from crdt.governance import Genesis
from node.backup.belonging import genesis_of_store
from node.backup.notes import recovering
from node.cli.client import Answer, Client, Target, explain, running_facts, running_target
from node.cli.members import allowlist_path, fetch_mesh, parse_fingerprint
from node.cli.options import AsJson, DataDir, DryRun, KeyDir, options_of, paths_of
from node.cli.output import Output, table
from node.cli.process import signal_node
from node.errors import NodeError, Refused, Unreachable, UsageError
from node.facts import write_note
from node.paths import Paths
from node.settings import (
    Material,
    Settings,
    find_material,
    is_wildcard,
    listen_hosts,
    load_settings,
)
from node.settings.checks import Address, clean_url
from transport import allowlist
from transport.certificate import der_of, fingerprint, load_der
from transport.identity import NodeKey
from transport.peer_certificates import PeerCertificates
from transport.pins import is_key_pin

_PROOF_TAG = b"mnemesh-join\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """Who wants to join.

    Attributes:
        name: what people will call it.
        url: address that peers are told.
        fingerprint: of the certificate it serves with.
        mesh: that the restored store belongs to which it brings, hex; empty when it brings none.
    """

    paths: Paths
    name: str
    url: str
    fingerprint: str
    material: Material
    mesh: str = ""


def join(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of a member, https://...")],
    *,
    sponsor: Annotated[
        str,
        typer.Option(
            "--fingerprint", metavar="PIN", help="Fingerprint of that member, or spki: and its key."
        ),
    ],
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Join the mesh that a member belongs to; it must have allowed this node before."""
    out = Output(as_json=as_json)
    paths = paths_of(data_dir, key_dir)
    wanted, address = parse_fingerprint(sponsor), clean_url(url, "the address")
    newcomer = replace(describe(paths), mesh=check_empty(paths))
    if dry_run:
        data = {"dry_run": True, "url": address, "fingerprint": newcomer.fingerprint}
        out.answer(data, f"would ask {address} to let {newcomer.name} in")
        return
    shown = shown_by(address, wanted)
    answer = ask_to_join(newcomer, address, shown, pin=wanted)
    told = signal_node(paths, signal.SIGHUP) is not None
    members = answer.get("members", [])
    data = {
        "cluster": answer.get("cluster"),
        "members": members,
        "sponsor": {"url": address, "fingerprint": wanted},
        "node_told": told,
    }
    rows = [(m.get("name"), m.get("url"), m.get("fingerprint")) for m in members]
    out.answer(
        data,
        [
            f"joined {answer.get('cluster', 'the mesh')}",
            table(("NAME", "URL", "FINGERPRINT"), rows),
        ],
    )
    _hint(out, newcomer, members, shown, running=told)


def describe(paths: Paths) -> Newcomer:
    """What this node will say about itself.

    Raises:
        UsageError: it has no identity yet, or no address that peers could dial.
    """
    settings = load_settings(paths, environ=os.environ)
    material = find_material(settings, os.environ)
    if not paths.node_key.exists() or material.tls_cert is None:
        raise UsageError(
            f"this node has no identity in {paths.key_dir}",
            why="a mesh knows its members by key and certificate",
            fix=f"Make one: mnemesh init --name NAME{options_of(paths)}",
        )
    return Newcomer(
        paths=paths,
        name=settings.identity.name,
        url=dialable_url(settings),
        fingerprint=fingerprint(load_der(material.tls_cert)),
        material=material,
    )


def dialable_url(settings: Settings) -> str:
    """The address that peers are told.

    Raises:
        UsageError: none is set and the bound one means nothing elsewhere.
    """
    if settings.listen.advertise:
        return settings.listen.advertise
    host = listen_hosts(settings)[0]
    if is_wildcard(host) or not settings.listen.port:
        raise UsageError(
            "this node has no address that peers could dial",
            why=f"it listens on {host}:{settings.listen.port}",
            fix="Set [listen] advertise, or MNEMESH_ADVERTISE=https://this-host:9077",
        )
    return f"https://{Address(host=host, port=settings.listen.port)}"


def check_empty(paths: Paths) -> str:
    """Refuse when the store belongs to a mesh already, unless it was restored and not begun with.

    Returns:
        The mesh that a restored store belongs to, hex; empty when there is none.

    Raises:
        Refused: joining would throw memories away.
    """
    if running_facts(paths) is not None:
        client = Client(running_target(paths))
        members = len(fetch_mesh(client).get("members", []))
        stored = client.call("GET", "/api/v1/stats").data.get("total", 0)
        if members <= 1 and not stored:
            return ""
        why = f"the running node is one of {members} members and holds {stored} memories"
    elif paths.current.exists():
        restored = recovering(paths.data_dir)
        if restored is not None and not restored.founder:
            mesh = genesis_of_store(paths.data_dir)
            if mesh:
                return mesh
        why = "it was started before and founded a mesh of its own"
    else:
        return ""
    aside = shlex.quote(f"{paths.data_dir}.old")
    raise Refused(
        f"{paths.data_dir} already holds a store",
        why=why,
        fix="Join with an empty --data-dir; to bring the memories along: mnemesh export, move "
        f"the store aside (to {aside}, say), join, mnemesh import",
    )


def shown_by(url: str, pin: str) -> str:
    """The fingerprint of the certificate behind a pin; a pin of a key has to be looked up there.

    Raises:
        Unreachable: nobody answers, or somebody with another key.
    """
    if not is_key_pin(pin):
        return pin
    return Client(Target(url=url, fingerprint=pin)).shown_fingerprint()


def ask_to_join(newcomer: Newcomer, url: str, sponsor: str, *, pin: str = "") -> dict[str, Any]:
    """Ask a member to add this node and keep its answer.

    Raises:
        Refused: the member does not allow this certificate, or says no.
        Unreachable: nobody answers, or somebody else does.
    """
    paths = newcomer.paths
    listed = allowlist_path(paths)
    listed.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    allowlist.add(listed, pin or sponsor)
    answer = _request(newcomer, url, sponsor)
    data = answer.data if isinstance(answer.data, dict) else {}
    if "members" not in data:
        raise NodeError(f"the answer of {url} cannot be read", fix="Is it a mnemesh node?")
    if newcomer.mesh:
        _check_mesh(data, newcomer.mesh, url)
    _keep_sponsor(data, paths, listed, sponsor, pin or sponsor)
    paths.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_note(paths.join, {**data, "sponsor": {"url": url, "fingerprint": sponsor}})
    return data


def _check_mesh(data: dict[str, Any], mesh: str, url: str) -> None:
    """A version that knows nothing of stores that are brought along did not compare."""
    with suppress(KeyError, TypeError):
        told = data["genesis"]
        genesis = Genesis(cluster=told["cluster"], founders=tuple(told["founders"]))
        if genesis.id.hex() == mesh:
            return
    raise Refused(
        f"the restored store is not of the mesh of {url}",
        why="what two meshes hold is never mixed",
        fix="Join with an empty folder; on that member, mnemesh node remove takes this node out",
    )


def _request(newcomer: Newcomer, url: str, sponsor: str) -> Answer:
    material = newcomer.material
    known = Client(
        Target(
            url=url,
            fingerprint=sponsor,
            client_cert=str(material.client_cert),
            client_key=str(material.client_key),
        )
    )
    body = join_body(newcomer, sponsor)
    try:
        answer = known.ask("POST", "/api/v1/mesh/join", body=body)
    except Unreachable as error:
        if not _cut_off(error):
            raise
        # The member may not be able to learn a certificate inside the handshake.
        _introduce(newcomer, url, sponsor)
        answer = _retry(known, body, newcomer)
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise _not_allowed(newcomer)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise explain(answer)
    return answer


def _cut_off(error: Unreachable) -> bool:
    # TLS 1.3: a refused client certificate shows as an end of file or an alert at the first
    # read, after a handshake that looked good.
    cause = error.__cause__
    return cause is not None and not isinstance(cause, ConnectionRefusedError | TimeoutError)


def _retry(known: Client, body: dict[str, str], newcomer: Newcomer) -> Answer:
    try:
        return known.ask("POST", "/api/v1/mesh/join", body=body)
    except Unreachable as error:
        raise _not_allowed(newcomer) from error


def _introduce(newcomer: Newcomer, url: str, sponsor: str) -> None:
    assert newcomer.material.client_cert is not None  # noqa: S101 -- describe() saw to it
    pem = newcomer.material.client_cert.read_text(encoding="ascii")
    stranger = Client(Target(url=url, fingerprint=sponsor))
    try:
        answer = stranger.ask("POST", "/api/v1/mesh/introduce", body={"certificate": pem})
    except Unreachable as error:
        if error.__cause__ is None:
            raise
        raise _not_allowed(newcomer) from error
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise _not_allowed(newcomer)


def _not_allowed(newcomer: Newcomer) -> Refused:
    name = shlex.quote(newcomer.name)
    return Refused(
        "the member did not let this node in",
        why="the certificate of this node is not on its allowlist",
        fix=f"On that member, run: mnemesh node allow {newcomer.fingerprint} --name {name}",
    )


def join_body(newcomer: Newcomer, sponsor: str) -> dict[str, str]:
    """The request, with the proof that this node holds its signing key."""
    key = NodeKey.load(newcomer.paths.node_key)
    message = _PROOF_TAG + bytes.fromhex(newcomer.fingerprint) + bytes.fromhex(sponsor)
    return {
        "name": newcomer.name,
        "url": newcomer.url,
        "public_key": key.public.hex(),
        "proof": key.sign(message).hex(),
        "fingerprint": newcomer.fingerprint,
        **({"mesh": newcomer.mesh} if newcomer.mesh else {}),
    }


def _keep_sponsor(data: dict[str, Any], paths: Paths, listed: Path, sponsor: str, pin: str) -> None:
    for member in data["members"]:
        pem = str(member.get("certificate") or "").encode()
        # Only the one the operator vouched for; the others are for the operator to allow.
        if member.get("fingerprint") == sponsor and pem and fingerprint(der_of(pem)) == sponsor:
            allowlist.add(listed, pin, str(member.get("name", "")).replace("#", ""))
            PeerCertificates(paths.peers).add(pem, allowlist.load(listed))


def _hint(
    out: Output, newcomer: Newcomer, members: list[dict[str, Any]], sponsor: str, *, running: bool
) -> None:
    here = options_of(newcomer.paths)
    own = NodeKey.load(newcomer.paths.node_key).node_id.hex()
    others = [m for m in members if m.get("fingerprint") != sponsor and m.get("node_id") != own]
    if others:
        out.say("\nAllowlists are mutual. For every other member, run here:")
        for member in others:
            name = shlex.quote(str(member.get("name", "")))
            # The sponsor knows the certificates of those it is linked with at present.
            digest = member.get("fingerprint") or f"FINGERPRINT_OF_{member.get('name')}"
            out.say(f"  mnemesh node allow {digest} --name {name}{here}")
        name = shlex.quote(newcomer.name)
        out.say("and on each of them:")
        out.say(f"  mnemesh node allow {newcomer.fingerprint} --name {name}")
    if not running:
        out.say(f"\nNow start this node: mnemesh serve{here}")
