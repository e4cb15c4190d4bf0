"""A document, read by a second program.

Law: only what the reference has taken is given to the other program, and all of it is done beside
the loop; that the two do not agree, or that the other one cannot be asked, is an answer and not an
error.
"""

from collections.abc import Sequence
from typing import Any

from crdt.document.opened import Document
from crdt.document.pack import Kept
from crdt.document.second_opinion import PackageError, alike, package_value


def compared(kept: Sequence[Kept]) -> dict[str, Any]:
    """Whether the package `automerge` reads the same in the changes of a document.

    `agrees` is null where it cannot be asked: it knows less than the format, and is not built for
    every platform.

    Args:
        kept: the changes, each after what it depends on.
    """
    try:
        theirs = package_value(b"".join([one.change.data for one in kept]))
    except PackageError as error:
        return {"agrees": None, "detail": str(error)}
    if alike(theirs, Document.of(kept).package_shape()):
        return {"agrees": True, "detail": "the package automerge reads the same"}
    return {"agrees": False, "detail": "the package automerge reads something else"}
