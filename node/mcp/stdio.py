"""The server over stdio: what a client starts as its own process.

Law: stdout carries the protocol and nothing else; it ends when the client closes stdin. It
speaks for one agent: the one it was told, else the one that follows from the client's name.
"""

from mcp.server.stdio import stdio_server

from node.mcp.api import Api
from node.mcp.callers import agent_of
from node.mcp.reach import Find, Reach
from node.mcp.server import Context, build_server, client_name


async def serve_stdio(
    profile: str, find: Find, agent: str | None, *, anonymous: bool = False
) -> None:
    """Serve until stdin ends.

    Args:
        profile: which tools to show.
        find: looks the node up.
        agent: in whose name; from the name of the client when None.
        anonymous: in nobody's name, when None.
    """
    reach = Reach(find)

    def api_of(context: Context) -> Api:
        return reach.speaking_as(agent or agent_of(client_name(context), anonymous=anonymous))

    server = build_server(profile, api_of)
    try:
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())
    finally:
        await reach.aclose()
