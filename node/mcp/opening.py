"""Composition of the tools at /mcp.

Law: all routes are open to tools as they are to everybody; which tools there are is decided by
the profile alone.
"""

from node.http.routes import Router
from node.http.table import TABLE
from node.live import Live, Tasks
from node.mcp.face import McpFace


def open_mcp(live: Live, tasks: Tasks) -> McpFace:
    """The tools of a node.

    Args:
        live: the settings in force.
        tasks: owns what runs.
    """
    return McpFace(
        lambda: live.settings.mcp,
        Router(TABLE),
        tasks.spawn,
        lambda: live.settings.identity.anonymize_default,
    )
