"""`mnemesh auto-tag`, `expand-query`: what a language model of the node suggests.

Law: each is one request to the running node. Nothing is written: to keep a tag is a request of
its own (`mnemesh update`).
"""

from typing import Annotated

import typer

from node.cli.client import Client, running_target
from node.cli.options import AgentId, AsJson, DataDir, paths_of
from node.cli.output import Output

_MODEL_SECONDS = 660.0


def auto_tag(
    memory: Annotated[
        str, typer.Argument(metavar="ID", help="Id, or at least 6 characters of it.")
    ],
    *,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Suggest tags for a memory."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    data = client.call("POST", "/api/v1/auto_tag", body={"id": memory}, timeout=_MODEL_SECONDS).data
    Output(as_json=as_json).answer(data, "\n".join(data["tags"]) or "no tags")


def expand_query(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The words to search for.")],
    *,
    agent_id: AgentId = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Suggest further words for a query."""
    client = Client(running_target(paths_of(data_dir)), agent_id=agent_id)
    body = {"query": query}
    data = client.call("POST", "/api/v1/expand_query", body=body, timeout=_MODEL_SECONDS).data
    Output(as_json=as_json).answer(data, "\n".join(data["expanded_terms"]) or "no further words")
