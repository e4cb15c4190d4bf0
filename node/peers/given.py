"""How many operations a message gives to the peer that it is sent to.

Law: counted is what goes onto the wire, from the first bytes of a message; only a page, which is
rare, is taken apart. What came by the same message twice was given twice.
"""

from typing import Final

from crdt import messages as m
from crdt.header import peek
from crdt.messages import MessageError, decode, encode

_HEADER_BYTES_MAX: Final = 96
_KIND_AT: Final = 1
_PUSH, _SPREAD, _PAGE = (
    encode(message)[_KIND_AT] for message in (m.Push(b""), m.Spread(b"", b""), m.Page(0, [], True))
)
# Kind, then msgpack's head of a byte string: one tag, and a length of 1, 2 or 4 bytes.
_BUNDLE_AT: Final = {0xC4: 4, 0xC5: 5, 0xC6: 7}


def ops_given(message: bytes) -> int:
    """Operations in an encoded message; 0 for one that carries none.

    Args:
        message: as `crdt.messages.encode` made it.
    """
    kind = message[_KIND_AT]
    if kind in (_PUSH, _SPREAD):
        at = _BUNDLE_AT.get(message[_KIND_AT + 1], 0)
        return _ops_of(message[at : at + _HEADER_BYTES_MAX])
    if kind != _PAGE:
        return 0
    try:
        page = decode(message)
    except MessageError:
        return 0
    return sum(map(_ops_of, page.bundles)) if isinstance(page, m.Page) else 0


def _ops_of(bundle: bytes) -> int:
    header = peek(bundle)
    return 0 if header is None else header.last - header.first + 1
