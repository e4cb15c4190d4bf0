"""Why a request about memories cannot be served: the errors of agents, and one shortfall.

Law: each says which field or which record, and carries the HTTP status and the stable code.
None of them leaves anything half done: they are raised before anything is minted, except
`Shortfall`, whose write stays and spreads.
"""

# ruff: noqa: N818 - the names say what happened, as in node/errors.py

from collections.abc import Mapping, Sequence
from typing import Any

from node.errors import NodeError, QuorumNotMet


class RequestError(NodeError):
    """The request cannot be served as it stands."""

    http_status = 400
    code = "bad_request"

    def extra(self) -> dict[str, Any]:
        """Further fields of the answer."""
        return {}


class InvalidField(RequestError):
    """A field is missing, of the wrong type, or beyond its limit.

    Args:
        field: name of the field.
        problem: what is wrong with it, in words.
    """

    code = "invalid_field"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field

    def extra(self) -> dict[str, Any]:
        """The field, for programs."""
        return {"field": self.field}


class AlreadyOver(InvalidField):
    """The life of the memory would end before it begins."""

    def __init__(self) -> None:
        super().__init__("expires_at", "lies in the past")


class NotFound(RequestError):
    """Nothing that this caller may see has that id."""

    http_status = 404
    code = "not_found"


class Ambiguous(RequestError):
    """A prefix stands for several ids."""

    http_status = 409
    code = "ambiguous_id"

    def __init__(self, prefix: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"{prefix!r} is the beginning of several ids", fix="Give more characters of the id"
        )
        self.candidates = list(candidates)

    def extra(self) -> dict[str, Any]:
        """The ids it may mean."""
        return {"candidates": self.candidates}


class AlreadyThere(RequestError):
    """A memory with this id, or with this title where that is asked to be an error."""

    http_status = 409
    code = "conflict"

    def __init__(self, what: str, existing_id: str) -> None:
        super().__init__(what, fix="Update the existing memory or choose another one")
        self.existing_id = existing_id

    def extra(self) -> dict[str, Any]:
        """The memory in the way."""
        return {"existing_id": self.existing_id}


class StaleVersion(RequestError):
    """`If-Match` names another version than the current one."""

    http_status = 412
    code = "precondition_failed"

    def __init__(self, etag: str) -> None:
        super().__init__("the memory has changed since it was read", fix="Read it again")
        self.etag = etag

    def extra(self) -> dict[str, Any]:
        """The current version."""
        return {"etag": f'"{self.etag}"'}


class TooManyItems(RequestError):
    """More items than one request may carry."""

    http_status = 413
    code = "too_many_items"

    def __init__(self, count: int, most: int) -> None:
        super().__init__(f"{count} items in one request, at most {most} are taken")


class NotAdministrator(RequestError):
    """The caller asks for what only administrators may do."""

    http_status = 403
    code = "administrators_only"


class NotOwner(RequestError):
    """Only who wrote the memory, or an administrator, may do this to it."""

    http_status = 403
    code = "owner_only"


class ItemRefused(RequestError):
    """Governance refuses one item of a request; its words begin with the stable code."""

    http_status = 403
    code = "denied"


class NotInThisName(RequestError):
    """An item of a request is written in a name in which its sender may not write.

    Args:
        reason: stable code, as the refusal of a whole request has it.
        words: what is wrong.
    """

    http_status = 403
    code = "agent_not_of_request"

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(f"{reason}: {words}")
        self.reason = reason


class Shortfall(Exception):
    """A write is stored here but not on W members, told with what the request made.

    Args:
        cause: what the funnel said.
        facts: fields that the answer carries beside it, as the id.
    """

    def __init__(self, cause: QuorumNotMet, facts: Mapping[str, Any]) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.facts = dict(facts)
