"""The files of a chain: closed segments, the one that grows, and where the chain begins.

    <data dir>/audit/
        owner.json        whose chain this is: node id and public key
        <first seq>.jsonl a segment; the last one grows
        anchor.json       signed: entries up to here were dropped (see `node.audit.chain`)

Law: a segment is named by its first entry, so a missing one shows. Only an incomplete last
line is ever cut, and only by the node that starts; whatever else is wrong stays as it is.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from node.audit.chain import (
    START,
    ChainError,
    Entry,
    Link,
    Owner,
    Verdict,
    Walk,
    read_anchor,
    read_entry,
    verdict_of,
)
from transport.secret_files import replace_file

FOLDER: Final = "audit"
_SUFFIX: Final = ".jsonl"
_DIGITS: Final = 16
_ANCHOR: Final = "anchor.json"
_OWNER: Final = "owner.json"
_BLOCK_BYTES: Final = 64 * 1024
_LINES_LOOKED_AT: Final = 16


class Segment(NamedTuple):
    """One file of the chain: the number of its first entry, and where it lies."""

    first: int
    path: Path


def segments(folder: Path) -> list[Segment]:
    """The segments in a folder, oldest first."""
    found = [
        Segment(int(path.stem), path)
        for path in folder.glob(f"*{_SUFFIX}")
        if len(path.stem) == _DIGITS and path.stem.isascii() and path.stem.isdigit()
    ]
    return sorted(found)


def segment_path(folder: Path, first: int) -> Path:
    """Where the segment that begins with an entry lies."""
    return folder / f"{first:0{_DIGITS}d}{_SUFFIX}"


def anchor_path(folder: Path) -> Path:
    """Where the note about dropped entries lies."""
    return folder / _ANCHOR


class Named(NamedTuple):
    """Whose chain a folder says it holds."""

    node_id: bytes
    key: bytes


def read_owner(folder: Path) -> Named | None:
    """Whose chain it is; None when the folder does not say so in a way that can be read."""
    try:
        row: Any = json.loads((folder / _OWNER).read_text(encoding="ascii"))
        return Named(bytes.fromhex(row["node_id"]), bytes.fromhex(row["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_owner(folder: Path, named: Named) -> None:
    """Say whose chain a folder holds."""
    row = {"node_id": named.node_id.hex(), "key": named.key.hex()}
    replace_file(folder / _OWNER, json.dumps(row).encode("ascii") + b"\n")


def begins(folder: Path, owner: Owner) -> Link:
    """The last entry that was dropped, as the anchor says.

    Raises:
        ChainError: the anchor is not genuine.
    """
    try:
        data = anchor_path(folder).read_bytes()
    except FileNotFoundError:
        return START
    return read_anchor(data, owner)


def _kept(held: Sequence[Segment], start: Link) -> Sequence[Segment]:
    """Without segments that lie before the anchor: the process died while it dropped them."""
    covered = [
        index
        for index, (_, following) in enumerate(pairwise(held))
        if following.first <= start.seq + 1
    ]
    return held[covered[-1] + 1 :] if covered else held


def verify_folder(
    folder: Path,
    owner: Owner,
    *,
    claims: Iterable[Link] = (),
    upto: int | None = None,
    step: Callable[[int], None] = lambda _rows: None,
) -> Verdict:
    """Verify the chain in a folder.

    Args:
        folder: where it lies; reading changes nothing.
        owner: whose it has to be.
        claims: places that others have countersigned.
        upto: look no further than this entry, for a chain that grows meanwhile.
        step: told now and then how many entries have been verified.
    """
    seen = tuple(claims)
    walk = Walk(owner=owner, wanted=frozenset(link.seq for link in seen))
    try:
        start = begins(folder, owner)
    except ChainError as error:
        walk.fail(error.reason)
        return verdict_of(walk)
    walk = Walk(owner=owner, at=start, wanted=walk.wanted)
    for segment in _kept(segments(folder), start):
        if walk.bad is not None or (upto is not None and walk.at.seq >= upto):
            break
        if segment.first != walk.at.seq + 1:
            walk.fail("segment_missing")
            break
        _walk_segment(walk, segment, upto)
        step(walk.rows)
    return verdict_of(walk, seen)


def _walk_segment(walk: Walk, segment: Segment, upto: int | None) -> None:
    for line, whole in lines_of(segment.path):
        if upto is not None and walk.at.seq >= upto:
            return
        if not whole:
            walk.fail("torn")
        elif not walk.take(line):
            return


def lines_of(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Lines without their line break, and whether they were written whole.

    No entry has a NUL. Where one stands, sectors of a write are missing that was not synced when
    the power went: from that line on nothing was, and all of it is the last, torn line.
    """
    with path.open("rb") as file:
        for line in file:
            if b"\0" in line:
                yield line + file.read(), False
                return
            whole = line.endswith(b"\n")
            yield (line[:-1] if whole else line), whole


