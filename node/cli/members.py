"""`mnemesh node ...`: who may connect, and who belongs to the mesh.

Law: the allowlist is a text file of this node alone and is edited with or without a running
node, which is told to read it again. Membership belongs to all members and is changed only
through a running node. An allowed certificate makes nobody a member, and no member connects
without being allowed.
"""

import os
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli.client import Client, running_facts, running_target
from node.cli.options import AgentId, AsJson, DataDir, DryRun, KeyDir, Yes, options_of, paths_of
from node.cli.output import Output, table
from node.cli.process import signal_node
from node.errors import NodeError, UsageError
from node.paths import Paths
from node.settings import load_settings
from transport import allowlist
from transport.certificate import fingerprint, load_der
from transport.errors import AllowlistError
from transport.identity import NodeKey
from transport.peer_certificates import PeerCertificates
from transport.pins import admits

FingerprintText = Annotated[
    str,
    typer.Argument(
        metavar="FINGERPRINT",
        help="SHA-256 of a certificate, as hex; or spki: and that of its public key.",
    ),
]
_ID_CHARS_MIN = 6
_DIGESTS: dict[object, str] = {True: "agrees", False: "DIFFERS"}


def certificate_path(paths: Paths) -> Path:
    """The certificate the node serves with: the operator's, else its own."""
    settings = load_settings(paths, environ=os.environ)
    return settings.listen.tls_cert or paths.tls_cert


def allowlist_path(paths: Paths) -> Path:
    """The allowlist in force: the running node's, else the configured, else the own one."""
    facts = running_facts(paths)
    if facts is not None and facts.allowlist:
        return Path(facts.allowlist)
    settings = load_settings(paths, environ=os.environ)
    return settings.listen.mtls_allowlist or paths.allowlist


def parse_fingerprint(text: str) -> str:
    """A fingerprint, or the pin of a key, in its one spelling.

    Raises:
        UsageError: it is none.
    """
    try:
        return allowlist.normalise(text)
    except AllowlistError as error:
        raise UsageError(str(error)) from error


def show_fingerprint(
    *, data_dir: DataDir = None, key_dir: KeyDir = None, as_json: AsJson = False
) -> None:
    """Print the fingerprint by which other nodes allow this one."""
    paths = paths_of(data_dir, key_dir)
    facts = running_facts(paths)
    path = certificate_path(paths)
    if facts is None and not path.exists():
        raise UsageError(
            f"there is no certificate {path}",
            why="this node has no identity yet",
            fix=f"Make one: mnemesh init --name NAME{options_of(paths)}",
        )
    own = facts.fingerprint if facts is not None and facts.fingerprint else ""
    own = own or fingerprint(load_der(path))
    node_id = NodeKey.load(paths.node_key).node_id.hex() if paths.node_key.exists() else None
    data = {"fingerprint": own, "node_id": node_id, "certificate": str(path)}
    Output(as_json=as_json).answer(data, own)


