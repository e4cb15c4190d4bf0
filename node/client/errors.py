"""How a call to a node can fail, by whose fault it is and by how certain its outcome is.

Law: every failure is one of these. `indefinite` says whether the write may still surface: then
only a repetition with the same idempotency key tells, and every error carries that key.

    ClientError
    |- BadArgument              the call cannot mean anything; nothing was sent
    |- Unreachable              no node took the request                       definite
    |- CertificateRefused       not the pinned certificate, or of no known CA   definite
    |- NoAnswer                 sent, and the answer did not come in time      indefinite
    |- BrokenAnswer             an answer that is none                         indefinite
    '- ApiError                 the node said no; `status`, `code`, `detail`
       |- BadRequest 400, 405, 413, 415
       |- NotAdmitted 401
       |- Forbidden 403
       |- NotFound 404
       |- Conflict 409
       |- PreconditionFailed 412
       |  '- Behind             no node had reached what this session has seen
       |- QuotaExceeded 429
       '- NotAvailable 503, 507 draining, joining, disk full ...
          '- QuorumNotMet       stored on one node, not confirmed by W         indefinite
"""

# ruff: noqa: N818 -- the names say what happened; "Error" would only repeat the base class

from collections.abc import Mapping
from typing import Any, Final

_BEHIND: Final = "behind"
_QUORUM: Final = "quorum_not_met"


class ClientError(Exception):
    """Root of the tree.

    Attributes:
        indefinite: whether a write may have taken effect, or may still do so.
        idempotency_key: of the request; a repetition with it is harmless. Empty for reads.
    """

    indefinite: bool = False
    idempotency_key: str = ""


class BadArgument(ClientError, ValueError):
    """The arguments of a call, or of a client, cannot mean anything; nothing was sent."""


class Unreachable(ClientError):
    """No node took the request before the deadline; nothing was written."""


class CertificateRefused(ClientError):
    """A server showed a certificate that is not trusted; nothing was sent to it."""


class NoAnswer(ClientError):
    """The request was sent and no answer came before the deadline."""

    indefinite = True


class BrokenAnswer(ClientError):
    """What came back is no answer of a node, or ended in the middle."""

    indefinite = True


class ApiError(ClientError):
    """A node answered with an error.

    Args:
        status: HTTP status.
        code: stable code, or the sentence that stands for one.
        detail: what happened and what to do, in the node's words.
        body: the whole answer.
        retry_after: seconds after which the node wants to be asked again, if it said so.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        body: Mapping[str, Any] | None = None,
        *,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}" if detail else f"{status} {code}")
        self.status = status
        self.code = code
        self.detail = detail
        self.body: Mapping[str, Any] = body or {}
        self.retry_after = retry_after


class BadRequest(ApiError):
    """The request cannot be taken; `field` of the body, where there is one, names the cause."""


class NotAdmitted(ApiError):
    """The API key, the certificate or the signature is missing or not valid."""


class Forbidden(ApiError):
    """Governance, or the role of the API key, says no."""


class NotFound(ApiError):
    """There is no such thing, or the caller may not see it."""


class Conflict(ApiError):
    """It is there already, or the id or the idempotency key means something else."""


class PreconditionFailed(ApiError):
    """The memory was changed since the version that `if_match` names."""


class Behind(PreconditionFailed):
    """No node that could be reached has seen what this session has seen."""


class QuotaExceeded(ApiError):
    """The agent has used up what it may add; `retry_after` says when to come back."""


class NotAvailable(ApiError):
    """The node cannot serve this now."""


class QuorumNotMet(NotAvailable):
    """Stored on a node, which spreads it later, and not confirmed by enough members."""

    indefinite = True


_CLASSES: Final[Mapping[int, type[ApiError]]] = {
    400: BadRequest,
    401: NotAdmitted,
    403: Forbidden,
    404: NotFound,
    405: BadRequest,
    409: Conflict,
    412: PreconditionFailed,
    413: BadRequest,
    415: BadRequest,
    429: QuotaExceeded,
    503: NotAvailable,
    507: NotAvailable,
}


def api_error(status: int, body: Any, *, retry_after: float | None = None) -> ApiError:
    """The error that an answer means.

    Args:
        status: HTTP status, 400 or above.
        body: the parsed answer, or its text.
        retry_after: seconds, from the header `Retry-After`.
    """
    fields = body if isinstance(body, dict) else {}
    code = str(fields.get("error") or f"http_{status}")
    detail = str(fields.get("detail") or "")
    kind = _CLASSES.get(status, ApiError)
    if code == _BEHIND:
        kind = Behind
    elif code == _QUORUM:
        kind = QuorumNotMet
    return kind(status, code, detail, fields, retry_after=retry_after)
