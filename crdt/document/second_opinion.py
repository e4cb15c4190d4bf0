"""What another implementation makes of a document: the extension `automerge` of PyPI, 0.1.2.

Law: it is asked in one function, and nothing else imports it. Only what the reference has taken
whole reaches it, in the order in which that took it, within bounds, and with nothing in it that
the package is known to die of. For on bad input it panics: it writes to standard error before
Python hears of anything, and what it raises is no `Exception`; a deflated chunk of a few hundred
bytes costs it hundreds of megabytes; and a change that is given twice, it does twice: so it gets
each once. No panic is ever wanted; one that comes all the same is a `PackageError`, and its words
on standard error are a fault of this file.

It knows less than the format (`crdt.document.showing.package_shape` says what), and while it
works no other thread of the process does: about a second for 250,000 operations.
"""

from typing import Any, Final

from crdt.document.change import read_changes
from crdt.document.model import (
    Action,
    Change,
    ChangeError,
    DocumentLimits,
    DocumentTooLargeError,
    ScalarKind,
)
from crdt.document.opset import OpSet

PACKAGE: Final = "automerge"
OPS_MAX: Final = 32_768
"""Operations that it is given at most: a tenth of a second and forty megabytes."""

_PANIC: Final = ("pyo3_runtime", "PanicException")
"""Where the extension's panics come from; there is no name to import them by."""

_LIMITS: Final = DocumentLimits()


class PackageError(Exception):
    """There is no second opinion on these bytes; says why."""


class PackageMissingError(PackageError):
    """The package is not installed."""

    def __init__(self) -> None:
        super().__init__(
            f"the package {PACKAGE} is not installed here: there are builds of it for Linux on"
            " x86-64 alone; ask a member that runs there"
        )


def package_value(data: bytes, limits: DocumentLimits = _LIMITS) -> Any:
    """The value of a document as the package sees it.

    Args:
        data: all changes, one chunk behind the other, each after those it depends on.
        limits: bounds of what is read.

    Returns:
        JSON values in the package's own shape.

    Raises:
        PackageMissingError: it is not installed.
        PackageError: the bytes are not for it, or it failed on them.
    """
    taken = OpSet()
    try:
        changes = read_changes(data, limits._replace(ops_max=min(OPS_MAX, limits.ops_max)))
        for change in changes:
            _refuse_what_it_dies_of(change)
            taken.apply(change)
    except DocumentTooLargeError as error:
        raise PackageError(f"not asked, for it is too much for it: {error}") from error
    except ChangeError as error:
        raise PackageError(f"not asked, for the reference does not take it: {error}") from error
    try:
        import automerge  # noqa: PLC0415 - not every platform has it, and few ask
    except ImportError:
        raise PackageMissingError from None
    try:
        return automerge.Doc(b"".join(change.data for change in changes)).obj()
    except BaseException as error:
        # A panic derives from BaseException, as an interrupt does, which is not ours to hold.
        kind = type(error)
        if isinstance(error, Exception) or (kind.__module__, kind.__name__) == _PANIC:
            raise PackageError(f"the package failed: {error}") from None
        raise


def alike(theirs: Any, ours: Any) -> bool:
    """Whether two values in the package's shape are the same one: as `==`, but NaN is like NaN."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return theirs.keys() == ours.keys() and all(alike(v, ours[k]) for k, v in theirs.items())
    if isinstance(theirs, list) and isinstance(ours, list):
        return len(theirs) == len(ours) and all(map(alike, theirs, ours))
    if isinstance(theirs, bool) or isinstance(ours, bool):
        return theirs is ours
    both_nan = bool(theirs != theirs and ours != ours)  # noqa: PLR0124 - what NaN alone is not
    return both_nan or bool(theirs == ours)


def _refuse_what_it_dies_of(change: Change) -> None:
    for op in change.ops:
        if op.action == Action.MARK:
            raise PackageError("not asked: it knows no marks")
        if op.value.kind > ScalarKind.TIMESTAMP:
            raise PackageError(f"not asked: it knows no value of type {op.value.kind}")
