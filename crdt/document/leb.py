"""Numbers of any size as bytes: LEB128, seven bits a byte, the smallest first.

Law: a number has one spelling. What is longer than need be is refused, as is what does not fit
into 64 bits (DWARF 5, section 7.6; the Automerge binary format asks for the shortest form, since
changes are named by the hash of their bytes).
"""

from typing import Final

from crdt.document.model import ChangeError

_MORE: Final = 0x80
_SEVEN: Final = 0x7F
_SIGN: Final = 0x40
_BITS_MAX: Final = 70
_BAD: Final = "a number is cut off, too large, or longer than need be"
_UNSIGNED_MAX: Final = 2**64 - 1
_SIGNED_MAX: Final = 2**63 - 1
_SMALL: Final = tuple(bytes([n]) for n in range(_MORE))


def uleb(number: int) -> bytes:
    """An unsigned number.

    Raises:
        ChangeError: it is negative, or takes more than 64 bits.
    """
    if 0 <= number < _MORE:
        return _SMALL[number]
    if not 0 <= number <= _UNSIGNED_MAX:
        raise ChangeError(f"{number} is no unsigned number of 64 bits")
    out = bytearray()
    while number >= _MORE:
        out.append(number & _SEVEN | _MORE)
        number >>= 7
    out.append(number)
    return bytes(out)


def sleb(number: int) -> bytes:
    """A signed number, as two's complement.

    Raises:
        ChangeError: it takes more than 64 bits.
    """
    if -_SIGN <= number < _SIGN:
        return _SMALL[number & _SEVEN]
    if not ~_SIGNED_MAX <= number <= _SIGNED_MAX:
        raise ChangeError(f"{number} is no signed number of 64 bits")
    out = bytearray()
    while not -_SIGN <= number < _SIGN:
        out.append(number & _SEVEN | _MORE)
        number >>= 7
    out.append(number & _SEVEN)
    return bytes(out)


def read_uleb(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned number that begins at `at`, and where it ends.

    Raises:
        ChangeError: cut off, longer than need be, or of more than 64 bits.
    """
    number = shift = 0
    try:
        while shift < _BITS_MAX:
            byte = data[at]
            at += 1
            if byte < _MORE:
                number |= byte << shift
                if number > _UNSIGNED_MAX or (not byte and shift):
                    break
                return number, at
            number |= (byte & _SEVEN) << shift
            shift += 7
    except IndexError:
        pass
    raise ChangeError(_BAD)


def read_sleb(data: bytes, at: int) -> tuple[int, int]:
    """The signed number that begins at `at`, and where it ends.

    Raises:
        ChangeError: cut off, longer than need be, or of more than 64 bits.
    """
    number = shift = before = 0
    try:
        while shift < _BITS_MAX:
            byte = data[at]
            at += 1
            if byte < _MORE:
                number |= (byte - _MORE if byte & _SIGN else byte) << shift
                # The last byte says nothing when it only repeats the sign of the one before.
                idle = shift and byte == (_SEVEN if before & _SIGN else 0)
                if idle or not ~_SIGNED_MAX <= number <= _SIGNED_MAX:
                    break
                return number, at
            number |= (byte & _SEVEN) << shift
            shift += 7
            before = byte
    except IndexError:
        pass
    raise ChangeError(_BAD)
