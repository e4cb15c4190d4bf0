"""Why a language model gave no answer.

Law: each says what to do. Nothing was written, whatever was asked.
"""

# ruff: noqa: N818 - the names say what happened, as in node/errors.py

from node.errors import NodeError


class NoModel(NodeError):
    """This node has no language model."""

    http_status = 503
    code = "llm_not_configured"

    def __init__(self) -> None:
        super().__init__(
            "this node has no language model", fix="Name one in the section [llm] of its settings"
        )


class ModelAway(NodeError):
    """The model cannot be reached, is too slow, or is asked by too many at once."""

    http_status = 503
    code = "llm_unavailable"


class ModelFailed(NodeError):
    """The model refused, or said something that cannot be used."""

    http_status = 502
    code = "llm_failed"
