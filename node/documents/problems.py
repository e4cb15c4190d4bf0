"""Why a request about a document cannot be served.

Law: as in `node.memory.problems`: each is raised before anything is minted, and says what to do.
Hashes of changes are lowercase hex everywhere outside.
"""

# ruff: noqa: N818 - the names say what happened, as in node/errors.py

from collections.abc import Iterable, Sequence
from typing import Any

from crdt.document.model import DocumentTooLargeError
from node.memory.problems import RequestError


class NotADocument(RequestError):
    """The memory is no document."""

    http_status = 409
    code = "not_a_document"

    def __init__(self) -> None:
        super().__init__(
            "the memory is no document",
            why="its memory_kind is another one",
            fix="PUT memory_kind: document to make it one; its content becomes the text",
        )


class BadEdit(RequestError):
    """One edit of a request cannot be made.

    Args:
        index: its place in the request, from 0; None when it is about the request as a whole.
        words: what is wrong with it.
    """

    code = "bad_edit"

    def __init__(self, index: int | None, words: str) -> None:
        super().__init__(words if index is None else f"edit {index}: {words}")
        self.index = index

    def extra(self) -> dict[str, Any]:
        """Which edit, for programs."""
        return {} if self.index is None else {"index": self.index}


class BadChange(RequestError):
    """Bytes that are no changes, or a change that the document cannot take."""

    code = "bad_change"

    def __init__(self, words: str) -> None:
        super().__init__(
            words,
            fix="Send whole changes of the Automerge format, as getAllChanges and"
            " getLastLocalChange give them",
        )


class MissingChanges(RequestError):
    """Changes depend on others that are neither sent along nor here.

    Args:
        missing: their hashes.
    """

    http_status = 409
    code = "changes_missing"

    def __init__(self, missing: Iterable[bytes]) -> None:
        super().__init__(
            "the changes depend on others that are not here",
            fix="Send those first, or all that the document lacks",
        )
        self.missing = sorted(one.hex() for one in missing)

    def extra(self) -> dict[str, Any]:
        """What is missing."""
        return {"missing": self.missing}


class UnknownHeads(RequestError):
    """Heads that this node has not seen.

    Args:
        missing: their hashes.
    """

    http_status = 409
    code = "heads_unknown"

    def __init__(self, missing: Iterable[bytes]) -> None:
        super().__init__(
            "the document has no such changes here",
            why="they were made elsewhere and have not come yet, or belong to another document",
            fix="Read the document again, or ask with the causal token of the answer they are from",
        )
        self.missing = sorted(one.hex() for one in missing)

    def extra(self) -> dict[str, Any]:
        """The unknown ones."""
        return {"missing": self.missing}


class DocumentTooLarge(RequestError):
    """A bound of documents would be passed.

    Args:
        cause: which one, and by how much.
    """

    http_status = 413
    code = "document_too_large"

    def __init__(self, cause: DocumentTooLargeError) -> None:
        super().__init__(
            f"the document would pass document_{cause.bound}",
            why=f"{cause.got} is more than {cause.most}",
            fix="Go on in a new document, or make smaller changes",
        )
        self.bound, self.most, self.got = cause.bound, cause.most, cause.got

    def extra(self) -> dict[str, Any]:
        """The bound, for programs."""
        return {"bound": self.bound, "most": self.most, "got": self.got}


class MembersOutdated(RequestError):
    """A member runs a program that knows no documents, and would lose what is written now.

    Args:
        members: their names.
    """

    http_status = 409
    code = "members_outdated"

    def __init__(self, members: Sequence[str]) -> None:
        super().__init__(
            f"{' and '.join(members)} cannot read documents yet",
            why="an older program shows no text of an edited document, and loses it when it moves"
            " the memory; a member that was not seen since this one was upgraded counts as older",
            fix="Upgrade that member and let it link, or remove it from the mesh; then edit",
        )
        self.members = list(members)

    def extra(self) -> dict[str, Any]:
        """Who, for programs."""
        return {"members": self.members}


class DocumentStructured(RequestError):
    """Plain content cannot take the place of a document that holds more than one text."""

    http_status = 409
    code = "document_structured"

    def __init__(self) -> None:
        super().__init__(
            "the document holds more than one text",
            why="its content is made of several values, and nobody could tell which one is meant",
            fix="Edit one of them: mnemesh doc edit ID, or PATCH .../document with its path",
        )