def allow(
    which: FingerprintText,
    *,
    name: Annotated[str, typer.Option("--name", help="Name to remember it by.")] = "",
    certificate: Annotated[
        Path | None,
        typer.Option("--cert", help="Its certificate (PEM), if at hand.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let the owner of a certificate connect to this node."""
    out = Output(as_json=as_json)
    paths = paths_of(data_dir, key_dir)
    wanted, path = parse_fingerprint(which), allowlist_path(paths)
    if dry_run:
        out.answer({"dry_run": True, "fingerprint": wanted}, f"would allow {wanted} in {path}")
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if certificate is not None and not admits({wanted}, load_der(certificate)):
        raise UsageError(f"{certificate} is another certificate", why="its fingerprint differs")
    changed = allowlist.add(path, wanted, name)
    if certificate is not None:
        PeerCertificates(paths.peers).add(certificate.read_bytes(), allowlist.load(path))
    _answer_change(out, paths, path, wanted, changed=changed, word="allowed")


def deny(
    which: Annotated[str, typer.Argument(metavar="FINGERPRINT|NAME")],
    *,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take a certificate off the allowlist; its connections end at once."""
    out = Output(as_json=as_json)
    paths = paths_of(data_dir, key_dir)
    path = allowlist_path(paths)
    wanted = _named_fingerprint(which, path)
    if dry_run:
        out.answer({"dry_run": True, "fingerprint": wanted}, f"would deny {wanted} in {path}")
        return
    changed = path.exists() and allowlist.remove(path, wanted)
    PeerCertificates(paths.peers).forget(wanted)
    _answer_change(out, paths, path, wanted, changed=changed, word="denied")


def _named_fingerprint(which: str, path: Path) -> str:
    entries = allowlist.load(path, missing_is_empty=True).entries
    found = [digest for digest, name in entries.items() if name == which]
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} certificates are called {which}", fix="Give the fingerprint instead"
        )
    return found[0] if found else parse_fingerprint(which)


def _answer_change(
    out: Output, paths: Paths, path: Path, wanted: str, *, changed: bool, word: str
) -> None:
    told = signal_node(paths, signal.SIGHUP) is not None
    data = {
        "fingerprint": wanted,
        "changed": changed,
        "allowlist": str(path),
        "node_told": told,
    }
    how = word if changed else f"was {word} already"
    out.answer(data, f"{wanted} {how} in {path}")
    if not told:
        out.say("No node runs here now; the list is read when it starts.")


def list_members(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show who belongs to the mesh, who may connect, and who was removed, as seen here."""
    mesh = fetch_mesh(Client(running_target(paths_of(data_dir))))
    quorum = mesh.get("quorum", {})
    columns = ("NAME", "STANDING", "STATE", "LAG OPS", "LAG S", "DIGEST", "URL", "NODE ID", "NOTE")
    rows = [_member_row(member) for member in mesh.get("members", [])]
    rows += [_other_row(other) for other in mesh.get("others", [])]
    title = (
        f"{mesh.get('cluster', '')}: {quorum.get('n', '?')} members, "
        f"a write needs {quorum.get('w', '?')}"
    )
    Output(as_json=as_json).answer(mesh, [title, "", table(columns, rows)])


def _member_row(member: dict[str, Any]) -> tuple[object, ...]:
    revoked = member.get("standing") == "revoked"
    return (
        member.get("name", ""),
        member.get("standing", "member"),
        member.get("state", ""),
        member.get("lag_ops", ""),
        member.get("lag_seconds", ""),
        _DIGESTS.get(member.get("digest_agree"), "-"),
        member.get("peer_url", ""),
        member.get("node_id", ""),
        "a member, not on the allowlist here" if revoked else "",
    )


def _other_row(other: dict[str, Any]) -> tuple[object, ...]:
    """Somebody who is allowed or was removed, and is no member."""
    notes = [f"fingerprint {str(other['fingerprint'])[:16]}"] if other.get("fingerprint") else []
    if other.get("standing") == "retired":
        by = " for ".join(str(who) for key in ("by_node", "by_agent") if (who := other.get(key)))
        notes.insert(0, f"removed {other.get('at') or ''} through {by}")
        notes += ["still allowed to connect"] if other.get("allowed") else []
    return (
        other.get("name", ""),
        other.get("standing", ""),
        *("-",) * 4,
        other.get("peer_url", ""),
        other.get("node_id", ""),
        ", ".join(notes),
    )


def fetch_mesh(client: Client) -> dict[str, Any]:
    """GET /api/v1/mesh.

    Raises:
        NodeError: the answer is not what the contract says.
    """
    data = client.call("GET", "/api/v1/mesh").data
    if not isinstance(data, dict):
        raise NodeError("the node's answer about its mesh cannot be read")
    return data


def remove(
    which: Annotated[str, typer.Argument(metavar="NAME|NODE_ID")],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Do not wait for a quorum of the other members.")
    ] = False,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take a member out of the mesh; it no longer counts and cannot connect."""
    out = Output(as_json=as_json)
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    member = find_member(fetch_mesh(client).get("members", []), which)
    words = f"{member.get('name')} ({member.get('node_id')})"
    if dry_run:
        out.answer({"dry_run": True, "node_id": member["node_id"]}, f"would remove {words}")
        return
    out.confirm(f"Remove {words} from the mesh?", yes=yes)
    answer = client.call(
        "POST",
        "/api/v1/mesh/remove",
        body={"node_id": member["node_id"], "force": force},
    )
    told = answer.data.get("durability", {}) if isinstance(answer.data, dict) else {}
    held = f"{told.get('acks', '?')} of {told.get('needed', '?')} needed members hold it"
    out.answer(answer.data, f"removed {words}; {held}")


def find_member(members: list[dict[str, Any]], which: str) -> dict[str, Any]:
    """The member of that name, node id, or beginning of a node id.

    Raises:
        UsageError: none or several.
    """
    found = [member for member in members if which in (member.get("name"), member.get("node_id"))]
    if not found and len(which) >= _ID_CHARS_MIN:
        found = [m for m in members if str(m.get("node_id", "")).startswith(which.lower())]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{m.get('name')} ({str(m.get('node_id'))[:12]})" for m in members)
    raise UsageError(
        f"{which!r} names {'several members' if found else 'no member'}",
        why=f"the mesh has: {names}",
        fix="Give the node id",
    )
