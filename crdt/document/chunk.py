"""Chunks: how changes lie one after the other in a file or on the wire.

Law: a chunk says how long it is and what it hashes to, so it is judged before it is read. Only
changes are taken; deflated ones are inflated up to a bound and go on as what they were made of,
whose hash is theirs.

Layout: 85 6f 4a 83, the first four bytes of the hash, the type, the length of the contents
(LEB128), the contents. The hash is SHA-256 over type, length and contents, of a deflated chunk as
it was before. Types: 0 a saved document, 1 a change, 2 a deflated change, 3 and 4 bundles.
"""

import hashlib
import zlib
from typing import Final

from crdt.document.leb import read_uleb, uleb
from crdt.document.model import ChangeError, DocumentLimits, DocumentTooLargeError

MAGIC: Final = b"\x85\x6f\x4a\x83"
_CHECKSUM: Final = slice(4, 8)
_TYPE: Final = 8
_SAVED: Final = 0
_CHANGE: Final = 1
_DEFLATED: Final = 2
_RAW_DEFLATE: Final = -15
UNFOLDED_TIMES: Final = 8
"""All changes of a document take at most so many times the bytes that it may be stored in."""


def frame(contents: bytes) -> tuple[bytes, bytes]:
    """The hash and the chunk of a change with these contents."""
    rest = b"\x01" + uleb(len(contents)) + contents
    digest = hashlib.sha256(rest).digest()
    return digest, MAGIC + digest[:4] + rest


def open_chunk(chunk: bytes, limits: DocumentLimits) -> tuple[bytes, int]:
    """The hash of a chunk with one change, and where its contents begin.

    Raises:
        DocumentTooLargeError: it is longer than a change may be.
        ChangeError: it is no such chunk, is cut off or too long, or does not hash to what it says.
    """
    if len(chunk) > limits.change_bytes_max:
        raise DocumentTooLargeError("change_bytes_max", limits.change_bytes_max, len(chunk))
    if chunk[:4] != MAGIC or len(chunk) <= _TYPE + 1:
        raise ChangeError("not a chunk of an Automerge document")
    if chunk[_TYPE] != _CHANGE:
        raise ChangeError(f"a chunk of type {chunk[_TYPE]} where a change was expected")
    length, begin = read_uleb(chunk, _TYPE + 1)
    if begin + length != len(chunk):
        raise ChangeError(f"a chunk says {length} bytes and has {len(chunk) - begin}")
    digest = hashlib.sha256(chunk[_TYPE:]).digest()
    if digest[:4] != chunk[_CHECKSUM]:
        raise ChangeError("the checksum of a chunk is wrong")
    return digest, begin


def contents_at(chunk: bytes) -> int:
    """Where the contents of a chunk begin that `open_chunk` has taken."""
    return read_uleb(chunk, _TYPE + 1)[1]


def split_chunks(data: bytes, limits: DocumentLimits) -> list[bytes]:
    """The chunks of changes that lie one after the other, each of type 1.

    They are not read: that is for `read_change`.

    Raises:
        DocumentTooLargeError: a chunk, all of them, or their number, pass a bound.
        ChangeError: what lies there are no changes, or is cut off.
    """
    chunks: list[bytes] = []
    at = total = 0
    most = UNFOLDED_TIMES * limits.stored_bytes_max
    while at < len(data):
        if len(chunks) >= limits.changes_max:
            raise DocumentTooLargeError("changes_max", limits.changes_max, len(chunks) + 1)
        chunk, at = _next(data, at, limits)
        total += len(chunk)
        if total > most:
            raise DocumentTooLargeError("stored_bytes_max", most, total)
        chunks.append(chunk)
    return chunks


def _next(data: bytes, at: int, limits: DocumentLimits) -> tuple[bytes, int]:
    if data[at : at + 4] != MAGIC or len(data) <= at + _TYPE + 1:
        raise ChangeError(f"no chunk of an Automerge document begins at byte {at}")
    kind = data[at + _TYPE]
    length, begin = read_uleb(data, at + _TYPE + 1)
    end = begin + length
    if kind == _SAVED:
        raise ChangeError("a saved document: send its changes instead (getAllChanges)")
    if kind not in {_CHANGE, _DEFLATED}:
        raise ChangeError(f"a chunk of type {kind}: send single changes (getAllChanges)")
    if end > len(data):
        raise ChangeError(f"the chunk at byte {at} is cut off")
    if end - at > limits.change_bytes_max:
        raise DocumentTooLargeError("change_bytes_max", limits.change_bytes_max, end - at)
    if kind == _CHANGE:
        return data[at:end], end
    contents = _inflated(data[begin:end], limits.change_bytes_max)
    checksum = data[at + 4 : at + _TYPE]
    chunk = b"".join((MAGIC, checksum, b"\x01", uleb(len(contents)), contents))
    return chunk, end


def _inflated(data: bytes, most: int) -> bytes:
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    try:
        contents = inflater.decompress(data, most + 1)
    except zlib.error as error:
        raise ChangeError("a deflated chunk cannot be inflated") from error
    if len(contents) > most:
        raise DocumentTooLargeError("change_bytes_max", most, len(contents))
    if not inflater.eof or inflater.unused_data:
        raise ChangeError("a deflated chunk is cut off, or goes on after its end")
    return contents
