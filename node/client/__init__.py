"""The Python client of a mnemesh node: `from node.client import Client, AsyncClient`.

Law: this is the public face; what is not in `__all__` may change. Importing it loads neither
httpx nor TLS: that is done by whoever makes a client.
"""

from node.client.async_client import AsyncClient
from node.client.documents import (
    DocumentChanges,
    DocumentNews,
    DocumentView,
    DocumentWritten,
    HistoryEntry,
)
from node.client.errors import (
    ApiError,
    BadArgument,
    BadRequest,
    Behind,
    BrokenAnswer,
    CertificateRefused,
    ClientError,
    Conflict,
    Forbidden,
    NoAnswer,
    NotAdmitted,
    NotAvailable,
    NotFound,
    PreconditionFailed,
    QuorumNotMet,
    QuotaExceeded,
    Unreachable,
)
from node.client.pace import Ambience, Retry
from node.client.streams import Event
from node.client.sync_client import Client
from node.client.values import (
    Compared,
    Durability,
    Link,
    Memory,
    MemoryBody,
    Message,
    Recalled,
    Stored,
    Written,
)

__all__ = [
    "Ambience",
    "ApiError",
    "AsyncClient",
    "BadArgument",
    "BadRequest",
    "Behind",
    "BrokenAnswer",
    "CertificateRefused",
    "Client",
    "ClientError",
    "Compared",
    "Conflict",
    "DocumentChanges",
    "DocumentNews",
    "DocumentView",
    "DocumentWritten",
    "Durability",
    "Event",
    "Forbidden",
    "HistoryEntry",
    "Link",
    "Memory",
    "MemoryBody",
    "Message",
    "NoAnswer",
    "NotAdmitted",
    "NotAvailable",
    "NotFound",
    "PreconditionFailed",
    "QuorumNotMet",
    "QuotaExceeded",
    "Recalled",
    "Retry",
    "Stored",
    "Unreachable",
    "Written",
]
