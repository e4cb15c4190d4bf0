"""The one error by which a request is refused for what it proves, or fails to prove.

Law: raised before anything is minted; the code is stable and is also the reason under which
the refusal is counted.
"""

# ruff: noqa: N818 - the name says what happened, as in node/errors.py

from node.errors import Exit, NodeError

UNAUTHORIZED = 401
FORBIDDEN = 403


class AuthRefused(NodeError):
    """The sender of a request is not who it has to be.

    Args:
        code: stable code of the answer.
        what: what is wrong and what to do, in words.
        status: HTTP status, 401 or 403.
    """

    exit_code = Exit.REFUSED

    def __init__(self, code: str, what: str, *, status: int = UNAUTHORIZED) -> None:
        super().__init__(what)
        # Both shadow class attributes: one class for all, because callers treat all alike.
        self.code = code  # type: ignore[misc]  # see above
        self.http_status = status  # type: ignore[misc]  # see above
