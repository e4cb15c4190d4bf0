"""Every legal state of the files after a crash, or a fair part of them.

Law: a moment lies between two halves of operations; its images are the choices among what is
on its way then. Up to `FULL` things on their way are chosen in all combinations. Above that
come always: none, all, each alone, each missing, every prefix, each write torn beside nothing,
beside what came before it and beside all else; the rest of the space is drawn by the seed.
Two choices that give the same bytes are given once. Same log, seed and count: same images.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from chaos.power.disk import WHOLE, Disk, Half, Honours, Kept, Tree, halves, sectors
from chaos.power.syscalls import NEVER
from chaos.power.writelog import Data, Op, Size, Sync, WriteLog

FULL: Final = 4
"""As many things on their way are chosen in all combinations."""

_CHOICES_PER_MOMENT: Final = 6
_DRAWS_IN_VAIN: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One state of the files after a crash.

    Attributes:
        number: counts from 0.
        moment: place in the log, in halves of operations.
        at_ns: the crash was not before this moment of CLOCK_REALTIME; `NEVER`: after all.
        coming: how many things were on their way.
        choice: what has arrived of them, in words.
        tree: the files and folders.
    """

    number: int
    moment: int
    at_ns: int
    coming: int
    choice: str
    tree: Tree


class Choice(NamedTuple):
    """What has arrived, and whether files have their new size already."""

    kept: Mapping[int, frozenset[int] | None]
    grown: bool
    words: str


def images(
    log: WriteLog, seed: int, count: int | None, *, honours: Honours = lambda _op: True
) -> Iterator[Image]:
    """Legal images of a log.

    Args:
        log: a complete one.
        seed: draws moments and choices.
        count: how many; fewer when there are no more. None: at every moment all that are
            always given, and nothing drawn.
        honours: for controls; see `Disk`.

    Yields:
        Distinct images, in the order of their moments; over again in further rounds.
    """
    steps = halves(log)
    seen: set[object] = set()
    made = 0
    rounds = itertools.count() if count is not None else range(1)
    for turn in rounds:
        rng = random.Random(f"{seed}/{turn}")
        left = None if count is None else count - made
        before = made
        quotas = _quotas(steps, left, rng)
        for image in _round(log, steps, quotas, rng, seen, honours=honours):
            yield Image(
                number=made,
                moment=image.moment,
                at_ns=image.at_ns,
                coming=image.coming,
                choice=image.choice,
                tree=image.tree,
            )
            made += 1
            if count is not None and made >= count:
                return
        if made == before:
            return


