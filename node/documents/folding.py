"""Many single chunks become one pack, and nothing is lost.

Law: a fold says what is there in fewer bytes: every change comes out of the pack as it went in,
to the byte, with who wrote it and when; a pack of which that is not so is not made. Only what
was read is folded: what is set aside stays where it is. Two sides of a cut may fold the same
changes: both packs stay, and the next fold makes one of them.

A pack is folded again only with at least half as many changes beside it, so a change is rewritten
as often as their number doubles (O'Neil et al., The log-structured merge-tree, 1996).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from crdt.document.gathering import Aside, Gathered
from crdt.document.model import READ_MAX, ChangeError, Stored
from crdt.document.pack import Kept, claimed, is_pack, pack, unpack
from crdt.dot import Dot
from crdt.fields import CHUNK_MARK
from node.documents.shelf import name_of

SINGLES_MIN: Final = 64
"""So many single chunks are folded, once all members hold them."""

SINGLES_MAX: Final = 256
"""So many are folded whoever holds them: a record is written as a whole with every change."""

AT_ONCE_MAX: Final = 384
"""Most single chunks of one fold; an operation takes away a few more fields at most."""

_GROWTH: Final = 2


class Plan(NamedTuple):
    """What is to be folded.

    Attributes:
        singles: the single chunks.
        packs: the packs.
        versions: of both, all that there are.
    """

    singles: tuple[Stored, ...]
    packs: tuple[Stored, ...]
    versions: Mapping[str, frozenset[Dot]]

    @property
    def packed(self) -> int:
        """How many changes are to be unpacked."""
        return sum(_changes_in(one) for one in self.packs)


class Fold(NamedTuple):
    """A pack, and the versions of chunks whose place it takes."""

    name: str
    data: bytes
    removed: Mapping[str, frozenset[Dot]]


class Fates(NamedTuple):
    """What a node knows of operations.

    Attributes:
        covered: whether all members hold one.
        waits: whether one hangs on an approval that is not final.
    """

    covered: Callable[[Dot], bool]
    waits: Callable[[Dot], bool]


def planned(
    stored: Sequence[Stored], gathered: Gathered, aside: Sequence[Aside], fates: Fates
) -> Plan | None:
    """Which chunks are to be folded; None for nothing.

    What somebody may still reject is left alone: it must be able to go.

    Args:
        stored: all chunks of the record.
        gathered: what was read of them.
        aside: what was set aside of them.
        fates: of the operations that wrote them.
    """
    alone = [one for one in stored if not is_pack(one.data)]
    if len(alone) < SINGLES_MIN:
        return None
    late = sum(not fates.covered(one.dot) for one in alone)
    if len(alone) < SINGLES_MAX and len(alone) - late < SINGLES_MIN:
        return None  # as below, and told at once: most edits end here
    early = {one.name for one in stored if not fates.covered(one.dot)}
    waiting = {one.name for one in stored if fates.waits(one.dot)}
    singles, packs = readable(stored, gathered, aside)
    singles = [one for one in singles if one.name not in waiting]
    if len(singles) < SINGLES_MIN:
        return None
    ready = [one for one in singles if one.name not in early]
    forced = len(ready) < SINGLES_MIN
    if forced and len(singles) < SINGLES_MAX:
        return None
    ready = (singles if forced else ready)[:AT_ONCE_MAX]
    size = len(ready)
    chosen: list[Stored] = []
    for one in sorted(packs, key=lambda one: (_changes_in(one), one.name)):
        if _changes_in(one) >= _GROWTH * size:
            break
        if one.name in waiting or (one.name in early and not forced):
            continue
        chosen.append(one)
        size += _changes_in(one)
    names = {one.name for one in (*ready, *chosen)}
    return Plan(tuple(ready), tuple(chosen), _versions(stored, names))


def _versions(stored: Sequence[Stored], names: Collection[str]) -> dict[str, frozenset[Dot]]:
    found: dict[str, set[Dot]] = {}
    for one in stored:
        if one.name in names:
            found.setdefault(one.name, set()).add(one.dot)
    return {name: frozenset(dots) for name, dots in found.items()}


def folded(plan: Plan, gathered: Gathered, bytes_max: int) -> Fold | None:
    """The pack of a plan; None when it would lose anything, or be too long."""
    hashes = {hash_in(one.name) for one in plan.singles}
    for one in plan.packs:
        hashes.update(kept.change.hash for kept in unpack(one.data, READ_MAX))
    wanted = [one for one in gathered.kept.values() if one.change.hash in hashes]
    if len(wanted) != len(hashes):
        return None
    data = pack(wanted)
    name = CHUNK_MARK + name_of(data)
    if name in plan.versions or len(data) > bytes_max:
        return None
    return Fold(name, data, plan.versions) if _is_lossless(data, wanted) else None


def _changes_in(one: Stored) -> int:
    return claimed(one.data)[0]


def hash_in(name: str) -> bytes:
    """The hash in the name of a single chunk."""
    return bytes.fromhex(name[len(CHUNK_MARK) :])


def still_fits(fold: Fold, stored: Sequence[Stored]) -> bool:
    """Whether what a fold takes the place of stands as it stood when the fold was made."""
    return _versions(stored, fold.removed.keys()) == fold.removed


def _is_lossless(data: bytes, wanted: Sequence[Kept]) -> bool:
    """Whether all that went into a pack comes out of it; asked before anything is removed."""
    try:
        out = {one.change.hash: one for one in unpack(data, READ_MAX)}
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
