"""What every source of an import is made into: bodies as the API takes them.

Law: an id depends on what is imported and on nothing else. Text is what it was, but for what
no node may store: U+0000 and halves of surrogate pairs.
"""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

BATCH_ITEMS_MAX: Final = 500
BATCH_BYTES_MAX: Final = 1_500_000
TITLE_CHARS_MAX: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What an import will send.

    Attributes:
        kind: `markdown`, `json`, `chatgpt` or `claude`.
        memories: bodies as the API takes them.
        links: links of an export, sent with the last batch.
        left_out: why something of the source is no memory -> how often.
    """

    kind: str
    memories: list[dict[str, Any]]
    links: list[dict[str, Any]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def stable_id(*parts: str) -> str:
    """An id, shaped like a UUID, that depends on these texts only."""
    digest = hashlib.sha256(b"".join(_framed(part) for part in parts)).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def _framed(part: str) -> bytes:
    # With its length in front, so that ("ab", "c") and ("a", "bc") differ.
    raw = part.encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(8) + raw


def clean(text: str) -> str:
    """Text without U+0000, with pairs of surrogates joined and single ones replaced."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def titled(title: str, part: int = 0) -> str:
    """A title within its bounds; later parts of one text say which they are."""
    suffix = f" (part {part + 1})" if part else ""
    return clean(title)[: TITLE_CHARS_MAX - len(suffix)] + suffix


def moment_of(seconds: object) -> str | None:
    """RFC 3339 text of seconds since the epoch; None for what is no such time."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def batches(
    memories: Iterable[Mapping[str, Any]],
    *,
    items_max: int = BATCH_ITEMS_MAX,
    bytes_max: int = BATCH_BYTES_MAX,
) -> Iterator[list[Mapping[str, Any]]]:
    """Group memories so that each group fits into one request."""
    batch: list[Mapping[str, Any]] = []
    size = 0
    for memory in memories:
        length = len(json.dumps(memory, ensure_ascii=False).encode("utf-8", "surrogatepass")) + 2
        if batch and (len(batch) >= items_max or size + length > bytes_max):
            yield batch
            batch, size = [], 0
        batch.append(memory)
        size += length
    if batch:
        yield batch
