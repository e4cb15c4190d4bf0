"""`mnemesh mcp import-graph`: the file of another knowledge graph server, taken in.

Law: what is taken in goes the way of every write. A line that cannot be read is named and
passed over; an import that broke off is run again and goes on where it stopped.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import typer

from node.cli.mcp import near
from node.cli.options import AgentId, AsJson, DataDir, DryRun, paths_of
from node.cli.output import Output
from node.client.errors import ClientError, Forbidden, NotAdmitted, QuorumNotMet, Unreachable
from node.errors import Exit, NodeError, UsageError
from node.mcp.knowledge import Graph
from node.mcp.knowledge_file import GraphFile, Taken, read_graph_file, take_in
from node.mcp.reach import Find, Reach

_IMPORTER: Final = "ai:mcp-import"
_EXITS: Final[Mapping[type[ClientError], Exit]] = {
    QuorumNotMet: Exit.QUORUM,
    NotAdmitted: Exit.REFUSED,
    Forbidden: Exit.REFUSED,
    Unreachable: Exit.UNREACHABLE,
}


class ImportStopped(NodeError):  # noqa: N818 -- says what happened, like its siblings
    """The node did not take everything; what came before stays."""

    code: ClassVar[str] = "import_stopped"

    def __init__(self, error: ClientError) -> None:
        super().__init__(
            "the graph was not taken in whole",
            why=str(error),
            fix="What came before stays; run the command again and it goes on",
        )
        # Shadows the class attribute: here the exit code depends on what the node said.
        self.exit_code = _EXITS.get(type(error), Exit.ERROR)  # type: ignore[misc]  # see above


def import_graph(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The memory.jsonl to take in.")],
    *,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take in the file of the reference knowledge graph server; twice is once."""
    out = Output(as_json=as_json)
    try:
        with file.open(encoding="utf-8") as lines:
            held = read_graph_file(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read", why=str(error)) from error
    for number, why in held.skipped:
        out.say(f"{file}, line {number}: {why}")
    if dry_run:
        facts = {"entities": len(held.entities), "relations": len(held.relations)}
        words = f"would take in {facts['entities']} entities, {facts['relations']} relations"
        out.answer({"dry_run": True, **facts, "skipped": _lines(held.skipped)}, words)
        return
    taken = asyncio.run(_take_in(out, near(paths_of(data_dir)), agent_id, held))
    facts = {
        "entities": taken.entities,
        "observations": taken.observations,
        "relations": taken.relations,
    }
    words = ", ".join(f"{count} {name}" for name, count in facts.items())
    out.answer({**facts, "skipped": _lines(taken.skipped)}, f"new: {words}")


def _lines(skipped: list[tuple[int, str]]) -> list[dict[str, Any]]:
    return [{"line": number, "error": why} for number, why in skipped]


async def _take_in(out: Output, find: Find, agent: str | None, held: GraphFile) -> Taken:
    reach = Reach(find)
    try:
        with out.progress() as bar:
            total = len(held.entities) + len(held.relations)
            task = bar.add_task("taking in", total=total)
            graph = Graph(reach.speaking_as(agent or _IMPORTER))
            return await take_in(graph, held, lambda count: bar.advance(task, count))
    except ClientError as error:
        raise ImportStopped(error) from error
    finally:
        await reach.aclose()
