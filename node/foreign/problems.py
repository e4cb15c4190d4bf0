"""How the exchange with a foreign peer can fail, by what has to happen next.

NodeError
|- MemberHere 409      it belongs to this mesh: there is a better way to talk
|- PeerAway            nobody answers there now; tried again, later and later
|- PeerRefused         it answered no; carries what it said
'- PeerIsMember        it says that we belong to its mesh: never tried again
"""

# ruff: noqa: N818 - the names say what happened, as in node/errors.py

from typing import Any

from node.errors import Exit, NodeError


class MemberHere(NodeError):
    """A member of this mesh used the face for foreign peers."""

    exit_code = Exit.REFUSED
    http_status = 409
    code = "member_of_this_mesh"

    def __init__(self) -> None:
        super().__init__(
            "the certificate is that of a member of this mesh",
            why="members exchange operations over the mesh protocol, which loses nothing",
            fix="Push from a node of another mesh, with a certificate of its own",
        )


class PeerAway(NodeError):
    """A foreign peer cannot be reached, or its answer cannot be read."""

    exit_code = Exit.UNREACHABLE
    http_status = 503
    code = "unreachable"


class PeerRefused(NodeError):
    """A foreign peer answered with an error.

    Attributes:
        status: HTTP status of the answer.
        error: its code.
        body: the whole answer.
    """

    exit_code = Exit.REFUSED
    code = "peer_refused"

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.error = str(body.get("error", ""))[:200]
        self.body = body
        super().__init__(f"the peer answered {status}", why=self.error)


class PeerIsMember(NodeError):
    """The other side of an address belongs to the same mesh."""

    exit_code = Exit.REFUSED
    http_status = 409
    code = "member_of_this_mesh"
