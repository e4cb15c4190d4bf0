"""Documents: every acknowledged token is there once, whole, where it was put, on every node.

Law: a token is unique in the campaign. One whose insertion was acknowledged is there, unless
taking it away was asked for; one whose removal was acknowledged is gone; one that was not settled
is there once or not at all, and two of one request are there together. The counter lies between
what was acknowledged and that with all that may have been. Elements of a sequence have one order
for ever, so every read shows the tokens that are left in the end in the order they have in the
end. Two looks at the same heads, anywhere, at any time, show the same.

Source: strong list specification of Attiya et al., "Specification and complexity of collaborative
text editing", PODC 2016, with tokens for characters.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from chaos.check.document_view import SEQUENCES, Place, Seen, seen_in
from chaos.check.gathering import Cycle, Found, Operation, State, gather, judge_states
from chaos.history import Anomaly, Event

NAME = "document"
_INSERTS: Final = ("text", "list", "map", "latest")
_REMOVES: Final[Mapping[str, str]] = {"text_gone": "text", "list_gone": "list"}


class Request(NamedTuple):
    """All tries of one edit."""

    tries: tuple[Operation, ...]

    @property
    def ok(self) -> bool:
        """A node acknowledged it."""
        return any(each.ok for each in self.tries)

    @property
    def possible(self) -> bool:
        """It may have had its effect."""
        return any(each.possible for each in self.tries)

    @property
    def began(self) -> int:
        """When it was asked for first."""
        return min(each.began for each in self.tries)

    @property
    def ops(self) -> tuple[int, ...]:
        """For an anomaly."""
        return tuple(each.op for each in self.tries)


@dataclass(slots=True, kw_only=True)
class Asked:
    """Everything that was asked of documents in a cycle.

    Attributes:
        created: requests by document.
        put: requests by the place of the token that each brings.
        gone: requests by the place of the token that each takes away.
        counted: (by, request) for each document.
        pairs: places of tokens that came in one request.
    """

    created: dict[str, Request] = field(default_factory=dict)
    put: dict[Place, Request] = field(default_factory=dict)
    gone: defaultdict[Place, list[Request]] = field(default_factory=lambda: defaultdict(list))
    counted: defaultdict[str, list[tuple[int, Request]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    pairs: list[tuple[Place, Place]] = field(default_factory=list)


class Look(NamedTuple):
    """One read of one document."""

    read: Operation
    document: str
    seen: Seen


def check(history: Iterable[Event]) -> list[Anomaly]:
    """Anomalies of one cycle of the document workload.

    It reads `create` with `document` and `token`; `edit` with `document` and any of `text`, `list`,
    `map`, `latest` (tokens that it brings), `text_gone`, `list_gone` (that it takes away) and `by`
    (of the counter), tries of one edit having one `key`; `read` with `heads`, `text`, `list`,
    `map`, `count`, `latest`; and of records `content` and `document`.
    """
    cycle = gather(history)
    asked = _asked(cycle)
    looks = [
        Look(each, str(each.args["document"]), seen_in(each.values))
        for each in cycle.writes("read")
        if each.ok and "heads" in each.values
    ]
    return [
        *judge_states(cycle, NAME, lambda state: judge(state, asked, looks)),
        *(anomaly for each in looks for anomaly in _early(each, asked)),
        *_same_heads(cycle, looks),
    ]


def _asked(cycle: Cycle) -> Asked:
    asked = Asked()
    tries: defaultdict[str, list[Operation]] = defaultdict(list)
    for each in cycle.writes("create"):
        document = str(each.args["document"])
        request = asked.created[document] = Request((each,))
        asked.put[Place(document, "text", str(each.args["token"]))] = request
    for each in cycle.writes("edit"):
        tries[str(each.args.get("key") or f"op {each.op}")].append(each)
    for group in tries.values():
        _add(asked, Request(tuple(group)))
    return asked


def _add(asked: Asked, request: Request) -> None:
    args = request.tries[0].args
    document = str(args["document"])
    places = [Place(document, where, str(args[where])) for where in _INSERTS if where in args]
    asked.put.update(dict.fromkeys(places, request))
    if len(places) == 2:
        asked.pairs.append((places[0], places[1]))
    for name, where in _REMOVES.items():
        if name in args:
            asked.gone[Place(document, where, str(args[name]))].append(request)
    if "by" in args:
        asked.counted[document].append((int(args["by"]), request))


# --- what is there in the end ---------------------------------------------------------------


def judge(state: State, asked: Asked, looks: Sequence[Look]) -> Iterator[Found]:
    """Judge what some nodes hold."""
    views = {
        ident: seen_in((held.get("document") or {}).get("value") or {})
        for ident, held in state.records.items()
        if held.get("document") is not None
    }
    for ident in {*views, *(i for i, each in asked.created.items() if each.ok)}:
        made = asked.created.get(ident)
        if made is None or not made.possible:
            yield Found("invented", ident, f"nobody made the document {ident}")
        elif ident not in views:
            yield Found("lost", ident, f"the document {ident} was acknowledged", made.ops)
        else:
            yield from _alone(ident, views[ident], state.records[ident])
            yield from _counted(ident, views[ident], asked)
            yield from _latest(ident, views[ident], asked)
    there = Counter(
        place for ident, seen in views.items() for place in seen.places(ident) if place.lasts
    )
    yield from _tokens(there, asked)
    yield from _together(there, asked)
    yield from _order(views, looks)


def _alone(ident: str, seen: Seen, held: Mapping[str, Any]) -> Iterator[Found]:
    """What can be said of a document by itself."""
    for piece in seen.torn:
        yield Found("torn", f"{ident} {piece}", f"{ident}: {piece!r} is no whole token")
    if held["document"].get("set_aside"):
        told = held["document"]["set_aside"]
        yield Found("set_aside", ident, f"{ident}: changes are set aside: {told!r}")
    content, due = str(held.get("content") or ""), seen.content()
    if content != due:
        detail = f"{ident} shows {content[:80]!r} as its content, and is {due[:80]!r}"
        yield Found("content", ident, detail)


def _tokens(there: Counter[Place], asked: Asked) -> Iterator[Found]:
    for place, times in there.items():
        request = asked.put.get(place)
        if request is None or not request.possible:
            ops = () if request is None else request.ops
            yield Found("invented", str(place), f"nobody put {place}", ops)
            continue
        if times > 1:
            yield Found("duplicated", str(place), f"{place} is there {times} times", request.ops)
        removed = [each for each in asked.gone[place] if each.ok]
        if removed:
            detail = f"{place} was taken away, acknowledged"
            yield Found("resurrected", str(place), detail, removed[0].ops)
    for place, request in asked.put.items():
        if not request.ok or place in there or not place.lasts:
            continue
        if not any(each.possible for each in asked.gone[place]):
            yield Found("lost", str(place), f"{place} was acknowledged", request.ops)


def _together(there: Counter[Place], asked: Asked) -> Iterator[Found]:
    for one, other in asked.pairs:
        if asked.gone[one] or asked.gone[other] or (one in there) == (other in there):
            continue
        detail = f"{one if one in there else other} is there without the rest of its request"
        yield Found("torn", str(one), detail, asked.put[one].ops)


def _counted(ident: str, seen: Seen, asked: Asked) -> Iterator[Found]:
    least = sum(by for by, each in asked.counted[ident] if each.ok)
    most = sum(by for by, each in asked.counted[ident] if each.possible)
    count = 0 if seen.counted is None else seen.counted
    if count < least:
        yield Found("lost", f"{ident} count", f"{ident} counts {count}, at least {least} is due")
    if count > most:
        yield Found("invented", f"{ident} count", f"{ident} counts {count}, {most} is the most")


def _latest(ident: str, seen: Seen, asked: Asked) -> Iterator[Found]:
    """A key that all write shows the last of some of them, and nothing else."""
    puts = {p.token: each for p, each in asked.put.items() if p[:2] == (ident, "latest")}
    if seen.latest is None:
        if any(each.ok for each in puts.values()):
            yield Found("lost", f"{ident} latest", f"{ident} shows none of what was put as latest")
    elif seen.latest not in puts or not puts[seen.latest].possible:
        detail = f"{ident}: nobody put {seen.latest!r} as latest"
        yield Found("invented", f"{ident} latest", detail)


def _order(views: Mapping[str, Seen], looks: Iterable[Look]) -> Iterator[Found]:
    """What is left is in the order in which every read has shown it."""
    ranks = {
        (ident, where): {token: at for at, token in enumerate(seen.sequence(where))}
        for ident, seen in views.items()
        for where in SEQUENCES
    }
    for look in looks:
        for where in SEQUENCES:
            rank = ranks.get((look.document, where), {})
            last, before = -1, ""
            for token in look.seen.sequence(where):
                at = rank.get(token, last)
                if at < last:
                    subject = f"{look.document} {where} {token}"
                    detail = f"{subject} came after {before} on {look.read.node}, before it now"
                    yield Found("order", subject, detail, (look.read.op,))
                    break
                last, before = at, token if token in rank else before


# --- what was shown on the way --------------------------------------------------------------


def _early(look: Look, asked: Asked) -> Iterator[Anomaly]:
    """What was shown had been asked for, once."""
    read, node = look.read, look.read.node
    for piece in look.seen.torn:
        yield Anomaly(NAME, "torn", f"{node} showed {piece!r}", (read.op,))
    places = look.seen.places(look.document)
    for place in places:
        request = asked.put.get(place)
        if request is None or not request.possible or request.began > read.ended:
            yield Anomaly(NAME, "invented", f"{node} showed {place}", (read.op,))
    if len(set(places)) < len(places):
        twice = next(place for place, times in Counter(places).items() if times > 1)
        yield Anomaly(NAME, "duplicated", f"{node} showed {twice} twice", (read.op,))
    if look.seen.counted is not None:
        most = sum(
            by
            for by, each in asked.counted[look.document]
            if each.possible and each.began < read.ended
        )
        if not 0 <= look.seen.counted <= most:
            detail = f"{node} counted {look.seen.counted}, {most} is the most"
            yield Anomaly(NAME, "invented", detail, (read.op,))


def _same_heads(cycle: Cycle, looks: Iterable[Look]) -> Iterator[Anomaly]:
    """A document is a function of its heads."""
    known: dict[tuple[str, tuple[str, ...]], tuple[Seen, str]] = {}
    shown: list[tuple[str, Seen, str, tuple[int, ...]]] = [
        (each.document, each.seen, each.read.node, (each.read.op,)) for each in looks
    ]
    shown += [
        (ident, seen_in({**(held["document"].get("value") or {}), **_heads(held)}), nodes, ())
        for state in cycle.states()
        for ident, held in state.records.items()
        if held.get("document") is not None
        for nodes in [", ".join(state.nodes)]
    ]
    for document, seen, node, ops in shown:
        first, there = known.setdefault((document, seen.heads), (seen, node))
        if first != seen:
            detail = f"{document} at {seen.heads}: {there} and {node} show it differently"
            yield Anomaly(NAME, "same_heads", detail, ops)


def _heads(held: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"heads": held["document"].get("heads")}