class Tail(NamedTuple):
    """The end of a chain, as a starting node finds it.

    Attributes:
        link: the last entry, as far as it can be told.
        torn_bytes: length of an incomplete last line.
        reason: what else is wrong in the last segment; empty when nothing is.
        bad_seq: where that is.
        entries: of the last segment.
    """

    link: Link
    torn_bytes: int
    reason: str
    bad_seq: int
    entries: Sequence[Entry]


def read_tail(folder: Path, owner: Owner) -> Tail:
    """Look at the end of a chain, to go on from there. Changes nothing."""
    held = segments(folder)
    try:
        start = begins(folder, owner)
    except ChainError as error:
        start, reason = START, error.reason
    else:
        reason = ""
    if not held:
        return Tail(start, 0, reason, 1 if reason else 0, ())
    walk = Walk(owner=owner, at=_before(held, start))
    if reason:
        walk.fail(reason, 1)
    elif held[-1].first != walk.at.seq + 1:
        walk.fail("segment_missing")
    return _read_last(held[-1], walk)


def _before(held: Sequence[Segment], start: Link) -> Link:
    """The entry before the last segment, as far as it can be told."""
    first = held[-1].first
    if first <= start.seq + 1 or len(held) == 1:
        return start
    entry = last_entry(held[-2].path)
    return Link(first - 1, START.hash) if entry is None else entry.link


def _read_last(segment: Segment, walk: Walk) -> Tail:
    torn, count, entries = 0, 0, []
    last = walk.at
    for line, whole in lines_of(segment.path):
        if not whole:
            torn = len(line)
            break
        count += 1
        walk.take(line)
        try:
            entry = read_entry(line)
        except ChainError:
            continue
        entries.append(entry)
        last = entry.link
    if walk.bad is None:
        return Tail(walk.at, torn, "", 0, entries)
    number = max(last.seq, segment.first - 1 + count)
    return Tail(Link(number, last.hash), torn, walk.bad.reason, walk.bad.seq, entries)


def last_entry(path: Path) -> Entry | None:
    """The last entry of a segment that can be read; None when none can."""
    for line in reversed(tail_lines(path, _LINES_LOOKED_AT)):
        with suppress(ChainError):
            return read_entry(line)
    return None


def tail_lines(path: Path, count: int) -> list[bytes]:
    """The last whole lines of a segment, read from its end."""
    with path.open("rb") as file:
        place = file.seek(0, os.SEEK_END)
        data = b""
        while place and data.count(b"\n") <= count:
            step = min(_BLOCK_BYTES, place)
            place -= step
            file.seek(place)
            data = file.read(step) + data
    lines = data.split(b"\n")[:-1]
    return lines[-count:] if count else []


def hash_at(folder: Path, seq: int) -> str | None:
    """The hash that the chain has at an entry; None when it has none there."""
    held = [segment for segment in segments(folder) if segment.first <= seq]
    if not held:
        return None
    for line, whole in lines_of(held[-1].path):
        try:
            entry = read_entry(line) if whole else None
        except ChainError:
            entry = None
        if entry is not None and entry.seq == seq:
            return entry.hash
    return None
