"""One rule broken for a while: how every list of planted bugs puts its bugs in.

Law: what was replaced is put back in the opposite order, whatever happened meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Patch = tuple[Any, str, Any]
"""Whose attribute, which, and what stands there while the rule is broken."""


@contextmanager
def planted(*patches: Patch) -> Iterator[None]:
    """Run with these attributes replaced."""
    saved: list[Patch] = []
    try:
        for owner, name, broken in patches:
            saved.append((owner, name, getattr(owner, name)))
            setattr(owner, name, broken)
        yield
    finally:
        for owner, name, sound in reversed(saved):
            setattr(owner, name, sound)
