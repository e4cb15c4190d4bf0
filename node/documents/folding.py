"""Many single chunks become one pack, and nothing is lost.

Law: a fold says what is there in fewer bytes: every change comes out of the pack as it went in,
to the byte, with who wrote it and when; a pack of which that is not so is not made. Only what
was read is folded: what is set aside stays where it is. Two sides of a cut may fold the same
changes: both packs stay, and the next fold makes one of them.

A pack is folded again only with at least half as much beside it, so a change is rewritten as
often as the size of its document doubles (O'Neil et al., The log-structured merge-tree, 1996).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from crdt.document.gathering import Aside, Gathered
from crdt.document.model import ChangeError, DocumentLimits, Stored
from crdt.document.pack import Kept, is_pack, pack, unpack
from crdt.dot import Dot
from crdt.fields import CHUNK_MARK
from node.documents.shelf import name_of

SINGLES_MIN: Final = 64
"""So many single chunks are folded, once all members hold them."""

SINGLES_MAX: Final = 1024
"""So many are folded whoever holds them: a record is written as a whole with every change."""

AT_ONCE_MAX: Final = 384
"""Most single chunks of one fold; an operation takes away a few more fields at most."""

_GROWTH: Final = 2


class Plan(NamedTuple):
    """What is to be folded.

    Attributes:
        names: the chunks that go.
        dots: of their versions.
        hashes: of the changes in them.
    """

    names: tuple[str, ...]
    dots: tuple[Dot, ...]
    hashes: frozenset[bytes]


class Fold(NamedTuple):
    """A pack, and the chunks whose place it takes."""

    name: str
    data: bytes
    removed: Mapping[str, bytes]


def planned(
    stored: Sequence[Stored],
    gathered: Gathered,
    aside: Sequence[Aside],
    limits: DocumentLimits,
    covered: Callable[[Dot], bool],
) -> Plan | None:
    """Which chunks are to be folded; None for nothing.

    Args:
        stored: all chunks of the record.
        gathered: what was read of them.
        aside: what was set aside of them.
        limits: bounds of a document.
        covered: whether all members hold an operation.
    """
    singles, packs = readable(stored, gathered, aside)
    if len(singles) < SINGLES_MIN:
        return None
    ready = [one for one in singles if covered(one.dot)]
    forced = len(ready) < SINGLES_MIN
    if forced and len(singles) < SINGLES_MAX:
        return None
    ready = (singles if forced else ready)[:AT_ONCE_MAX]
    chosen = list(ready)
    hashes = {hash_in(one.name) for one in ready}
    size = sum(len(one.data) for one in ready)
    for one in sorted(packs, key=lambda one: (len(one.data), one.name)):
        if len(one.data) >= _GROWTH * size or not (forced or covered(one.dot)):
            break
        chosen.append(one)
        hashes.update(kept.change.hash for kept in unpack(one.data, limits))
        size += len(one.data)
    names = tuple(one.name for one in chosen)
    return Plan(names, tuple(one.dot for one in chosen), frozenset(hashes))


def folded(
    plan: Plan, stored: Sequence[Stored], gathered: Gathered, limits: DocumentLimits
) -> Fold | None:
    """The pack of a plan; None when it would lose anything, or be no shorter."""
    wanted = [one for one in gathered.kept.values() if one.change.hash in plan.hashes]
    if len(wanted) != len(plan.hashes):
        return None
    data = pack(wanted)
    if not _is_lossless(data, wanted, limits):
        return None
    names = set(plan.names)
    removed = {one.name: one.data for one in stored if one.name in names}
    name = CHUNK_MARK + name_of(data)
    if name in removed or len(data) > limits.stored_bytes_max:
        return None
    return Fold(name, data, removed)


def hash_in(name: str) -> bytes:
    """The hash in the name of a single chunk."""
    return bytes.fromhex(name[len(CHUNK_MARK) :])


def still_fits(fold: Fold, stored: Sequence[Stored]) -> bool:
    """Whether what a fold takes the place of stands as it stood when the fold was made."""
    there: dict[str, set[bytes]] = {}
    for one in stored:
        if one.name in fold.removed:
            there.setdefault(one.name, set()).add(one.data)
    return there == {name: {data} for name, data in fold.removed.items()}


def _is_lossless(data: bytes, wanted: Sequence[Kept], limits: DocumentLimits) -> bool:
    """Whether all that went into a pack comes out of it; asked before anything is removed."""
    try:
        out = {one.change.hash: one for one in unpack(data, limits)}
    except ChangeError:
        return False
    return len(out) == len(wanted) and all(
        (found := out.get(one.change.hash)) is not None
        and found.change.data == one.change.data
        and (found.agent, found.hlc) == (one.agent, one.hlc)
        for one in wanted
    )


def readable(
    stored: Sequence[Stored], gathered: Gathered, aside: Sequence[Aside]
) -> tuple[list[Stored], list[Stored]]:
    """Single chunks, what they depend on first, and packs; those that were read.

    A name under which somebody wrote several things is left alone: to remove it would remove
    what was set aside as well.
    """
    odd = {one.name for one in aside}
    seen: dict[str, Stored] = {}
    for one in stored:
        before = seen.setdefault(one.name, one)
        if before.data != one.data:
            odd.add(one.name)
    fine = [one for one in seen.values() if one.name not in odd]
    packs = [one for one in fine if is_pack(one.data)]
    place = {name: at for at, name in enumerate(gathered.kept)}
    singles = [one for one in fine if not is_pack(one.data) and hash_in(one.name) in place]
    return sorted(singles, key=lambda one: place[hash_in(one.name)]), packs
