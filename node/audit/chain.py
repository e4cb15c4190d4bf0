r"""The form of the chain, and how it is verified.

Law: one entry is one line, and one entry has one spelling, so any byte that differs from what
was signed shows. `hash` covers everything before it and the hash of the entry before; `sig`
covers the hash and whose chain it is. What is first wrong is named by the number of the entry
that should have stood there. Pure: bytes in, verdicts out.

A line is this JSON object, in this order, without spaces, ASCII only, facts sorted by name:

    {"seq":1,"at":<ms>,"event":"started","facts":{},"prev":"<hex>","hash":"<hex>","sig":"<hex>"}

    hash = SHA-256(tag "mnemesh-audit-entry-1\0", the line up to `,"hash"`)
    sig  = Ed25519(tag "mnemesh-audit-1\0", node id, hash)            RFC 8032

`prev` of entry 1 is 64 zeros. When the oldest entries were dropped, an anchor says with which
entry the chain begins: {"seq","hash","at","sig"}, signed over tag "mnemesh-audit-anchor-1\0",
node id, seq and at (8 bytes each, big endian), hash.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from node.audit.events import INTEGER_MAX, Fact, Facts

Sign = Callable[[bytes], bytes]
"""Message -> 64-byte Ed25519 signature by the node's key."""

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether it is genuine."""

HASH_CHARS: Final = 64
SIGNATURE_CHARS: Final = 128
LINE_BYTES_MAX: Final = 64 * 1024
NO_PREV: Final = "0" * HASH_CHARS

_ENTRY_TAG: Final = b"mnemesh-audit-entry-1\x00"
_CHAIN_TAG: Final = b"mnemesh-audit-1\x00"
_ANCHOR_TAG: Final = b"mnemesh-audit-anchor-1\x00"
_HEX: Final = frozenset("0123456789abcdef")
_FIELDS: Final = ("seq", "at", "event", "facts", "prev", "hash", "sig")


class ChainError(ValueError):
    """Bytes that are no entry. `reason` is a short word for reports."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Link(NamedTuple):
    """A place in the chain: the number of an entry, and its hash in hex."""

    seq: int
    hash: str


START: Final = Link(0, NO_PREV)
"""Before the first entry."""


