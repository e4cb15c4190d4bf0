"""The JSON of one memory, made once for as long as the memory stays the same.

Law: the same bytes as `json_answer` would give of `record_of`. Only the counts of reads differ
from answer to answer, so the pieces around them are what is kept, on the memory itself.
"""

from typing import Any, Final

from node.contracts import Held
from node.http.answer import json_bytes
from node.memory.record import Access, record_of
from node.memory.times import format_ms

_KEPT: Final = "said"
_COUNT: Final = "access_count"
_LAST: Final = b"last_accessed_at"
_SOME: Final[Access] = (1, 1)

Pieces = tuple[bytes, bytes, bytes]
"""What stands before how often it was read, between that and when last, and behind."""


def said_of(held: Held, access: Access) -> bytes:
    """The record of the API in JSON."""
    memo = held.memo
    if memo is None:
        return json_bytes(record_of(held, access))
    pieces: Pieces | None = memo.get(_KEPT)
    if pieces is None:
        pieces = memo[_KEPT] = _pieces(record_of(held, _SOME))
    front, middle, behind = pieces
    count, last = access
    if not last:
        return b"%b%d%b%b" % (front, count, middle, behind)
    return b'%b%d%b,"%b":"%b"%b' % (front, count, middle, _LAST, format_ms(last).encode(), behind)


def _pieces(record: dict[str, Any]) -> Pieces:
    names = list(record)
    first, second = names.index(_COUNT), names.index(_LAST.decode())
    front = _inner({name: record[name] for name in names[:first]})
    middle = _inner({name: record[name] for name in names[first + 1 : second]})
    behind = _inner({name: record[name] for name in names[second + 1 :]})
    opened = b'{%b,"%b":' % (front, _COUNT.encode())
    return opened, b"," + middle, b",%b}" % behind if behind else b"}"


def _inner(part: dict[str, Any]) -> bytes:
    return json_bytes(part)[1:-1]
