"""Shapes of the address of the tools.

Law: what is said there is a protocol of its own (JSON-RPC), which its own specification
describes, so the document of the API leaves it out.
"""

from typing import Final

from node.http.openapi.schema import anything, text
from node.http.openapi.shapes import Shape, Shapes

_PROFILE: Final = {"profile": text(about="which tools are shown")}

MCP_SHAPES: Final[Shapes] = {
    "POST /mcp": Shape(query=_PROFILE, body=anything(), answers={200: anything()}, hidden=True),
    "DELETE /mcp": Shape(query=_PROFILE, answers={200: anything()}, hidden=True),
}
