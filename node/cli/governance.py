"""`mnemesh governance export | import`: all policies, registrations and roles in one file.

Law: an import changes what differs from the file and nothing else, so a second one finds
nothing to do; what only the node has stays. Approvers are registered before the policies that
name them, and administrators are named when nothing is left that would need another one.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from node.cli.client import Client, running_target
from node.cli.namespaces import standard_path
from node.cli.options import AgentId, AsJson, DataDir, DryRun, paths_of
from node.cli.output import Output, table
from node.errors import UsageError

VERSION: Final = 1
_ADMIN: Final = "system-admin"
_FILE_BYTES_MAX: Final = 64 * 1024 * 1024
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something the file wants otherwise than it is.

    Attributes:
        kind: agent, policy or role.
        name: of the agent or the namespace.
        now: what holds; None where there is nothing.
        wanted: what the file says, only the part that differs.
        path: where to send it.
        body: what to send.
    """

    kind: str
    name: str
    now: Row | None
    wanted: Row
    path: str
    body: Row

    def facts(self) -> Row:
        """As data."""
        return {"kind": self.kind, "name": self.name, "now": self.now, "wanted": self.wanted}


def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to; stdout when left out.")
    ] = None,
    *,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write all policies, registrations and roles as JSON."""
    out = Output(as_json=as_json)
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    document = read_node(client)
    text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True)
    if file is None:
        out.answer(document, text)
        return
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}", why=error.strerror or str(error)) from error
    counts = {key: len(document[key]) for key in ("policies", "agents", "roles")}
    words = ", ".join(f"{count} {key}" for key, count in counts.items())
    out.answer({"file": str(file), **counts}, f"wrote {words} to {file}")


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What export wrote.")],
    *,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make this mesh's governance what a file says."""
    out = Output(as_json=as_json)
    wanted = read_document(file)
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    found = differences(read_node(client), wanted)
    facts: Row = {"dry_run": dry_run, "changes": [one.facts() for one in found], "applied": 0}
    if not found:
        out.answer(facts, "nothing to do")
        return
    rows = [(one.kind, one.name, _words(one.now), _words(one.wanted)) for one in found]
    shown = table(("KIND", "NAME", "NOW", "WANTED"), rows)
    if dry_run:
        out.answer(facts, [shown, "", f"would change {len(found)}"])
        return
    for place, one in enumerate(found):
        try:
            client.call("POST", one.path, body=one.body)
        except Exception:
            out.say(f"{place} of {len(found)} changes were made; this one failed: {one.name}")
            raise
    out.answer({**facts, "applied": len(found)}, [shown, "", f"changed {len(found)}"])


def _words(row: Row | None) -> str:
    return "-" if row is None else json.dumps(row, ensure_ascii=False, sort_keys=True)


def read_document(file: Path) -> Row:
    """What a file says.

    Raises:
        UsageError: it is not what export writes.
    """
    try:
        if file.stat().st_size > _FILE_BYTES_MAX:
            raise UsageError(f"{file} is too large", why=f"more than {_FILE_BYTES_MAX} bytes")
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}", why=error.strerror or str(error)) from error
    except ValueError as error:
        raise UsageError(f"{file} is no JSON", why=str(error)) from error
    if not isinstance(data, dict) or data.get("schema_version") != VERSION:
        raise UsageError(
            f"{file} is no export of governance",
            why=f"expected an object with schema_version {VERSION}",
            fix="Make one: mnemesh governance export FILE",
        )
    for key, name in (("policies", "namespace"), ("agents", "agent_id"), ("roles", "agent_id")):
        rows = data.setdefault(key, [])
        if not isinstance(rows, list) or not all(
            isinstance(row, dict) and isinstance(row.get(name), str) for row in rows
        ):
            raise UsageError(f"{file}: {key} must be a list of objects with a {name}")
    return data


def read_node(client: Client) -> Row:
    """What holds on the mesh now, in the form of a file."""
    listed = client.call("GET", "/api/v1/namespaces").data
    policies: list[Row] = []
    for space in listed.get("namespaces", []):
        if space.get("standards"):
            shown = client.call("GET", standard_path(space["namespace"])).data
            policies += [_policy(one) for one in shown.get("standards", [])]
    known = client.call("GET", "/api/v1/agents").data
    return {
        "schema_version": VERSION,
        "policies": policies,
        "agents": [_agent(one) for one in known.get("agents", [])],
        "roles": list(known.get("roles", [])),
    }


def _policy(shown: Row) -> Row:
    out: Row = {"namespace": shown["namespace"], "governance": shown.get("governance", {})}
    path = shown["namespace"].rpartition("/")[0] or "*"
    if shown.get("parent", path) != path:
        out["parent"] = shown["parent"]
    out.update((key, shown[key]) for key in ("id", "owner") if shown.get(key))
    return out


def _agent(shown: Row) -> Row:
    keys = ("agent_id", "agent_type", "capabilities", "public_key")
    return {key: shown[key] for key in keys if key in shown}


def differences(now: Row, wanted: Row) -> list[Difference]:
    """What has to change, in an order in which it can.

    Raises:
        UsageError: the file wants several policies in one place.
    """
    agents = _differing("agent", now["agents"], wanted["agents"], "agent_id", _to_agents)
    spaces = {row["namespace"] for row in wanted["policies"]}
    policies = [one for space in sorted(spaces) for one in _policies(space, now, wanted)]
    roles = _differing("role", now["roles"], wanted["roles"], "agent_id", _to_role)
    named = any(row.get("role") == _ADMIN for row in now["roles"])
    # Before anybody is named all may govern here; afterwards only who is.
    roles.sort(key=lambda one: (one.body.get("role") == _ADMIN) is not named)
    return [*agents, *policies, *roles]


def _to_agents(row: Row) -> tuple[str, Row]:
    return "/api/v1/agents", row


def _to_role(row: Row) -> tuple[str, Row]:
    body = {"role": row.get("role", ""), "namespaces": row.get("namespaces", [])}
    return f"/api/v1/agents/{quote(row['agent_id'], safe='')}/role", body


def _differing(
    kind: str, now: list[Row], wanted: list[Row], key: str, to: Callable[[Row], tuple[str, Row]]
) -> list[Difference]:
    held: Mapping[str, Row] = {row[key]: row for row in now}
    out = []
    for row in wanted:
        name = row[key]
        before = held.get(name)
        rest = {k: v for k, v in row.items() if k != key and (before or {}).get(k) != v}
        if rest:
            path, body = to(row)
            shown = None if before is None else {k: before.get(k) for k in rest}
            out.append(
                Difference(kind=kind, name=name, now=shown, wanted=rest, path=path, body=body)
            )
    return out


def _policies(space: str, now: Row, wanted: Row) -> list[Difference]:
    rows = [row for row in wanted["policies"] if row["namespace"] == space]
    held = [row for row in now["policies"] if row["namespace"] == space]
    if sorted(map(_words, rows)) == sorted(map(_words, held)):
        return []
    if len(rows) > 1:
        raise UsageError(
            f"the file has {len(rows)} concurrent policies of {space}",
            why="only one can be set",
            fix="Leave the one in the file that shall hold",
        )
    row = {key: value for key, value in rows[0].items() if key != "namespace"}
    # What the file does not name shall not be there afterwards.
    body = {"id": None, "parent": None, "owner": None, **row}
    before = None
    if held:
        before = {key: value for key, value in held[0].items() if key != "namespace"}
        if len(held) > 1:
            before = {"concurrent": len(held)}
    return [
        Difference(
            kind="policy", name=space, now=before, wanted=row, path=standard_path(space), body=body
        )
    ]