class Bad(NamedTuple):
    """The first entry that does not hold, and why."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry as it stands in the chain."""

    seq: int
    at: int
    event: str
    facts: Facts
    prev: str
    hash: str
    sig: str

    @property
    def link(self) -> Link:
        """Its place."""
        return Link(self.seq, self.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose chain it is.

    Attributes:
        node_id: 32 bytes.
        key: the node's Ed25519 public key, 32 bytes.
        verify: checks a signature.
    """

    node_id: bytes
    key: bytes
    verify: Verify


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _front(seq: int, at: int, event: str, facts: Facts, prev: str) -> bytes:
    """Everything before the hash."""
    shown = {name: facts[name] for name in sorted(facts)}
    row = _json({"seq": seq, "at": at, "event": event, "facts": shown, "prev": prev})
    return row[:-1].encode("ascii")


def _line(front: bytes, digest: str, signature: str) -> bytes:
    return b'%b,"hash":"%b","sig":"%b"}' % (front, digest.encode(), signature.encode())


def _signed(node_id: bytes, digest: str) -> bytes:
    return _CHAIN_TAG + node_id + bytes.fromhex(digest)


def write_entry(
    after: Link, *, at: int, event: str, facts: Facts, node_id: bytes, sign: Sign
) -> tuple[Link, bytes]:
    """The next entry of a chain.

    Returns:
        Its place, and its line without the line break.
    """
    front = _front(after.seq + 1, at, event, facts, after.hash)
    digest = hashlib.sha256(_ENTRY_TAG + front).hexdigest()
    signature = sign(_signed(node_id, digest)).hex()
    return Link(after.seq + 1, digest), _line(front, digest, signature)


def read_entry(line: bytes) -> Entry:
    """Strictly read one line; neither hash nor signature is checked here.

    Raises:
        ChainError: it is no entry, or another spelling of one.
    """
    if len(line) > LINE_BYTES_MAX:
        raise ChainError("too_long")
    try:
        row: Any = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise ChainError("malformed") from error
    if not isinstance(row, dict) or tuple(row) != _FIELDS or not _well_typed(row):
        raise ChainError("malformed")
    facts: dict[str, Fact] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in row["facts"].items()
    }
    entry = Entry(**{**row, "facts": facts})
    front = _front(entry.seq, entry.at, entry.event, facts, entry.prev)
    if _line(front, entry.hash, entry.sig) != line:
        raise ChainError("not_canonical")
    return entry


def _well_typed(row: Mapping[str, Any]) -> bool:
    return (
        all(type(row[name]) is int and 0 <= row[name] <= INTEGER_MAX for name in ("seq", "at"))
        and isinstance(row["event"], str)
        and isinstance(row["facts"], dict)
        and all(_is_fact(value) for value in row["facts"].values())
        and _is_hex(row["prev"], HASH_CHARS)
        and _is_hex(row["hash"], HASH_CHARS)
        and _is_hex(row["sig"], SIGNATURE_CHARS)
    )


def _is_fact(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return value is None or type(value) in (str, int, bool)


def _is_hex(value: object, chars: int) -> bool:
    return isinstance(value, str) and len(value) == chars and _HEX.issuperset(value)


@dataclass(slots=True, kw_only=True)
class Walk:
    """Verifies a chain line by line.

    Attributes:
        owner: whose chain it has to be.
        at: the last entry that holds, or where the chain begins.
        wanted: numbers of entries whose hashes somebody countersigned.
        found: their hashes, as far as the walk has come.
        rows: entries that hold.
        bad: what is first wrong; nothing is looked at after it.
    """

    owner: Owner
    at: Link = START
    wanted: frozenset[int] = frozenset()
    found: dict[int, str] = field(default_factory=dict)
    rows: int = 0
    bad: Bad | None = None

    def __post_init__(self) -> None:
        """What the beginning says counts as found."""
        self._note()

    def _note(self) -> None:
        if self.at.seq in self.wanted:
            self.found[self.at.seq] = self.at.hash

    def fail(self, reason: str, seq: int | None = None) -> None:
        """Something is wrong at an entry; the next one when no other is named."""
        self.bad = self.bad or Bad(self.at.seq + 1 if seq is None else seq, reason)

    def take(self, line: bytes) -> bool:
        """The next line, without its line break; returns whether it holds."""
        if self.bad is not None:
            return False
        try:
            entry = read_entry(line)
        except ChainError as error:
            self.fail(error.reason)
            return False
        wrong = self._wrong(entry, line)
        if wrong:
            self.fail(wrong)
            return False
        self.at = entry.link
        self.rows += 1
        self._note()
        return True

    def _wrong(self, entry: Entry, line: bytes) -> str:
        if entry.seq != self.at.seq + 1:
            return "out_of_sequence"
        if entry.prev != self.at.hash:
            return "prev_does_not_match"
        front = line[: -len(_line(b"", entry.hash, entry.sig))]
        if hashlib.sha256(_ENTRY_TAG + front).hexdigest() != entry.hash:
            return "hash_does_not_match"
        signed, signature = _signed(self.owner.node_id, entry.hash), bytes.fromhex(entry.sig)
        if not self.owner.verify(self.owner.key, signed, signature):
            return "signature_does_not_hold"
        return ""

    def take_all(self, data: bytes) -> None:
        """Whole lines; a rest without a line break at the end is a torn entry."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            if not self.take(line):
                return
        if rest:
            self.fail("torn")

    def claim(self, link: Link) -> None:
        """Somebody has seen this entry: the chain must hold it, unless it was dropped since."""
        if self.bad is not None:
            return
        if link.seq > self.at.seq:
            self.fail("cut_off")
        elif self.found.get(link.seq, link.hash) != link.hash:
            self.fail("countersigned_otherwise", link.seq)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What verifying a chain gave.

    Attributes:
        holds: whether all of it holds.
        rows_checked: entries that hold, up to the first that does not.
        first_bad: the first that does not.
        head: the last entry that holds.
    """

    holds: bool
    rows_checked: int
    first_bad: Bad | None
    head: Link


def verdict_of(walk: Walk, claims: Iterable[Link] = ()) -> Verdict:
    """End a walk: hold the chain against what others have seen of it."""
    for link in sorted(claims):
        walk.claim(link)
    return Verdict(holds=walk.bad is None, rows_checked=walk.rows, first_bad=walk.bad, head=walk.at)


def verify_chain(
    data: bytes, owner: Owner, *, begins: Link = START, claims: Iterable[Link] = ()
) -> Verdict:
    """Verify a whole chain in memory.

    Args:
        data: its lines.
        owner: whose it has to be.
        begins: the last entry before it; what an anchor says.
        claims: places that others have countersigned.
    """
    seen = tuple(claims)
    walk = Walk(owner=owner, at=begins, wanted=frozenset(link.seq for link in seen))
    walk.take_all(data)
    return verdict_of(walk, seen)


def _anchor_signed(node_id: bytes, link: Link, at: int) -> bytes:
    numbers = link.seq.to_bytes(8, "big") + at.to_bytes(8, "big")
    return _ANCHOR_TAG + node_id + numbers + bytes.fromhex(link.hash)


def _anchor_line(link: Link, at: int, signature: str) -> bytes:
    row = {"seq": link.seq, "hash": link.hash, "at": at, "sig": signature}
    return _json(row).encode("ascii") + b"\n"


def write_anchor(link: Link, *, at: int, node_id: bytes, sign: Sign) -> bytes:
    """The signed note that entries up to a place were dropped."""
    return _anchor_line(link, at, sign(_anchor_signed(node_id, link, at)).hex())


def read_anchor(data: bytes, owner: Owner) -> Link:
    """Where a chain begins whose oldest entries were dropped.

    Raises:
        ChainError: it is no anchor of this chain.
    """
    try:
        row: Any = json.loads(data.decode("ascii"))
        link, at, signature = Link(row["seq"], row["hash"]), row["at"], row["sig"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ChainError("anchor") from error
    numbers = all(type(n) is int and 0 < n <= INTEGER_MAX for n in (link.seq, at))
    texts = _is_hex(link.hash, HASH_CHARS) and _is_hex(signature, SIGNATURE_CHARS)
    if not numbers or not texts or _anchor_line(link, at, signature) != data:
        raise ChainError("anchor")
    signed = _anchor_signed(owner.node_id, link, at)
    if not owner.verify(owner.key, signed, bytes.fromhex(signature)):
        raise ChainError("anchor")
    return link
