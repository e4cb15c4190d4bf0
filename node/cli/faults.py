"""Where errors of other parts stand in the tree of exit codes.

Law: the words of the other part are kept; only the exit code is ours.
"""

from typing import Final

from node.errors import ConfigError, LooseModes, NodeError, Refused, Unreachable
from transport import errors as transport_errors

# The first that fits; the last fits all.
_TRANSPORT: Final[dict[type[Exception], type[NodeError]]] = {
    transport_errors.LooseModeError: LooseModes,
    transport_errors.NotAllowlistedError: Refused,
    # May pass by itself (an old process, an interface that comes up later), so these are not
    # among the codes after which a supervisor stops trying.
    transport_errors.PortInUseError: NodeError,
    transport_errors.AddressUnavailableError: NodeError,
    transport_errors.ConfigurationError: ConfigError,
    Exception: Unreachable,
}


def as_node_error(error: Exception) -> NodeError:
    """Give an error of another part its place in the tree of exit codes."""
    if isinstance(error, NodeError):
        return error
    if isinstance(error, PermissionError):
        return Refused(
            f"cannot use {error.filename}",
            why="permission denied",
            fix="Run this as the user that owns the node",
        )
    kind = next(ours for theirs, ours in _TRANSPORT.items() if isinstance(error, theirs))
    return kind(str(error))
