"""Deletion: what was deleted with knowledge of it never comes back, and nothing else goes.

Law: a birth is one creation of an id, told apart by a mark in its metadata that edits leave alone.
A delete ends the births that its node knew: with `saw` (`If-Match`) the one that was read, else,
when an id was born once only, that one. Such a birth is gone for good, also from reads that carry
the token of the delete, and an edit that knew nothing of it does not save it. A birth that no
delete can have known lives. Nothing is ever half there.

Source: docs/design.md, "Operations and records": a delete names the births its author saw; it wins
over concurrent edits; to create an id again is a new birth.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.check.gathering import Cycle, Found, Operation, State, gather, judge_states
from chaos.history import Anomaly, Event

NAME = "delete"
_WHOLE: Final = ("title", "content", "metadata")


@dataclass(slots=True)
class _Id:
    """All that was asked about one id."""

    births: dict[str, Operation] = field(default_factory=dict)
    edits: dict[str, Operation] = field(default_factory=dict)
    deletes: list[Operation] = field(default_factory=list)

    def ended(self) -> dict[str, Operation]:
        """Births that are dead for certain, with the delete that ended each."""
        possible = sorted(
            (each.began, birth) for birth, each in self.births.items() if each.possible
        )
        second = possible[1][0] if len(possible) > 1 else math.inf
        out: dict[str, Operation] = {}
        for each in self.deletes:
            saw = each.args.get("saw")
            if each.ok and saw is not None:
                out.setdefault(str(saw), each)
            elif each.ok and possible and each.ended < second:
                out.setdefault(possible[0][1], each)
        return out

    def must_live(self) -> dict[str, Operation]:
        """Acknowledged births that no delete can have known."""
        last = max((each.ended for each in self.deletes if each.possible), default=-math.inf)
        return {birth: made for birth, made in self.births.items() if made.ok and last < made.began}


def check(history: Iterable[Event]) -> list[Anomaly]:
    """Anomalies of one cycle of the delete workload.

    It reads `create` (`id`, `birth`, `value`), `edit` (`id`, `value`), `delete` (`id`, `saw`),
    `read` (`id`, `after`: births whose deletes its token covers) with `birth` and `content`, and of
    records `content` and `metadata.birth`.
    """
    cycle = gather(history)
    ids = _ids(cycle)
    return [
        *judge_states(cycle, NAME, lambda state: judge(state, ids)),
        *_reads(cycle.writes("read"), ids),
    ]


def _ids(cycle: Cycle) -> dict[str, _Id]:
    ids: defaultdict[str, _Id] = defaultdict(_Id)
    for each in cycle.writes("create", "edit", "delete"):
        about = ids[str(each.args["id"])]
        if each.f == "delete":
            about.deletes.append(each)
            continue
        about.edits[str(each.args["value"])] = each
        if each.f == "create":
            about.births[str(each.args["birth"])] = each
    return dict(ids)


def judge(state: State, ids: Mapping[str, _Id]) -> Iterator[Found]:
    """Judge what some nodes hold."""
    for id_, held in state.records.items():
        if id_ not in ids:
            yield Found("invented", id_, f"nobody made {id_}")
            continue
        if not all(held.get(name) for name in _WHOLE):
            yield Found("half", id_, f"{id_} has only {', '.join(sorted(held))}")
        yield from _shown(id_, held, ids[id_])
    for id_, about in ids.items():
        living = about.must_live()
        if living and id_ not in state.records:
            ops = tuple(each.op for each in living.values())
            yield Found("lost", id_, f"{id_} was acknowledged, no delete can have known it", ops)


def _shown(id_: str, held: Mapping[str, Any], about: _Id) -> Iterator[Found]:
    birth = str((held.get("metadata") or {}).get("birth"))
    made = about.births.get(birth)
    if made is None or not made.possible:
        ops = () if made is None else (made.op,)
        yield Found("invented", id_, f"{id_}: nobody made its birth {birth}", ops)
    content = str(held.get("content"))
    edit = about.edits.get(content)
    if edit is None or not edit.possible:
        ops = () if edit is None else (edit.op,)
        yield Found("invented", f"{id_} {content}", f"{id_}: nobody wrote {content!r}", ops)
    delete = about.ended().get(birth)
    if delete is not None:
        yield Found("resurrected", id_, f"{id_}: {birth} was deleted and is there", (delete.op,))


def _reads(reads: Iterable[Operation], ids: Mapping[str, _Id]) -> Iterator[Anomaly]:
    for each in reads:
        birth = each.values.get("birth") if each.ok else None
        if birth is None:
            continue
        about = ids.get(str(each.args["id"]), _Id())
        made = about.births.get(str(birth))
        if made is None or not made.possible or made.began > each.ended:
            yield Anomaly(NAME, "invented", f"{each.node} showed {birth}", (each.op,))
        elif birth in (each.args.get("after") or ()):
            detail = f"{each.node} showed {birth} to who knew of its delete"
            yield Anomaly(NAME, "resurrected", detail, (each.op,))
