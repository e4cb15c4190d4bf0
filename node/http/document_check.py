"""A document, read by a second program.

Law: only what the reference has taken is given to the other program, in a thread of its own; that
the two do not agree, or that the other one fails, is an answer and not an error.
"""

import asyncio
from typing import Any

from crdt.document.opened import Document
from crdt.document.second_opinion import PackageError, alike, package_value


async def compared(document: Document) -> dict[str, Any]:
    """Whether the package `automerge` reads the same in the changes of a document.

    `agrees` is null where it cannot be asked: it knows less than the format, and is not built for
    every platform.
    """
    # Both now: the document may grow while the other program reads.
    ours, data = document.package_shape(), document.data()
    try:
        theirs = await asyncio.to_thread(package_value, data)
    except PackageError as error:
        return {"agrees": None, "detail": str(error)}
    if alike(theirs, ours):
        return {"agrees": True, "detail": "the package automerge reads the same"}
    return {"agrees": False, "detail": "the package automerge reads something else"}
