"""Changes that others made, on their way into a document.

Law: nothing of what is brought is taken unless all of it can be; what is wrong with it is told in
words of requests.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from crdt.document.change import read_changes
from crdt.document.model import (
    Change,
    ChangeError,
    DocumentLimits,
    DocumentTooLargeError,
    MissingChangesError,
)
from crdt.document.opened import Document
from node.documents.problems import BadChange, DocumentTooLarge, MissingChanges
from node.documents.sheet import DOCUMENT
from node.memory.problems import InvalidField


def read_all(data: bytes, limits: DocumentLimits) -> list[Change]:
    """Changes that stand one after the other, each once.

    Raises:
        BadChange, DocumentTooLarge: they cannot be read.
    """
    try:
        changes = read_changes(data, limits)
    except DocumentTooLargeError as error:
        raise DocumentTooLarge(error) from error
    except ChangeError as error:
        raise BadChange(str(error)) from error
    if not changes:
        raise BadChange("there are no changes in what was sent")
    return changes


def exported(given: Any, limits: DocumentLimits) -> list[Change]:
    """The changes of a document, as an export or a row of a peer has them.

    Raises:
        InvalidField: it is no base64.
        BadChange, DocumentTooLarge: they cannot be read.
    """
    try:
        data = base64.b64decode(given if isinstance(given, str) else "?", validate=True)
    except (binascii.Error, ValueError) as error:
        words = "expected the base64 of changes, one after the other"
        raise InvalidField(DOCUMENT, words) from error
    return read_all(data, limits)


def accepted(document: Document, changes: Sequence[Change]) -> list[Change]:
    """Those that a document lacks, what they depend on first.

    Raises:
        BadChange, MissingChanges, DocumentTooLarge: it does not take them.
    """
    try:
        return document.accepts(changes)
    except MissingChangesError as error:
        raise MissingChanges(error.missing) from error
    except DocumentTooLargeError as error:
        raise DocumentTooLarge(error) from error
    except ChangeError as error:
        raise BadChange(str(error)) from error
