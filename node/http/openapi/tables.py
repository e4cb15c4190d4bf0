"""All shapes.

Law: the union of the tables by subject; no route is in two of them.
"""

from typing import Final

from node.http.openapi.document_shapes import DOCUMENT_SHAPES
from node.http.openapi.erase_shapes import ERASE_SHAPES
from node.http.openapi.event_shapes import EVENT_SHAPES
from node.http.openapi.governance_shapes import GOVERNANCE_SHAPES
from node.http.openapi.graph_shapes import GRAPH_SHAPES
from node.http.openapi.integrity_shapes import INTEGRITY_SHAPES
from node.http.openapi.lifecycle_shapes import LIFECYCLE_SHAPES
from node.http.openapi.mcp_shapes import MCP_SHAPES
from node.http.openapi.memory_shapes import MEMORY_SHAPES
from node.http.openapi.node_shapes import NODE_SHAPES
from node.http.openapi.recall_shapes import RECALL_SHAPES
from node.http.openapi.shapes import Shapes

_TABLES: Final = (
    DOCUMENT_SHAPES,
    ERASE_SHAPES,
    INTEGRITY_SHAPES,
    EVENT_SHAPES,
    GOVERNANCE_SHAPES,
    GRAPH_SHAPES,
    LIFECYCLE_SHAPES,
    MCP_SHAPES,
    MEMORY_SHAPES,
    NODE_SHAPES,
    RECALL_SHAPES,
)

SHAPES: Final[Shapes] = {name: shape for table in _TABLES for name, shape in table.items()}