def _quotas(steps: Sequence[Half], left: int | None, rng: random.Random) -> dict[int, int]:
    """How many images each moment gives. Before something becomes sure most is on its way."""
    places = range(len(steps) + 1)
    if left is None:
        return dict.fromkeys(places, NEVER)
    wanted = max(1, -(-left // _CHOICES_PER_MOMENT))
    full = [i for i, half in enumerate(steps) if half.is_end and _settles(half.op)]
    chosen = set(rng.sample(full, min(len(full), -(-wanted // 2))))
    chosen |= set(rng.sample(places, min(len(places), wanted - len(chosen) + 1)))
    chosen.add(len(steps))
    return dict.fromkeys(chosen, max(_CHOICES_PER_MOMENT, -(-left // len(chosen))))


def _settles(op: Op) -> bool:
    return isinstance(op.what, Sync) or (isinstance(op.what, Data) and op.what.own_sync)


def _round(
    log: WriteLog,
    steps: Sequence[Half],
    quotas: Mapping[int, int],
    rng: random.Random,
    seen: set[object],
    *,
    honours: Honours,
) -> Iterator[Image]:
    disk = Disk(log, honours)
    for moment in range(len(steps) + 1):
        if moment in quotas:
            at_ns = steps[moment].at_ns if moment < len(steps) else NEVER
            yield from _at(disk, moment, at_ns, quotas[moment], rng, seen)
        if moment < len(steps):
            half = steps[moment]
            (disk.end if half.is_end else disk.begin)(half.op)


def _at(
    disk: Disk, moment: int, at_ns: int, quota: int, rng: random.Random, seen: set[object]
) -> Iterator[Image]:
    given = vain = 0
    drawn = quota != NEVER
    for choice in choices(disk.coming, rng, drawn=drawn):
        sign = _sign(disk, choice)
        if sign in seen:
            vain += 1
            if vain > _DRAWS_IN_VAIN and drawn:
                return
            continue
        seen.add(sign)
        tree = disk.image(choice.kept, grown=choice.grown)
        bytes_of_it = hash(tuple(tree.items()))
        if bytes_of_it in seen:
            continue
        seen.add(bytes_of_it)
        yield Image(
            number=0,
            moment=moment,
            at_ns=at_ns,
            coming=len(disk.coming),
            choice=choice.words,
            tree=tree,
        )
        given += 1
        if given >= quota:
            return


def _sign(disk: Disk, choice: Choice) -> object:
    """Equal for choices that leave the same state."""
    kept = frozenset((id(disk.coming[place]), part) for place, part in choice.kept.items())
    sizes = any(isinstance(op.what, Data | Size) for op in disk.coming) and choice.grown
    reach = len(disk.coming) if sizes else 0
    return disk.version, kept, reach


def choices(coming: Sequence[Op], rng: random.Random, *, drawn: bool) -> Iterator[Choice]:
    """What may have arrived of things on their way; see the law above.

    Args:
        coming: the things, oldest first.
        rng: draws sectors, and what comes after what is always given.
        drawn: whether to draw further ones, for ever, and to shuffle those before.
    """
    fixed = list(_fixed(coming, rng))
    if drawn:
        rng.shuffle(fixed)
    yield from fixed
    while drawn and coming:
        chance = rng.choice((0.1, 0.3, 0.5, 0.7, 0.9))
        kept: dict[int, frozenset[int] | None] = {}
        for place, op in enumerate(coming):
            if rng.random() < chance:
                torn = _torn(op, rng) if rng.random() < 0.25 else []
                kept[place] = rng.choice(torn) if torn else WHOLE
        yield Choice(kept, rng.random() < 0.5, f"{len(kept)} of {len(coming)}, drawn")


def _fixed(coming: Sequence[Op], rng: random.Random) -> Iterator[Choice]:
    everything: Kept = dict.fromkeys(range(len(coming)), WHOLE)
    yield Choice({}, False, "none")
    if not coming:
        return
    yield Choice({}, True, "none, sizes grown")
    yield Choice(everything, False, "all")
    if len(coming) <= FULL:
        for mask in range(1, 2 ** len(coming) - 1):
            kept = {place: WHOLE for place in everything if mask >> place & 1}
            yield Choice(kept, False, f"subset {mask:b}")
            yield Choice(kept, True, f"subset {mask:b}, sizes grown")
    else:
        for place in everything:
            yield Choice({place: WHOLE}, False, f"{place} alone")
            others = {other: WHOLE for other in everything if other != place}
            yield Choice(others, bool(place % 2), f"{place} missing")
            yield Choice(dict.fromkeys(range(place), WHOLE), False, f"the first {place}")
    for place, op in enumerate(coming):
        for part in _torn(op, rng):
            words = f"{place} torn, {len(part)} sectors of it"
            before = dict.fromkeys(range(place), WHOLE)
            yield Choice({place: part}, False, f"{words} alone")
            yield Choice({**before, place: part}, False, f"{words} after all before")
            yield Choice({**everything, place: part}, True, f"{words} beside all")


def _torn(op: Op, rng: random.Random) -> list[frozenset[int]]:
    """Parts of a write: its beginning, its end, any."""
    count = sectors(op.what) if isinstance(op.what, Data) else 0
    if count < 2:
        return []
    cut = rng.randrange(1, count)
    some = frozenset(rng.sample(range(count), rng.randrange(1, count)))
    return list(dict.fromkeys((frozenset(range(cut)), frozenset(range(cut, count)), some)))
