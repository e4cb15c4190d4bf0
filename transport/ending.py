"""How a connection is ended at once, on every event loop and Python that is supported.

Law: dropping is final and never raises, whatever state the connection is in.
"""

import asyncio
import contextlib

__all__ = ["drop"]


def drop(transport: asyncio.BaseTransport) -> None:
    """Abort a connection; one that has ended already stays so."""
    # asyncio before 3.11.4 raises when its TLS transport has been closed.
    with contextlib.suppress(AttributeError):
        transport.abort()  # type: ignore[attr-defined]  # every stream transport has it
